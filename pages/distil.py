"""Distil: choose a budget, start a run, and watch it condense."""

import streamlit as st

from foster.spec import RunSpec
from foster.ui import address, frame, live
from foster.ui.estimate import estimate
from foster.ui.frame import heading
from foster.ui.sources import sources
from foster.ui.state import Prefer
from foster.ui.states import need_run
from foster.ui.widgets import fill_form, source_menu, spec_form

selection = frame("Distil", Prefer.ACTIVE)
heading(
    "Condense a log",
    "The budget is the number of synthetic sequences times their length. Start small: the loss moves and titles can "
    "be read long before a run has ended.",
)
varied = selection.run if address.asked("run") else None
working = selection.status is not None and not selection.status.is_terminal
with st.container(key="distil-working" if working else "distil-resting"):
    bench, sight = st.columns([4, 8], gap="large")
with bench:
    source = source_menu(sources(selection.store), varied)
    look = "Look inside it, or bring your own" if selection.uploads else "Look inside it"
    st.page_link("pages/data.py", label=look, query_params=address.carried())
    if varied is not None:
        fill_form(varied)
    spec = None if source is None else spec_form(RunSpec(data=source.path))
    ready = source is not None and spec is not None and estimate(selection, source, spec)
    asked = st.button("Distil", type="primary", icon=":material/science:", disabled=not ready, width="stretch")
    if asked and ready and spec is not None:
        live.start(selection, spec)
with sight, st.container(key="sight"):
    if selection.run is None and selection.unknown is None and selection.problem is None:
        live.idle(selection)
    else:
        live.live(selection, *need_run(selection))
    live.queue(selection)
