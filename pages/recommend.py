"""Recommend: what would come next? Students of the distilled set, of everything and of chance, side by side."""

from foster.ui import frame, recommending
from foster.ui.frame import heading
from foster.ui.states import banner, need_run

selection = frame("Recommend")
heading(
    "What would come next?",
    "Put a few titles in a row and see what each student makes of them: one that learned from the whole log, one from "
    "the distilled sequences, and some that show what chance and the text encoder can do alone.",
)
run, status = need_run(selection)
banner(selection.store, run, status)
recommending.recommendations(selection, run, status)
