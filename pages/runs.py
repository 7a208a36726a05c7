"""Runs: what is kept, what it came to, what it takes; name, stop, resume, take away and delete."""

from foster.ui import frame, keeping
from foster.ui.frame import heading

selection = frame("Runs")
heading(
    "What is kept",
    "Every run of this store, the newest first. Give one a name, read what it came to, take it away, or make room.",
)
keeping.runs(selection)
