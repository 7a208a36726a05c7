"""The Sequences page's content: controls → rows → a summary, a page of rows, the open row, the same as a table."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import streamlit as st

from foster.runs import Run, RunStatus
from foster.ui import address, chosen, load, moment, second, summary, titles, words
from foster.ui.markup import plain, show, tag
from foster.ui.moment import RESULT
from foster.ui.pairs import LETTERS, Pair, in_common, pairs
from foster.ui.rows import Row, hard_view
from foster.ui.second import Second
from foster.ui.state import Selection, label
from foster.ui.states import note
from foster.verdict import METRIC, of_full, split_of

A_PAGE = 10  # rows
NAMED = 3  # chosen items that are named


class Form(StrEnum):
    SOFT = "soft"
    HARD = "hard"


def sequences(selection: Selection, run: Run, status: RunStatus) -> None:
    moments = moment.moments(run)
    if not moments:
        if status.is_terminal:
            note("No sequences", "This run ended before it had any. Resume it, or start another one on Distil.")
        else:
            note("No sequences yet", "They appear here with the first step of the distillation.")
        return

    left, middle, right, last = st.columns([2, 4, 2.5, 2.5], gap="medium")
    with middle:
        now = moment.scrub(moments)
    with left:
        form = _form(now)
    with right:
        query = address.search("q", "Search the titles", placeholder="A part of a title")
    with last:
        chosen_run = second.menu(selection, run)
    other = None if chosen_run is None else second.at(chosen_run, now, hard=form is Form.HARD)
    rows = _in(form, load.rows(run, None if now == RESULT else int(now)))
    others = [] if other is None else _in(form, other.rows())
    if other is None:
        if form is Form.HARD and (said := _worth_of_lists(run)):
            show(tag("p", said, class_="moment"))
        else:
            moment.figures(run, now)
        show(titles.stats(summary.figures(rows)))
    else:
        _both((run, label(run, status), now), rows, other, others, form)
    if now != RESULT:
        st.caption("Overlap, repetition and diversity are measured on the hard form of the result: slide to the end.")
    found = pairs(rows, others)
    found, through = _through(run, found)
    hits = {id(row): row.matches(query) for pair in found for row in pair.rows} if query else {}
    shown = _filtered(found, query, hits)
    if sessions := any(row.opens for row in (*rows, *others)):
        st.caption("A row is longer than a usual history of its log, so students read it in sessions, each anew.")
    if any(place.known for row in rows for place in row.places):
        within = "session" if sessions else "row"
        st.caption(
            "In this log nobody takes an item twice, so a card shows the likeliest title that was not read before "
            f"in its {within}."
        )
    _pages(shown, form is Form.SOFT, hits or through, beside=other is not None)
    _twin(shown)


def _worth_of_lists(run: Run) -> str:
    """What fresh students on the plain lists reach; '' where no report tells."""
    report = load.report(run)
    if report is None:
        return ""
    split, rows = split_of(report)
    share, score = of_full(rows, "hard"), rows.get("hard", {}).get(METRIC)
    if share is None or score is None:
        return ""
    reached = f"Recall@10 {words.score(score['mean'])} on {split} items, {words.share(share)} of full data"
    return f"Fresh students on these plain lists reach {reached}."


def _in(form: Form, rows: list[Row]) -> list[Row]:
    return hard_view(rows) if form is Form.HARD else rows


def _both(shown: tuple[Run, str, str], rows: list[Row], other: Second, others: list[Row], form: Form) -> None:
    """Two runs: which is which, each at its moment, and how much they have in common."""
    now, late = shown[2], ""
    if other.moment != now:
        late = " It has no result yet." if now == RESULT else f" It has no later snapshot up to {moment.told(now)}."
    both = ((*shown, ""), (other.run, other.name, other.moment, late))
    items = [
        tag("li", tag("b", letter), tag("span", tag("bdi", plain(name, 120)), tag("br"),
                                        tag("span", moment.of(run, at), after, class_="moment")))
        for letter, (run, name, at, after) in zip(LETTERS, both, strict=True)
    ]  # fmt: skip
    show(tag("ul", *items, class_="letters", aria_label="The two runs, their letters and moments"))
    a, b = LETTERS
    show(summary.beside({a: summary.figures(rows), b: summary.figures(others)}))
    (mine, shared), (theirs, _) = in_common(rows, others), in_common(others, rows)
    what = "read" if form is Form.HARD else "recommended"
    told = f"{words.plural(shared, 'title')} {'is' if shared == 1 else 'are'} {what} by both runs: "
    told += f"{words.share(shared / max(1, mine))} of {a}’s {words.count(mine)}, "
    told += f"{words.share(shared / max(1, theirs))} of {b}’s {words.count(theirs)}."
    show(tag("p", told, class_="say", role="status"))
    how = f"Below each sequence of {a} stands the one of {b} most like it in titles, each only once."
    if len(others) > len(rows):
        how += f" {words.count(len(others) - len(rows))} of {b}’s are left over."
    show(tag("p", f"{how} A card says “both” where its title is {what} in the other row, too.", class_="hint"))
    st.page_link("pages/compare.py", label="Compare what they are worth", icon=":material/compare_arrows:",
                 query_params=address.carried(beside=other.run.id, q=None, step=None))  # fmt: skip


def _through(run: Run, found: list[Pair]) -> tuple[list[Pair], dict[int, frozenset[int]]]:
    """The rows that use what is chosen on the map, and by id of a row at which positions; all of them while nothing is
    chosen."""
    points = load.points(run)
    items = load.table(run, "items") if points is None else points
    picked = None if items is None else chosen.chosen(items["item"])
    if items is None or picked is None:
        return found, {}
    chosen.told(picked)
    if picked.area is not None and points is None:
        note("No map yet", "An area can be read once the run has its map; until then all sequences are shown.")
        return found, {}
    if not picked:
        return found, {}
    mine = items[picked.mask(items)]
    if "mass" in mine:  # in the order in which the map names them
        mine = mine.sort_values("mass", ascending=False, kind="stable")
    wanted = set(mine["item"].tolist())
    through = {id(pair.row): positions for pair in found if (positions := pair.row.through(wanted))}
    names: list[str] = [part for title in mine["title"][:NAMED] for part in (", ", tag("bdi", plain(title, 60)))]
    if len(mine) > NAMED:
        names.append(f" and {words.count(len(mine) - NAMED)} more")
    said = f"{words.count(len(through))} of {words.plural(len(found), 'sequence')} go through "
    of = f"the {words.plural(len(mine), 'item')} chosen on the map"
    show(tag("p", said, of, ": " if names else None, *names[1:], ".", role="status", class_="say"))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.page_link("pages/map.py", label="Change the selection on the map", icon=":material/scatter_plot:",
                     query_params=address.carried())  # fmt: skip
        chosen.clear_button("Show all sequences")
    return [pair for pair in found if id(pair.row) in through], through


def _form(now: str) -> Form:
    """Soft or hard; only the result has a hard form, so before it the choice stands there and cannot be made."""
    looks: dict[str, Any] = {"format_func": lambda form: form.value.capitalize()}
    if now != RESULT:
        why = "The hard form comes with the result: slide to the end to read it."
        st.segmented_control(
            "Form", list(Form), default=Form.SOFT, key=f"early-form-{now}", disabled=True, help=why, **looks
        )
        return Form.SOFT
    told = "Soft: the stored distributions. Hard: plain lists of items, usable in any trainer."
    return address.segments("form", "Form", list(Form), Form.SOFT, help=told, **looks)


def _filtered(found: list[Pair], query: str, hits: dict[int, frozenset[int]]) -> list[Pair]:
    if not query:
        return found
    shown = [pair for pair in found if any(hits[id(row)] for row in pair.rows)]
    cards = sum(len(positions) for positions in hits.values())
    held = sum(1 for positions in hits.values() if positions)
    said = f"{words.plural(cards, 'card')} in {words.plural(held, 'sequence')} hold" + ("s" if cards == 1 else "")
    rest = f" {words.count(len(found) - len(shown))} without it left out." if len(shown) < len(found) else ""
    said = f"{said} “{query}”.{rest}" if shown else f"No shown title holds “{query}”."
    if more := sum(row.reads_title(query) for pair in found for row in pair.rows if not hits[id(row)]):
        others = "others read" if more > 1 else "other reads"
        said += f" {words.count(more)} {others} such a title in further readings, which cards do not show."
    show(tag("p", said, role="status", class_="say"))
    return shown


def _pages(found: list[Pair], soft: bool, hits: dict[int, frozenset[int]], *, beside: bool) -> None:
    if not found:
        return
    asked = address.asked("sequence")
    opened = next((pair.row.number for pair in found if str(pair.row.number + 1) == asked), None)
    last = (len(found) - 1) // A_PAGE + 1
    page = 1
    if last > 1:
        default = 1 + next((i for i, pair in enumerate(found) if pair.row.number == opened), 0) // A_PAGE
        control = address.segments if last <= 12 else address.scrubber
        page = control(
            "page",
            "Rows",
            list(range(1, last + 1)),
            default,
            format_func=lambda number: _span(number, len(found)),
            label_visibility="collapsed",
        )
    for pair in found[(page - 1) * A_PAGE : page * A_PAGE]:
        with st.container(key=f"row-{pair.row.number}", gap="xxsmall"):
            opens = pair.row.number == opened
            _head(pair.row, opens, soft, LETTERS[0] if beside else "")
            _cards(pair.row, opens and soft, hits, pair.shared)
            if pair.other is not None:
                _other_head(pair)
                _cards(pair.other, opens and soft, hits, pair.shared)


def _span(page: int, rows: int) -> str:
    return f"{(page - 1) * A_PAGE + 1}–{min(page * A_PAGE, rows)}"


def _head(row: Row, opened: bool, soft: bool, letter: str) -> None:
    number = row.number + 1
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        facts = tag("span", titles.facts_line(row), class_="hint")
        name = tag("strong", tag("b", f"{letter} ") if letter else None, f"Sequence {number}")
        show(tag("p", name, facts, class_="row-head"), width="content")
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


def _other_head(pair: Pair) -> None:
    assert pair.other is not None
    said = f"{words.plural(len(pair.shared), 'title')} in both" if pair.shared else "no title in common"
    facts = " · ".join(filter(None, (said, titles.facts_line(pair.other))))
    name = tag("strong", tag("b", f"{LETTERS[1]} "), f"Sequence {pair.other.number + 1}")
    show(tag("p", name, tag("span", facts, class_="hint"), class_="row-head"))


def _cards(row: Row, in_full: bool, hits: dict[int, frozenset[int]], shared: frozenset[str]) -> None:
    found = hits.get(id(row), frozenset())
    if not in_full:
        show(titles.strip(row, found, shared))
        return
    if (user := row.facts.get("nearest_user")) is not None:
        show(tag("p", "Nearest real user of its hard form: ", tag("bdi", plain(str(user), 60)), class_="hint"))
    show(titles.ladder(row, found, shared))


def _twin(found: list[Pair]) -> None:
    with st.expander("The same as a table"):
        st.dataframe(
            titles.as_table(found),
            hide_index=True,
            height=420,
            alt="Every shown sequence and position with what is read, what is recommended next, and the alternatives",
            column_config={"Weight": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)},
        )
