"""Sequences: what did it learn? Every synthetic sequence as a row of titles, at any step of the distillation."""

from foster.ui import frame, reading, takeaway
from foster.ui.frame import heading
from foster.ui.states import banner, need_run

selection = frame("Sequences")
heading(
    "What the sequences say",
    "Each row is one synthetic sequence. In the soft form a student reads the small title at every position and is "
    "taught what to recommend next: a distribution over the whole catalogue, of which a card shows the likeliest. That "
    "is its first reading; Alternatives shows what it reads there in others. The hard form is a plain list of titles.",
)
run, status = need_run(selection)
banner(selection.store, run, status, "What it has so far is shown below." if run.snapshots() else "")
reading.sequences(selection, run, status)
takeaway.takeaway(run, status)
