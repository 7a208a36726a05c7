"""What is done to a kept run: name, note, stop, resume, take away, delete. Callbacks act before the page is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from foster.disk import taken_bytes
from foster.errors import UserError
from foster.removal import remove_run
from foster.run_label import MAX_NAME, MAX_NOTE, RunLabel, write_label
from foster.runs import Run, RunState, RunStatus, RunStore
from foster.ui import address, guard, words
from foster.ui.markup import show, tag
from foster.ui.states import note, resume_button
from foster.ui.storage import sizes
from foster.ui.takeaway import takeaway

SAID = "keeping-said"  # what the last action came to, shown once


def tell() -> None:
    if said := st.session_state.pop(SAID, None):
        note(*said)


def manage(store: RunStore, run: Run, status: RunStatus, label: RunLabel) -> None:
    edits = guard.policy().edits and not run.read_only
    if run.shipped:
        show(tag("p", "This run is shipped with the sample: it cannot be renamed or deleted.", class_="hint"))
    elif refusal := guard.refusal(run):
        show(tag("p", refusal, class_="hint"))
    if edits:
        with st.form(f"label-{run.id}", border=False):
            name, text = st.columns([4, 6], gap="medium")
            name.text_input("Name", label.name, max_chars=MAX_NAME, key=f"name-{run.id}", placeholder="none")
            text.text_area("Note", label.note, max_chars=MAX_NOTE, key=f"note-{run.id}", height=80, placeholder="none")
            st.form_submit_button("Save name and note", icon=":material/save:", on_click=_rename, args=(run,))
    if status.state is RunState.DONE:
        takeaway(run, status)
    if not run.read_only and not guard.refusal(run):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            if not status.is_terminal:
                st.button(
                    "Stop",
                    key=f"stop-{run.id}",
                    icon=":material/stop:",
                    disabled=run.stop_requested,
                    on_click=act,
                    args=(lambda: guard.stop(run), f"Run {run.id} stops at its next step and is kept."),
                )
            elif status.state is not RunState.DONE:
                resume_button(store, run)
            if edits:
                _delete(store, run, status)


def _delete(store: RunStore, run: Run, status: RunStatus) -> None:
    """Two presses: the first says what will be gone."""
    asking = f"asked-{run.id}"
    if not status.is_terminal:
        st.button("Delete", key=f"delete-{run.id}", icon=":material/delete:", disabled=True, help="Stop it first.")
    elif not st.session_state.get(asking):
        st.button("Delete …", key=f"delete-{run.id}", icon=":material/delete:", on_click=_set, args=(asking, True))
    else:
        show(tag("p", f"Delete this run, {words.size(taken_bytes(run.path))}, for good?", role="alert"), "content")
        st.button(
            "Yes, delete it",
            key=f"sure-{run.id}",
            type="primary",
            icon=":material/delete_forever:",
            on_click=_remove,
            args=(store, run.id),
        )
        st.button("Keep it", key=f"keep-{run.id}", on_click=_set, args=(asking, False))


def _set(key: str, value: Any) -> None:
    st.session_state[key] = value


def act(do: Callable[[], object], said: str) -> None:
    """In a callback: the page is drawn after it, with what it came to at the top."""
    try:
        do()
    except UserError as error:
        st.session_state[SAID] = ("That did not work", str(error), "bad")
    else:
        st.session_state[SAID] = ("Done", said, "good")
    sizes.clear()


def _rename(run: Run) -> None:
    texts = [st.session_state[f"{what}-{run.id}"] or "" for what in ("name", "note")]
    act(lambda: guard.edit(lambda: write_label(run, RunLabel(*texts))), f"Name and note of run {run.id} are kept.")


def _remove(store: RunStore, run_id: str) -> None:
    def remove() -> None:
        guard.edit(lambda: remove_run(store, run_id))
        address.put(run=None)

    st.session_state.pop(f"asked-{run_id}", None)
    act(remove, f"Run {run_id} is deleted.")
