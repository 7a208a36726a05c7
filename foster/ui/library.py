"""The Data page's content: which data set → what it holds, or a way to bring one's own; and to take it away again."""

from __future__ import annotations

from enum import StrEnum

import streamlit as st

from foster.data_store import DataStore
from foster.errors import UserError
from foster.ui import address, datasets, guard, words
from foster.ui.anatomy import anatomy
from foster.ui.sources import Origin, Source, source_of, sources
from foster.ui.state import Selection
from foster.ui.states import attempt, note
from foster.ui.upload import SAVED, upload


class View(StrEnum):
    LOOK = "look"
    BRING = "bring"


VIEWS = {View.LOOK: "Look inside", View.BRING: "Bring your own"}


def library(selection: Selection) -> None:
    found = sources(selection.store)
    view = View.LOOK
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        source = _menu(selection, found)
        if selection.uploads:
            view = address.segments("view", "What to do", list(View), View.LOOK, format_func=VIEWS.__getitem__,
                                    label_visibility="collapsed")  # fmt: skip
        if source is not None and view is View.LOOK:
            st.space("stretch")
            st.page_link(
                "pages/distil.py",
                label="Distil this log",
                icon=":material/science:",
                query_params=address.carried(data=source.key, five=None, q=None, view=None),
            )
    st.space("xsmall")
    if view is View.BRING:
        upload(selection)
        return
    if source is None:
        asked = (address.asked("data") or "")[:60]
        note("There is no such data set", f"The address asks for {asked!r}; choose one of the list above.", "bad")
        return
    _told_saved(source)
    try:
        log = datasets.log_of(source)
    except UserError as error:
        note("This data set cannot be read", str(error), "bad")
    else:
        anatomy(source, log)
    if source.origin is Origin.OWN and selection.uploads:
        _delete(selection, source)


def _menu(selection: Selection, found: tuple[Source, ...]) -> Source | None:
    """The data set that the address asks for, else that of the run, else the sample; None for an unknown one."""
    keys = {source.key: source for source in found}
    default: str | None = found[0].key
    if address.asked("data") is not None:
        default = found[0].key if address.asked("data") in keys else None
    elif selection.run is not None and (mine := source_of(selection.store, selection.run.spec.data)):
        default = mine.key
    chosen = address.menu(
        "data",
        "Data set",
        list(keys),
        default,
        format_func=lambda key: f"{keys[key].name}, {keys[key].origin}" if key in keys else key,
        clears=("five", "q", "view"),
        placeholder="Choose a data set",
        width=360,
    )
    return None if chosen is None else keys[chosen]


def _told_saved(source: Source) -> None:
    if st.session_state.pop(SAVED, None) == source.slug:
        note("Saved", f"{source.name} is listed here and on Distil from now on.", "good")


def _delete(selection: Selection, source: Source) -> None:
    store = DataStore(selection.store)
    with st.popover("Delete this data set", icon=":material/delete:", width="content"):
        active, resumable = store.used_by(source.slug)
        if active:
            st.text(f"It is used by {words.plural(len(active), 'run')} that work or wait; stop them first.")
            return
        st.text(
            f"The files of {source.name} are removed from this machine for good. Finished runs on it stay readable."
        )
        if resumable:
            st.text(f"{words.plural(len(resumable), 'stopped run')} could then not go on.")
        asked = st.button("Delete for good", key="delete-data", type="primary", icon=":material/delete_forever:")
        if asked and attempt(lambda: guard.edit(lambda: store.delete(source.slug))):
            address.put(data=None, five=None, q=None)
            st.rerun()
