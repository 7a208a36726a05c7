"""The Recommend page's content: compose a history → each student's list → where they agree."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from foster.errors import UserError
from foster.runs import Run, RunState, RunStatus
from foster.ui import address, lists, load, words
from foster.ui.lineup import row_name
from foster.ui.markup import plain, show, tag
from foster.ui.shelf import ROWS, Shelf, kept, shelf
from foster.ui.state import Selection, simulated
from foster.ui.states import note

LONGEST = 50  # titles in a history
OFFERED = 20_000  # titles to choose from; the most popular of a larger catalogue


def recommendations(selection: Selection, run: Run, status: RunStatus) -> None:
    if not kept(run):
        _no_students(selection, run, status)
        return
    items = load.table(run, "items")
    try:
        found = shelf(run, selection.store.cache_of(run))
    except UserError as error:
        note("The students cannot be asked", str(error), "bad")
        _to_distil()
        return
    if items is None or not found.scorers:
        note("No student can be read", next(iter(found.problems.values()), "The run's items are missing."), "bad")
        _to_distil()
        return
    titles = items["title"].tolist()
    history, came_next = _history(found, items, titles)
    _answers(found, history, came_next, titles, status)
    if said := simulated(run.spec.data):
        st.caption(said)


def _no_students(selection: Selection, run: Run, status: RunStatus) -> None:
    if run.shipped:
        note(
            "This run has no students",
            "It is shipped without the models of its students, so that the sample stays small: there is nobody to ask. "
            "Its sequences and its numbers are all there, and the demo run has its students.",
        )
        if selection.demo is not None and selection.demo != run:
            st.page_link(
                "pages/recommend.py",
                label="Ask the students of the demo",
                icon=":material/play_circle:",
                query_params=address.carried(run=selection.demo.id),
            )
    elif not status.is_terminal:
        note("No students yet", "A run keeps its students when it has trained them, near its end.")
    elif status.state is RunState.DONE:
        note(
            "This run kept no students",
            "It was made before foster kept them, so there is nobody to ask. Distil the same once more: with the same "
            "settings it ends with the same numbers, and with its students.",
        )
        _to_distil()
    else:
        note("No students", "The run ended before it had trained any. Resume it, or start another one.")


def _to_distil() -> None:
    st.page_link("pages/distil.py", label="Distil", icon=":material/science:", query_params={})


def _history(found: Shelf, items: pd.DataFrame, titles: Sequence[str]) -> tuple[list[int], int | None]:
    """The history to continue, and what really came next if it is an untouched example."""
    numbers = [str(number) for number in range(1, len(found.examples) + 1)]
    written = address.asked_list("items")
    reader = address.pick("reader", numbers, numbers[0]) if numbers else None
    history, came_next = _read(found, written, reader)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.session_state["choose-reader"] = reader if written is None else None
        st.selectbox(
            "Start from a reader of the log",
            numbers,
            format_func=lambda number: _example_text(found, number, titles),
            key="choose-reader",
            on_change=lambda: address.put(reader=st.session_state["choose-reader"], items=None),
            placeholder="Your own history",
            width=330,
        )
        _adder(history, items, titles)
        if history:
            st.button("Clear", key="clear", type="tertiary", icon=":material/delete:", on_click=_put, args=([],))
    if written is not None and (lost := len(written) - len(history)):
        said = f"{words.plural(lost, 'entry', 'entries')} of the address cannot be used here: left out."
        show(tag("p", said, class_="hint", role="status"))
    if came_next is not None and reader == numbers[0]:
        show(tag("p", _typical(found, len(history)), class_="hint"))
    _strip(history, titles)
    return history, came_next


def _read(found: Shelf, written: Sequence[str] | None, reader: str | None) -> tuple[list[int], int | None]:
    if written is not None:
        rows = [int(each) for each in written if each.isdecimal() and int(each) < found.n_items]
        return rows[:LONGEST], None
    if reader is not None:
        example = found.examples[int(reader) - 1]
        return list(example.items), example.next
    return [], None


def _example_text(found: Shelf, number: str, titles: Sequence[str]) -> str:
    last = found.examples[int(number) - 1].items[-1]
    who = f"Reader {number}, a typical one" if number == "1" else f"Reader {number}"
    return f"{who}, last {plain(titles[last], 40)}"


def _typical(found: Shelf, shown: int) -> str:
    """By which rule the first reader was chosen, in words."""
    many, events = words.plural(found.n_readers, "reader"), words.plural(found.usual_events, "training event")
    said = (
        f"Reader 1 is chosen by length alone, not by how well the lists do: {events} are the median of {many}, and "
        "this is the first in the log who has so many."
    )
    return said if shown == found.usual_events else f"{said} The last {shown} are shown."


def _strip(history: list[int], titles: Sequence[str]) -> None:
    """The history from left to right, each title with a way to move it forward and to take it out."""
    if not history:
        return
    show(tag("h2", "After these titles"))
    with st.container(key="history", horizontal=True, gap="small"):
        for place, item in enumerate(history):
            with st.container(key=f"entry-{place}", width=121, gap="xxsmall"):
                number = tag("span", str(place + 1), class_="place")
                title = tag("bdi", plain(titles[item], 70), title=plain(titles[item], 400))
                show(tag("p", number, title, class_="entry"))
                with st.container(horizontal=True, gap="xxsmall", horizontal_alignment="right"):
                    if place:
                        st.button(
                            f"Move title {place + 1} one place forward",
                            key=f"up-{place}",
                            type="tertiary",
                            icon=":material/arrow_back:",
                            on_click=_put,
                            args=(_swapped(history, place),),
                        )
                    st.button(
                        f"Remove title {place + 1}",
                        key=f"remove-{place}",
                        type="tertiary",
                        icon=":material/close:",
                        on_click=_put,
                        args=(history[:place] + history[place + 1 :],),
                    )


def _adder(history: list[int], items: pd.DataFrame, titles: Sequence[str]) -> None:
    popular = items["popularity"].to_numpy()
    rows = items["item"].tolist() if len(items) <= OFFERED else (-popular).argsort(kind="stable")[:OFFERED].tolist()
    st.session_state["add-title"] = None
    st.selectbox(
        "Add a title",
        rows,
        index=None,
        format_func=lambda row: plain(titles[row], 120),
        key="add-title",
        on_change=_add,
        args=(history,),
        placeholder="Type a word of a title",
        disabled=len(history) >= LONGEST,
        width=330,
    )


def _swapped(history: list[int], place: int) -> list[int]:
    return [*history[: place - 1], history[place], history[place - 1], *history[place + 1 :]]


def _add(history: list[int]) -> None:
    if (row := st.session_state["add-title"]) is not None:
        _put([*history, row])


def _put(history: Sequence[int]) -> None:
    address.put_list("items", history)
    address.put(reader=None)


def _answers(found: Shelf, history: list[int], came_next: int | None, titles: Sequence[str], status: RunStatus) -> None:
    show(tag("h2", "What each student would recommend next"))
    if not history:
        note("Nothing to go on", "Choose a reader, or add a title: the students continue what they read.")
        return
    answered = found.lists(history, lists.DEEP)
    shown = lists.beside(answered)
    agreement, truth = st.columns(2, gap="large")
    with agreement:
        if text := lists.agreement_text(shown):
            show(tag("p", text, class_="say", role="status"))
    with truth:
        if came_next is not None:
            show(lists.truth_text(answered, came_next, titles))
    show(lists.cards(shown, titles, came_next))
    for row, problem in found.problems.items():
        note(f"{row_name(row)} cannot be read", problem, "bad")
    missing = [row for row in ROWS if row not in found.scorers and row not in found.problems]
    if missing and not status.is_terminal:
        show(tag("p", f"Still to come: {', '.join(row_name(row).lower() for row in missing)}.", class_="hint"))
    _small_print(found)
    with st.expander("The same as a table"):
        st.dataframe(
            lists.as_table(shown, titles),
            hide_index=True,
            alt="The first ten recommendations of each student, place by place, with their shift against everything",
        )


def _small_print(found: Shelf) -> None:
    reads = sorted({(count, row) for row, count in found.reads.items()})
    fewest, most = reads[0][0], reads[-1][0]
    told = f"the last {most} titles" if fewest == most else f"the last {fewest} to {most} titles"
    again = (
        "A title may come again." if found.repeats else "Nobody takes an item twice in this log: nothing comes again."
    )
    st.caption(
        f"↑ and ↓ count places against the list of everything, “new” is not in its first {lists.SHOWN}; the line under "
        "a title is as long as the student thinks it likely. Each list is one student's, that of the first seed; a "
        f"student reads {told}. {again}"
    )
