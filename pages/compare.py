"""Compare: is it worth it? Runs and controls under one protocol, and what budget and regularisation do."""

from foster.ui import comparing, frame, sweeping
from foster.ui.frame import heading
from foster.ui.states import banner, need_run

selection = frame("Compare")
heading(
    "Is it worth it?",
    "A distilled set has to beat random sequences and teacher's labels of the same size, and come near to everything. "
    "All of them are judged here by the same rule.",
)
run, status = need_run(selection)
if comparing.view() is comparing.View.GRID:
    sweeping.sweep(selection, run)
else:
    banner(selection.store, run, status)
    comparing.comparison(selection, run)
