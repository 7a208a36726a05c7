"""What is chosen on the map, beside it: the titles, their neighbours in each view, the sequences that use them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from foster.ui import address, chosen, words
from foster.ui.chosen import Chosen
from foster.ui.maps import VIEW_TITLES, View
from foster.ui.markup import Markup, plain, show, tag
from foster.ui.near import nearest
from foster.ui.rows import Row

TITLES, SEQUENCES = 8, 12  # shown of each
ALONE, AMONG = 5, 3  # neighbours shown of a single item, and of one among several


def picked(points: pd.DataFrame, mask: np.ndarray, found: Chosen, rows: Sequence[Row]) -> None:
    """points: one row an item; mask: the chosen ones, bool [rows]; rows: the sequences at the moment shown."""
    if not found and not found.query:
        show(tag("h2", "Nothing chosen yet"))
        show(
            tag(
                "p",
                "Draw around some points, search for a title, or tick rows of the table: here stand the titles, what "
                "lies next to them in each view, and the sequences that use them.",
                class_="hint",
            )
        )
        return
    mine = np.flatnonzero(mask)
    mine = mine[np.argsort(-points["mass"].to_numpy()[mine], kind="stable")]
    show(tag("h2", f"{words.plural(len(mine), 'item')} chosen"))
    if not len(mine):
        none = "No item lies in the area. Draw a larger one." if found.area else "No title has it. Try another word."
        show(tag("p", none, class_="hint"))
    else:
        show(tag("div", *_titles(points, mine.tolist()), class_="picked"))
        _sequences(set(points["item"].to_numpy()[mine].tolist()), rows)
    chosen.clear_button()


def _titles(points: pd.DataFrame, mine: list[int]) -> list[Markup]:
    """The chosen rows, those with the most synthetic mass first; each with its neighbours, folded if there are more."""
    titles = points["title"].tolist()
    if len(mine) == 1:
        return [tag("p", _name(titles[mine[0]]), class_="title"), tag("h3", "Next to it on the map"),
                *_neighbours(points, titles, mine[0], ALONE)]  # fmt: skip
    folded = [
        tag("details", tag("summary", _name(titles[row])), *_neighbours(points, titles, row, AMONG))
        for row in mine[:TITLES]
    ]
    more = len(mine) - TITLES
    below = f"and {words.count(more)} more, in the table below" if more > 0 else ""
    return [tag("p", "Open a title for what lies next to it.", class_="hint"), *folded, tag("p", below, class_="hint")]


def _neighbours(points: pd.DataFrame, titles: list[str], row: int, count: int) -> list[Markup]:
    """A list a view; those that are neighbours in the real view too stand out in the others."""
    real = set(nearest(points, row, View.REAL, count))
    lists = []
    for view in View:
        near = nearest(points, row, view, count)
        shared = "" if view is View.REAL else f" · {len(real & set(near))} of {len(near)} as in real"
        entries = [
            tag("li", _name(titles[each]), class_="as-real" if view is not View.REAL and each in real else None)
            for each in near
        ]
        lists += [tag("p", VIEW_TITLES[view], shared, class_="step"), tag("ul", *entries)]
    return lists


def _name(title: str) -> Markup:
    return tag("bdi", plain(title, 70), title=plain(title, 400))


def _sequences(items: set[int], rows: Sequence[Row]) -> None:
    """Those that show one of the items on a card, the most cards first; each can be drawn."""
    cards = {row.number: len(row.through(items)) for row in rows}
    using = sorted((number for number, count in cards.items() if count), key=lambda number: (-cards[number], number))
    what = "it" if len(items) == 1 else "them"
    use = f"{'shows' if len(using) == 1 else 'show'} {what} on a card"
    show(tag("h3", f"{words.count(len(using))} of {words.plural(len(rows), 'sequence')} {use}", class_="using"))
    if more := sum(row.reads_any(items) for row in rows if not cards[row.number]):
        st.caption(f"{words.count(more)} more read{'s' if more == 1 else ''} {what} in other readings")
    with st.container(key="using", horizontal=True, gap="xxsmall"):
        for number in using[:SEQUENCES]:
            drawn = address.asked("sequence") == str(number + 1)
            st.button(
                f"{number + 1}",
                key=f"draw-{number}",
                type="primary" if drawn else "secondary",
                on_click=address.put,
                kwargs={"sequence": None if drawn else number + 1},
                help=f"Sequence {number + 1}: {words.plural(cards[number], 'card')}. Press to "
                + ("take it off the map" if drawn else "draw it"),
            )
    if len(using) > SEQUENCES:
        st.caption(f"and {words.count(len(using) - SEQUENCES)} more")
    if using:
        st.page_link(
            "pages/sequences.py",
            label="Only sequences through these items",
            icon=":material/subject:",
            query_params=address.carried(page=None),
        )
