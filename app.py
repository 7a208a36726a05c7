"""Start: what is this, in one picture that moves, with the numbers of the run it shows."""

from foster.ui import frame
from foster.ui.frame import heading
from foster.ui.opening import opening
from foster.ui.states import banner, need_run

selection = frame("Start")
heading(
    "A whole interaction log, in a few sequences",
    "Dataset distillation condenses an interaction log into a handful of synthetic sequences on which a recommender "
    "should train as well as on everything. Here you can watch it happen and read what the sequences say.",
)
run, status = need_run(selection)
banner(selection.store, run, status)
opening(selection, run)
