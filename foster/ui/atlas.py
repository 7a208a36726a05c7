"""The Map page's content: controls → points → one figure beside what is chosen → the same items as a table."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pandas as pd
import streamlit as st

from foster.map_facts import agreement
from foster.runs import Run, RunStatus
from foster.ui import address, chosen, load, maps, moment, words
from foster.ui.area import Area
from foster.ui.chosen import Chosen
from foster.ui.maps import Colour, Drag, View
from foster.ui.markup import show, tag
from foster.ui.moment import RESULT
from foster.ui.picked import picked
from foster.ui.rows import Row
from foster.ui.states import note


class Sight(StrEnum):
    BESIDE = "beside"
    TEXT = "text"


SIGHTS = {Sight.BESIDE: "Real beside synthetic", Sight.TEXT: "Text similarity"}
VIEWS = {Sight.BESIDE: (View.REAL, View.SYNTHETIC), Sight.TEXT: (View.TEXT,)}
DRAGS = {Drag.LASSO: "Lasso", Drag.BOX: "Box", Drag.MOVE: "Move"}
NO_SEQUENCE = "none"
CHART, TABLE = "map", "map-table"
TABLE_ROWS = 5_000  # more only take time on their way to the browser
_CONFIG = {"displaylogo": False, "scrollZoom": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "pan2d"]}


def item_map(run: Run, status: RunStatus) -> None:
    points = load.points(run)
    if points is None:
        if status.is_terminal:
            note("No map", "This run ended before its map was drawn. Resume it, or open another run.")
        else:
            note("No map yet", "The map is drawn at the end of the run, after the students.")
        return
    found = chosen.chosen(points["item"])
    chosen.told(found)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        sight = address.segments("sight", "View", list(Sight), Sight.BESIDE, format_func=SIGHTS.__getitem__)
        colour = address.segments(
            "colour", "Colour by", list(Colour), Colour.CATEGORY, format_func=lambda each: each.value.capitalize()
        )
        drag = address.segments(
            "drag",
            "Drag to",
            list(Drag),
            Drag.LASSO,
            format_func=DRAGS.__getitem__,
            help="Lasso and Box choose the items inside; with Move a drag moves the map and a press chooses one item.",
        )
    now, rows, drawn = _moment(run)
    if now != RESULT:
        points["mass"] = points["item"].map(load.mass(run, int(now))).fillna(0.0)
    points["sequences"] = _users(points, rows)
    moment.figures(run, now)
    mask = found.mask(points)
    seen = maps.sample(points, np.flatnonzero(mask).tolist())
    outline = None if found.area is None else (found.area.view, found.area.corners)
    shaded = points.drop(seen.index)
    chart = maps.item_map(seen, VIEWS[sight], colour, found.mask(seen), drawn, outline, drag, shaded)
    left, right = st.columns([8, 4], gap="medium")
    with left:
        if said := _left_out(len(seen), len(shaded), _absent(run, points)):
            st.caption(said)
        st.plotly_chart(
            chart.figure,
            key=CHART,
            alt=chart.alt,
            on_select=lambda: _drawn(VIEWS[sight]),
            selection_mode=("points", "box", "lasso"),
            config=_CONFIG,
        )
        st.caption(_legend(now, sight, colour, drawn, bool(mask.any())))
        if sight is Sight.BESIDE and (said := agreement(points)):
            show(tag("p", f"Do the two pictures agree? {said}", class_="say"))
    with right:
        picked(points, mask, found, rows)
    _table(points, found)


def _moment(run: Run) -> tuple[str, list[Row], maps.Drawn]:
    """Which moment is shown, the sequences at it, and the one of them that the address asks to draw."""
    left, middle, right = st.columns([3, 3, 6], gap="medium")
    with left:
        address.search("q", "Search the titles", placeholder="A part of a title")
    moments = moment.moments(run)
    if not moments:
        return RESULT, [], maps.Drawn()
    with right:
        now = moment.scrub(moments)
    rows = load.rows(run, None if now == RESULT else int(now))
    with middle:
        numbers = [NO_SEQUENCE, *(str(row.number + 1) for row in rows)]
        asked = address.menu("sequence", "Draw a sequence", numbers, NO_SEQUENCE)
    row = next((row for row in rows if str(row.number + 1) == asked), None)
    return now, rows, maps.Drawn() if row is None else maps.Drawn(row.course, row.reads)


def _absent(run: Run, points: pd.DataFrame) -> int:
    """How many items of the catalogue the map does not hold."""
    items = load.table(run, "items")
    return 0 if items is None else len(items) - len(points)


def _left_out(drawn: int, shaded: int, absent: int) -> str:
    """What a map of many items does not show as points, '' if it shows all."""
    said = []
    if shaded:
        said.append(
            f"The {words.count(drawn)} most popular items are points; the shade behind them is the other "
            f"{words.count(shaded)}, each placed beside those most like it. A search makes points of what it finds."
        )
    if absent:
        said.append(f"{words.plural(absent, 'more item')}, the least popular, are not on the map.")
    return " ".join(said)


def _users(points: pd.DataFrame, rows: list[Row]) -> np.ndarray:
    """How many sequences show each item on a card, [rows of points]."""
    used = [item for row in rows for item in {option.item for place in row.places for option in place.card}]
    counts = pd.Series([item for item in used if item is not None], dtype=int).value_counts()
    return points["item"].map(counts).fillna(0).to_numpy(dtype=int)


def _drawn(views: tuple[View, ...]) -> None:
    """What was drawn or pressed on the map goes to the address; a new drawing takes the place of all before."""
    selection = st.session_state[CHART]["selection"]
    area = Area.drawn(selection, views)
    address.put(area=area, chosen=None)
    if area is None:
        chosen.put_items(int(each["customdata"][4]) for each in selection["points"] if len(each["customdata"]) > 4)


def _legend(now: str, sight: Sight, colour: Colour, drawn: maps.Drawn, chosen: bool) -> str:
    said = ["Chosen items stand in a double ring, dark and light."] if chosen else []
    if colour is Colour.CATEGORY:
        much = ", in the synthetic picture how much the sequences recommend it (its synthetic mass)."
        said.append("Size: training events" + (much if sight is Sight.BESIDE else "."))
    if now != RESULT:
        said.append("Synthetic mass at a step counts the ten likeliest of each position; places are the result's.")
    if drawn.course:
        said.append(
            "The line leads from the first item that the sequence reads (star) through what it teaches to recommend "
            "after each position; squares are what a student reads."
        )
    return " ".join(said)


def _table(points: pd.DataFrame, found: Chosen) -> None:
    """The keyboard twin of the map: the items that area and search leave; ticks choose from them."""
    rows = points[found.pool(points)].sort_values("mass", ascending=False, kind="stable")
    limits = [("in the area", found.area), (f"with “{found.query}” in the title", found.query)]
    narrowed = " and ".join(limit for limit, applies in limits if applies)
    number = words.plural(len(rows), "item")
    what = f"{number} {narrowed}" if narrowed else f"All {number}"
    ticked = f" {words.count(len(found.items))} ticked." if found.items else ""
    cut = f" The table holds the first {words.count(TABLE_ROWS)}." if len(rows) > TABLE_ROWS else ""
    show(tag("p", f"{what}, those with the most synthetic mass first.{cut}{ticked}", role="status", class_="say"))
    rows = rows[:TABLE_ROWS]
    numbers = rows["item"].tolist()
    ticks = [place for place, item in enumerate(numbers) if item in found.items]
    if sorted(st.session_state.get(TABLE, {"selection": {"rows": []}})["selection"]["rows"]) != ticks:
        st.session_state[TABLE] = {"selection": {"rows": ticks}}  # only then: a table that is set loses its focus
    st.dataframe(
        rows[["title", "category", "popularity", "mass", "sequences", "item_id"]],
        hide_index=True,
        height=320 if len(rows) > 8 else "auto",
        alt="The items of the map as a table; tick rows to choose items",
        key=TABLE,
        on_select=lambda: _ticked(numbers, found.items),
        selection_mode="multi-row",
        column_config={
            "title": st.column_config.TextColumn("Title", width="large"),
            "category": "Category",
            "popularity": st.column_config.NumberColumn("Training events", format="localized"),
            "mass": st.column_config.NumberColumn(
                "Synthetic mass",
                format="%.2f",
                help="How often the sequences recommend it: its weight in the labels, added up over all positions",
            ),
            "sequences": st.column_config.NumberColumn(
                "In sequences", help="How many read or recommend it on one of their cards"
            ),
            "item_id": "Item id",
        },
    )


def _ticked(numbers: list[int], before: tuple[int, ...]) -> None:
    """Ticks of other lists stay."""
    elsewhere = set(before) - set(numbers)
    rows = st.session_state[TABLE]["selection"]["rows"]
    chosen.put_items([*(item for item in before if item in elsewhere), *(numbers[row] for row in rows)])
