"""The Sequences page's content: controls → rows → a summary, a page of rows, the open row, the same as a table."""

from __future__ import annotations

from enum import StrEnum

import streamlit as st

from foster.runs import Run, RunStatus
from foster.ui import address, chosen, load, moment, titles, words
from foster.ui.markup import plain, show, tag
from foster.ui.moment import RESULT
from foster.ui.rows import Row, hard_view
from foster.ui.states import note

A_PAGE = 10  # rows
NAMED = 3  # chosen items that are named


class Form(StrEnum):
    SOFT = "soft"
    HARD = "hard"


def sequences(run: Run, status: RunStatus) -> None:
    moments = moment.moments(run)
    if not moments:
        if status.is_terminal:
            note("No sequences", "This run ended before it had any. Resume it, or start another one on Distil.")
        else:
            note("No sequences yet", "They appear here with the first step of the distillation.")
        return

    left, middle, right = st.columns([2, 4, 3], gap="medium")
    with middle:
        now = moment.scrub(moments)
    with left:
        form = _form(now)
    with right:
        query = address.search("q", "Search the titles", placeholder="A word of a title")
    rows = load.rows(run, None if now == RESULT else int(now))
    rows = hard_view(rows) if form is Form.HARD else rows
    moment.figures(run, now)
    _summary(rows, now, form)
    rows, through = _through(run, rows)
    found = {row.number: row.matches(query) for row in rows} if query else {}
    shown = _filtered(rows, query, found)
    if any(place.known for row in rows for place in row.places):
        st.caption("In this log nobody takes an item twice, so a card leaves out what was read before it in its row.")
    _pages(shown, form is Form.SOFT, {row.number: found.get(row.number, through.get(row.number)) for row in shown})
    _twin(shown)


def _through(run: Run, rows: list[Row]) -> tuple[list[Row], dict[int, frozenset[int]]]:
    """The rows that use what is chosen on the map, and at which positions; all of them while nothing is chosen."""
    points = load.points(run)
    items = load.table(run, "items") if points is None else points
    found = None if items is None else chosen.chosen(items["item"])
    if items is None or found is None:
        return rows, {}
    chosen.told(found)
    if found.area is not None and points is None:
        note("No map yet", "An area can be read once the run has its map; until then all sequences are shown.")
        return rows, {}
    if not found:
        return rows, {}
    mine = items[found.mask(items)]
    wanted = set(mine["item"].tolist())
    through = {row.number: positions for row in rows if (positions := row.through(wanted))}
    names: list[str] = [part for title in mine["title"][:NAMED] for part in (", ", tag("bdi", plain(title, 60)))]
    if len(mine) > NAMED:
        names.append(f" and {words.count(len(mine) - NAMED)} more")
    said = f"{words.count(len(through))} of {words.plural(len(rows), 'sequence')} go through "
    of = f"the {words.plural(len(mine), 'item')} chosen on the map"
    show(tag("p", said, of, ": " if names else None, *names[1:], ".", role="status", class_="say"))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.page_link("pages/map.py", label="Change the selection on the map", icon=":material/scatter_plot:",
                     query_params=address.carried())  # fmt: skip
        chosen.clear_button("Show all sequences")
    return [row for row in rows if row.number in through], through


def _form(now: str) -> Form:
    if now != RESULT:
        st.text("Form: soft")
        st.caption("The hard form is made from the result.")
        return Form.SOFT
    return address.segments(
        "form",
        "Form",
        list(Form),
        Form.SOFT,
        format_func=lambda form: form.value.capitalize(),
        help="Soft: the stored distributions. Hard: plain lists of items, usable in any trainer.",
    )


def _summary(rows: list[Row], now: str, form: Form) -> None:
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
    if now != RESULT:
        st.caption("Overlap, repetition and diversity are measured on the hard form of the result: slide to the end.")


def _filtered(rows: list[Row], query: str, found: dict[int, frozenset[int]]) -> list[Row]:
    if not query:
        return rows
    shown = [row for row in rows if found[row.number]]
    hits = sum(len(positions) for positions in found.values())
    said = f"{words.plural(hits, 'card')} in {words.plural(len(shown), 'sequence')} hold" + ("s" if hits == 1 else "")
    show(tag("p", f"{said} “{query}”." if shown else f"No shown title holds “{query}”.", role="status", class_="say"))
    return shown


def _pages(rows: list[Row], soft: bool, found: dict[int, frozenset[int] | None]) -> None:
    if not rows:
        return
    asked = address.asked("sequence")
    opened = next((row.number for row in rows if str(row.number + 1) == asked), None)
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
        _row(row, row.number == opened, soft, found.get(row.number) or frozenset())


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
                st.page_link("pages/map.py", label="On the map", icon=":material/route:",
                             query_params=address.carried(sequence=number),
                             help=f"Draw sequence {number} as a path on the map")  # fmt: skip
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
