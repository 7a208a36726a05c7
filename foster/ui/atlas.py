"""The Map page's content: controls → points → one figure → the same items as a table."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pandas as pd
import streamlit as st

from foster.runs import Run, RunStatus
from foster.ui import address, load, maps, words
from foster.ui.maps import Colour, View
from foster.ui.markup import show, tag
from foster.ui.states import note


class Sight(StrEnum):
    BESIDE = "beside"
    TEXT = "text"


SIGHTS = {Sight.BESIDE: "Real beside synthetic", Sight.TEXT: "Text similarity"}
VIEWS = {Sight.BESIDE: (View.REAL, View.SYNTHETIC), Sight.TEXT: (View.TEXT,)}
NO_SEQUENCE = "none"
TABLE_ROWS = 5_000  # more only take time on their way to the browser


def item_map(run: Run, status: RunStatus) -> None:
    points, items = load.table(run, "map"), load.table(run, "items")
    if points is None or items is None:
        if status.is_terminal:
            note("No map", "This run ended before its map was drawn. Resume it, or open another run.")
        else:
            note("No map yet", "The map is drawn at the end of the run, after the students.")
        return
    points = points.merge(items, on="item", how="inner")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        sight = address.segments("sight", "View", list(Sight), Sight.BESIDE, format_func=SIGHTS.__getitem__)
        colour = address.segments(
            "colour", "Colour by", list(Colour), Colour.CATEGORY, format_func=lambda each: each.value.capitalize()
        )
        query = address.search("q", "Search the titles", placeholder="A word of a title", width=230)
        path = _path(run)
    matches = _matches(points, query)
    drawn = maps.sample(points, np.flatnonzero(points["item"].isin(path) | matches).tolist())
    shaded = points.drop(drawn.index)
    chart = maps.item_map(drawn, VIEWS[sight], colour, _matches(drawn, query), path, shaded)
    if said := _left_out(len(drawn), len(shaded), len(items) - len(points)):
        st.caption(said)
    st.plotly_chart(chart.figure, key="map", alt=chart.alt, config={"displaylogo": False, "scrollZoom": True})
    _table(points, matches, query)


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


def _matches(points: pd.DataFrame, query: str) -> np.ndarray:
    if not query:
        return np.zeros(len(points), dtype=bool)
    return points["title"].str.casefold().str.contains(query.casefold(), regex=False).to_numpy(dtype=bool)


def _path(run: Run) -> list[int]:
    """The items of the sequence that the address asks for."""
    sequences = load.table(run, "sequences")
    if sequences is None:
        return []
    numbers = [NO_SEQUENCE, *(str(int(n) + 1) for n in sequences["sequence"].unique())]
    chosen = address.menu("sequence", "Draw a sequence", numbers, NO_SEQUENCE, width=150)
    if chosen in (None, NO_SEQUENCE):
        return []
    part = sequences[sequences["sequence"] == int(chosen) - 1].sort_values("position")
    return [int(item) for item in part["item"]]


def _table(points: pd.DataFrame, matches: np.ndarray, query: str) -> None:
    rows = points[matches] if query else points
    said = (
        f"{words.plural(len(rows), 'item')} with “{query}” in the title"
        if query
        else f"All {words.plural(len(rows), 'item')}, those with the most synthetic mass first"
    )
    if len(rows) > TABLE_ROWS:
        said += f"; the table holds the first {words.count(TABLE_ROWS)}, a search finds every one"
    show(tag("p", f"{said}.", role="status", class_="say"))
    st.dataframe(
        rows.nlargest(TABLE_ROWS, "mass")[["title", "category", "popularity", "mass", "item_id"]],
        hide_index=True,
        height=320 if len(rows) > 8 else "auto",
        alt="The items of the map as a table",
        column_config={
            "title": st.column_config.TextColumn("Title", width="large"),
            "category": "Category",
            "popularity": st.column_config.NumberColumn("Training events", format="localized"),
            "mass": st.column_config.NumberColumn(
                "Synthetic mass", format="%.2f", help="How many positions of the synthetic sequences this item fills"
            ),
            "item_id": "Item id",
        },
    )
