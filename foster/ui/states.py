"""What a page says when there is nothing, not yet, or no longer something to show, and the step that follows.

Every state of a run has its sentence and its next step here. Messages of errors are data and are shown as text.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from foster.errors import UserError
from foster.runs import Run, RunState, RunStatus, RunStore
from foster.ui import address, guard, words
from foster.ui.markup import Markup, show, tag
from foster.ui.state import Selection, label

TITLES = {
    RunState.QUEUED: "Waiting in the queue",
    RunState.RUNNING: "Working",
    RunState.DONE: "Finished",
    RunState.FAILED: "Failed",
    RunState.STOPPED: "Stopped",
    RunState.LOST: "Lost",
}


def need_run(selection: Selection) -> tuple[Run, RunStatus]:
    """The run of this page; where there is none the page says why, offers the way on and ends."""
    if selection.problem:
        note("The runs cannot be read", selection.problem, kind="bad")
        st.stop()
    if selection.unknown is not None:
        note(
            "There is no such run",
            f"The address asks for {selection.unknown[:80]!r}, which is not in this store.",
            "bad",
        )
        _offer(selection)
        st.stop()
    if selection.run is None or selection.status is None:
        note("No run yet", "Nothing has been distilled here so far. The sample is there to begin with.")
        _offer(selection)
        st.stop()
    return selection.run, selection.status


def _offer(selection: Selection) -> None:
    """Links to what there is instead."""
    with st.container(horizontal=True):
        if selection.demo is not None:
            st.page_link(
                selection.page,
                label="Open the demo",
                icon=":material/play_circle:",
                query_params={"run": selection.demo.id},
            )
        st.page_link("pages/distil.py", label="Distil something", icon=":material/science:", query_params={})
    if selection.runs:
        show(tag("h2", "Runs in this store"))
        run_links(selection)


def run_links(selection: Selection) -> None:
    """The newest runs, each opening this page."""
    for run, status in selection.runs[:20]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(selection.page, label=run.id, query_params={"run": run.id})
            st.text(label(run, status), width="content")


def note(title: str, text: str = "", kind: str = "plain") -> None:
    """A quiet box. kind: plain, good or bad; the title says it too, so colour is never alone."""
    body = [tag("p", text if isinstance(text, Markup) else guard.policy().tell(text))] if text else []
    show(tag("section", tag("h2", title), *body, class_=f"note {kind}", role="alert" if kind == "bad" else "status"))


def banner(store: RunStore, run: Run, status: RunStatus, ready: str = "", *, here: bool = False) -> None:
    """Says where an unfinished run stands; silent for a finished one.

    ready: what this page can show already. here: this page is the one where a run is watched.
    """
    if status.state is RunState.DONE:
        return
    title = TITLES[status.state] if not status.paused else "Paused"
    text, kind = _sentence(run, status)
    if status.state is RunState.QUEUED and not status.paused and _is_next(store, run, status):
        title, text = "Starting…", "Nothing is ahead of it, so it begins in a moment."
    note(title, f"{text} {ready}".strip(), kind)
    with st.container(horizontal=True):
        if status.state in (RunState.LOST, RunState.STOPPED, RunState.FAILED):
            resume_button(store, run)
        if not here:
            way = "Details and log on Distil" if status.is_terminal else "Watch it on Distil"
            st.page_link("pages/distil.py", label=way, query_params=address.carried(run=run.id))


def _is_next(store: RunStore, run: Run, status: RunStatus) -> bool:
    """Whether no other run of the queue is at work or waits longer, as `foster.launch.drain` takes them."""
    try:
        others = [(other, its) for other, its in store.survey()[0] if not its.is_terminal and not other.read_only]
    except UserError:
        return False
    mine = (status.created, run.id)
    return not any(its.state is RunState.RUNNING or (its.created, other.id) < mine for other, its in others)


def _sentence(run: Run, status: RunStatus) -> tuple[str, str]:
    done = words.share(status.fraction)
    if status.state is RunState.QUEUED:
        return "It starts as soon as the runs before it have ended.", "plain"
    if status.state is RunState.RUNNING:
        left = f", about {words.duration(status.eta_s)} to go" if status.eta_s else ""
        return f"{done} done{left}. The run goes on when this page is closed.", "plain"
    if status.state is RunState.STOPPED:
        return (
            f"Stopped on request at {done}. What was computed is kept; it can go on from its last checkpoint.",
            "plain",
        )
    if status.state is RunState.LOST:
        return (
            f"Its worker ended without a word at {done}, perhaps killed or out of memory. "
            "It can go on from its last checkpoint.",
            "bad",
        )
    reason = status.error or "The worker gave no reason; its log may."
    return f"{reason}. Put that right and resume, or start another run.".replace("..", "."), "bad"


def resume_button(store: RunStore, run: Run) -> None:
    """Puts a stopped, failed or lost run back into the queue."""
    if run.read_only:
        return
    if refusal := guard.refusal(run):
        show(tag("p", refusal, class_="hint"))
        return
    asked = st.button(
        "Resume from the last checkpoint", icon=":material/replay:", key=f"resume-{run.id}", type="primary"
    )
    if asked and attempt(lambda: guard.start(store, again=[run.id])):
        address.put(run=run.id)
        st.rerun()


def attempt(act: Callable[[], object]) -> bool:
    """Does what a person asked for; a UserError becomes a message. True if it worked."""
    try:
        act()
    except UserError as error:
        note("That did not work", str(error), kind="bad")
        return False
    return True
