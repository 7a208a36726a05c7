"""The Sequences page's content: controls → rows → a summary, a page of rows, the open row, the same as a table."""

from __future__ import annotations

from enum import StrEnum

import streamlit as st

from foster.runs import Run, RunStatus
from foster.ui import address, load, titles, words
from foster.ui.markup import plain, show, tag
from foster.ui.rows import Row, hard_view, rows_of_result, rows_of_snapshot
from foster.ui.states import note

A_PAGE = 10  # rows
RESULT = "result"


class Form(StrEnum):
    SOFT = "soft"
    HARD = "hard"


def sequences(run: Run, status: RunStatus) -> None:
    steps = [str(step) for step in run.snapshots()]
    result = load.table(run, "sequences")
    moments = [*steps, *([RESULT] if result is not None else [])]
    if not moments:
        if status.is_terminal:
            note("No sequences", "This run ended before it had any. Resume it, or start another one on Distil.")
        else:
            note("No sequences yet", "They appear here with the first step of the distillation.")
        return

    left, middle, right = st.columns([2, 4, 3], gap="medium")
    with middle:
        moment = _scrub(moments)
    with left:
        form = _form(moment)
    with right:
        query = address.search("q", "Search the titles", placeholder="A word of a title")
    rows = _rows(run, moment, form)
    _summary(rows, moment, form)
    found = {row.number: row.matches(query) for row in rows} if query else {}
    shown = _filtered(rows, query, found)
    if any(place.known for row in rows for place in row.places):
        st.caption("In this log nobody takes an item twice, so a card leaves out what was read before it in its row.")
    _pages(shown, form is Form.SOFT, found)
    _twin(shown)


def _scrub(moments: list[str]) -> str:
    if len(moments) == 1:
        st.text(f"Moment: {_moment(moments[0])}")
        return moments[0]
    return address.scrubber("step", "Moment of the distillation", moments, moments[-1], format_func=_moment)


def _moment(moment: str) -> str:
    return "result" if moment == RESULT else f"step {words.count(int(moment))}"


def _form(moment: str) -> Form:
    if moment != RESULT:
        st.segmented_control(
            "Form", ["Soft"], default="Soft", disabled=True, help="The hard form is made from the result."
        )
        return Form.SOFT
    return address.segments(
        "form",
        "Form",
        list(Form),
        Form.SOFT,
        format_func=lambda form: form.value.capitalize(),
        help="Soft: the stored distributions. Hard: plain lists of items, usable in any trainer.",
    )


def _rows(run: Run, moment: str, form: Form) -> list[Row]:
    stored = load.table(run, "sequences")
    result = [] if stored is None else rows_of_result(stored, load.table(run, "neighbours"))
    if moment == RESULT:
        return hard_view(result) if form is Form.HARD else load.told(run, result)
    shot, items = load.snapshot(run, int(moment)), load.table(run, "items")
    if shot is None:
        return []
    names = {} if items is None else dict(zip(items["item"].tolist(), items["title"].tolist(), strict=True))
    return load.told(run, rows_of_snapshot(shot, names, result))


def _summary(rows: list[Row], moment: str, form: Form) -> None:
    places = [place for row in rows for place in row.places]
    if not places:
        return
    figures = [("Sequences", words.count(len(rows)), f"of {len(rows[0].places)} positions")]
    if read := {place.read[0].title for place in places if place.read}:
        figures.append(("Titles read", words.count(len(read)), f"at {words.count(len(places))} positions"))
    if taught := [place.taught for place in places if place.taught]:
        figures.append(("Titles taught", words.count(len({each.title for each in taught})), "first recommendations"))
        mean = sum(each.weight for each in taught) / len(taught)
        figures.append(("How sure", words.share(mean), "mean weight of the first recommendation"))
    overlaps = [row.facts["overlap"] for row in rows if row.facts.get("overlap") is not None]
    if overlaps:
        figures.append(
            ("Nearest real user", words.share(max(overlaps)), "largest overlap of items; 100\u00a0% is a copy")
        )
    repetitions = [row.facts["repetition"] for row in rows if row.facts.get("repetition") is not None]
    if repetitions:
        mean = sum(repetitions) / len(repetitions)
        figures.append(("Repetition", words.share(mean), "of positions, mean over sequences"))
    diversities = [row.facts["diversity"] for row in rows if row.facts.get("diversity") is not None]
    if diversities:
        figures.append(
            ("Diversity", f"{sum(diversities) / len(diversities):.2f}", "0: all alike in text; 1: unrelated")
        )
    st.space("xsmall")
    show(titles.stats(figures))
    if moment != RESULT:
        st.caption("Overlap, repetition and diversity are measured on the hard form of the result: slide to the end.")


def _filtered(rows: list[Row], query: str, found: dict[int, frozenset[int]]) -> list[Row]:
    if not query:
        return rows
    shown = [row for row in rows if found[row.number]]
    hits = sum(len(positions) for positions in found.values())
    said = f"{words.plural(hits, 'card')} in {words.plural(len(shown), 'sequence')} hold" + ("s" if hits == 1 else "")
    show(tag("p", f"{said} “{query}”." if shown else f"No shown title holds “{query}”.", role="status", class_="say"))
    return shown


def _pages(rows: list[Row], soft: bool, found: dict[int, frozenset[int]]) -> None:
    if not rows:
        return
    asked = address.asked("sequence")
    opened = int(asked) - 1 if asked is not None and asked.isdecimal() else None
    last = (len(rows) - 1) // A_PAGE + 1
    page = 1
    if last > 1:
        default = 1 + next((i for i, row in enumerate(rows) if row.number == opened), 0) // A_PAGE
        control = address.segments if last <= 12 else address.scrubber
        page = control(
            "page",
            "Rows",
            list(range(1, last + 1)),
            default,
            format_func=lambda number: _span(number, len(rows)),
            label_visibility="collapsed",
        )
    for row in rows[(page - 1) * A_PAGE : page * A_PAGE]:
        _row(row, row.number == opened, soft, found.get(row.number, frozenset()))


def _span(page: int, rows: int) -> str:
    return f"{(page - 1) * A_PAGE + 1}–{min(page * A_PAGE, rows)}"


def _row(row: Row, opened: bool, soft: bool, found: frozenset[int]) -> None:
    number = row.number + 1
    with st.container(key=f"row-{row.number}", gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            facts = tag("span", titles.facts_line(row), class_="hint")
            show(tag("p", tag("strong", f"Sequence {number}"), facts, class_="row-head"), width="content")
            if soft:
                st.button(
                    "Close" if opened else "Alternatives",
                    key=f"open-{row.number}",
                    type="tertiary",
                    icon=":material/unfold_less:" if opened else ":material/unfold_more:",
                    on_click=address.put,
                    kwargs={"sequence": None if opened else number},
                    help=f"{'Close' if opened else 'Show the alternatives at every position of'} sequence {number}",
                )
        if opened and soft:
            if (user := row.facts.get("nearest_user")) is not None:
                show(tag("p", "Nearest real user of its hard form: ", tag("bdi", plain(str(user), 60)), class_="hint"))
            show(titles.ladder(row, found))
        else:
            show(titles.strip(row, found))


def _twin(rows: list[Row]) -> None:
    with st.expander("The same as a table"):
        st.dataframe(
            titles.as_table(rows),
            hide_index=True,
            height=420,
            alt="Every shown sequence and position with what is read, what is recommended next, and the alternatives",
            column_config={"Weight": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)},
        )
