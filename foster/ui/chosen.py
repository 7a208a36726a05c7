"""Which items are chosen: one value that the map, its table and the sequences share, read from the address.

`area` is what was drawn on the map, `chosen` the items that were ticked or pressed, `q` the search. Area and search
make a list; what is ticked chooses from it, and without a tick all of it is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from foster.errors import UserError
from foster.ui import address, words
from foster.ui.area import Area
from foster.ui.states import note

MOST = 200  # items that the address lists


@dataclass(frozen=True)
class Chosen:
    """items: the listed ones. lost: how many entries of the address are no items of this run, problem: why its area
    cannot be read."""

    area: Area | None
    items: tuple[int, ...]
    query: str
    lost: int = 0
    problem: str = ""

    def __bool__(self) -> bool:
        """Whether anything was drawn, ticked or pressed; a search alone chooses on the map only."""
        return self.area is not None or bool(self.items)

    def pool(self, points: pd.DataFrame) -> np.ndarray:
        """The rows that area and search leave, bool [rows]; all of them if there is neither."""
        left = np.ones(len(points), dtype=bool)
        if self.area is not None:
            left &= self.area.holds(points)
        if self.query:
            left &= points["title"].str.casefold().str.contains(self.query.casefold(), regex=False).to_numpy(bool)
        return left

    def mask(self, points: pd.DataFrame) -> np.ndarray:
        """The chosen rows, bool [rows]; none if nothing is chosen and nothing searched."""
        if self.items:
            return points["item"].isin(self.items).to_numpy(dtype=bool)
        if self.area is not None or self.query:
            return self.pool(points)
        return np.zeros(len(points), dtype=bool)


def chosen(known: pd.Series) -> Chosen:
    """What the address chooses. known: the numbers of the items there are."""
    area, problem = None, ""
    if written := address.asked("area"):
        try:
            area = Area.parse(written)
        except UserError as error:
            problem = str(error)
    listed = address.asked_list("chosen") or []
    numbers = [int(each) for each in listed[: 2 * MOST] if each.isascii() and each.isdecimal() and len(each) < 10]
    items = tuple(np.array(numbers, dtype=int)[np.isin(numbers, known)].tolist())[:MOST] if numbers else ()
    query = (address.asked("q") or "").strip()[:200]
    return Chosen(area, items, query, len(listed) - len(items), problem)


def put_items(items: Iterable[int]) -> None:
    """Chooses items by their numbers, at most MOST of them."""
    address.put(chosen=address.BETWEEN.join(str(item) for item in list(dict.fromkeys(items))[:MOST]))


def clear() -> None:
    address.put(area=None, chosen=None, q=None)


def told(found: Chosen) -> None:
    """Says what of the address could not be used."""
    if found.problem:
        note("No such area", f"{found.problem[0].upper()}{found.problem[1:]}.")
    if found.lost:
        said = f"{words.plural(found.lost, 'entry', 'entries')} of the address's list cannot be used here: left out."
        note("Not every item is here", f"{said} A list holds the numbers of at most {MOST} items of this run.")


def clear_button(label: str = "Clear the selection") -> None:
    st.button(label, key="clear-chosen", type="tertiary", icon=":material/close:", on_click=clear)
