"""Runs: what is kept, what it came to, what it takes; name, stop, resume, take away and delete."""

from foster.ui import frame, keeping
from foster.ui.frame import heading

selection = frame("Runs")
lead = "Every run of this store, the newest first, lessons after the demo. Read what one came to and take it away"
heading("What is kept", f"{lead}; give it a name, or make room." if selection.policy.edits else f"{lead}.")
keeping.runs(selection)
