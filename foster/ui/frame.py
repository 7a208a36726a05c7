"""The frame of every page: its title in the browser, the way to the other pages, and which run is looked at."""

from __future__ import annotations

from pathlib import Path
from unicodedata import east_asian_width

import streamlit as st

from foster.errors import UserError
from foster.ui import address
from foster.ui.markup import join, show, tag
from foster.ui.state import Prefer, Selection, label, select
from foster.ui.states import note

HERE = Path(__file__).parent
PAGES = {
    "Start": "app.py",
    "Data": "pages/data.py",
    "Distil": "pages/distil.py",
    "Sequences": "pages/sequences.py",
    "Map": "pages/map.py",
    "Compare": "pages/compare.py",
    "Recommend": "pages/recommend.py",
    "Runs": "pages/runs.py",
    "Learn": "pages/learn.py",
}
SHOWN_RUNS = 200  # the newest; older ones open by their address
# Pixels of the run picker: room for its arrow, a wide letter, and what it may take.
ARROW, LETTER, NARROWEST, WIDEST, PHONE = 58, 7, 260, 720, 350


def frame(title: str, prefer: Prefer = Prefer.FINISHED, picks: bool = True) -> Selection:
    """Every page calls this first and shows the run that comes back. picks: whether the page is about a run."""
    st.set_page_config(page_title=f"{title} · foster", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.html(HERE / "style.css")
    try:
        selection = select(PAGES[title], prefer)
    except UserError as error:  # the server was started with words that it does not know
        note("This page stays closed", join(str(error)), "bad")
        st.stop()
    with st.container(key="frame", horizontal=True, vertical_alignment="center", gap="small"):
        _wordmark()
        with st.container(key="pages", horizontal=True, width="content", gap="xxsmall"):
            for name, page in PAGES.items():
                st.page_link(page, label=name, query_params=address.carried())
        st.space("stretch")
        if selection.runs and picks:
            _run_picker(selection)
    if sentence := selection.policy.sentence:
        show(tag("p", sentence, class_="visitor"))
    return selection


def _wordmark() -> None:
    dots = [tag("i") for _ in range(9)]
    mark = tag("span", *dots, class_="mark", aria_hidden="true")
    show(tag("div", mark, tag("span", "foster"), class_="wordmark"), width="content")


def _run_picker(selection: Selection) -> None:
    names = {run.id: label(run, status) for run, status in selection.runs[:SHOWN_RUNS]}
    if selection.run is not None and selection.status is not None:
        names.setdefault(selection.run.id, label(selection.run, selection.status))
    chosen = selection.run.id if selection.run is not None else None
    room = _room(names[chosen]) if chosen is not None else NARROWEST
    address.menu(
        "run",
        "Run",
        list(names),
        chosen,
        format_func=lambda run_id: names.get(run_id, run_id),
        clears=("step", "sequence", "page", "area", "chosen", "data"),
        label_visibility="collapsed",
        placeholder="Choose a run",
        width=max(NARROWEST, min(room, WIDEST)),
    )
    if chosen is not None and room > PHONE:  # a field of one line would cut it off
        show(tag("p", names[chosen], class_="run-name" if room <= WIDEST else "run-name always"))


def _room(text: str) -> int:
    """Pixels in which the picker shows a label whole; letters of two columns count twice.

    >>> _room("Demo: sample books, 20 × 20, γ 0.1"), _room("本" * 10)
    (296, 198)
    """
    return ARROW + LETTER * sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def heading(title: str, lead: str = "") -> None:
    """A page's headline and one plain sentence; both are our own words."""
    show(tag("header", tag("h1", title), tag("p", lead, class_="lead") if lead else None, class_="page-head"))
