"""Data: what is in the log? Look inside the sample, a folder of the server or one's own file."""

from foster.ui import frame
from foster.ui.frame import heading
from foster.ui.library import library

selection = frame("Data")
heading(
    "What is in the log",
    "Somebody took something, and then something else: that is all a sequential recommender learns from. Look at what "
    "there is before it is condensed, or bring a log of your own.",
)
library(selection)
