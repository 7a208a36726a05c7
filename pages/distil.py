"""Distil: choose a budget, start a run, and watch it condense."""

import streamlit as st

from foster.spec import RunSpec
from foster.ui import frame, history, live
from foster.ui.frame import heading
from foster.ui.state import Prefer
from foster.ui.states import need_run
from foster.ui.widgets import estimate, spec_form

selection = frame("Distil", Prefer.ACTIVE)
heading(
    "Condense a log",
    "The budget is the number of synthetic sequences times their length. Start small: two minutes are enough to see "
    "the loss move and to read titles.",
)
bench, sight = st.columns([4, 8], gap="large")
with bench:
    spec = spec_form(RunSpec())
    if spec is not None:
        estimate(spec, *history.known(selection, spec))
    if st.button("Distil", type="primary", icon=":material/science:", disabled=spec is None, width="stretch") and spec:
        live.start(selection, spec)
with sight:
    if selection.run is None and selection.unknown is None and selection.problem is None:
        live.idle(selection)
    else:
        live.live(selection, *need_run(selection))
    live.queue(selection)
