"""Synthetic sequences as values: from a run's tables to rows of places. No streamlit and no markup in here."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pandas as pd

UNKNOWN = "(unknown item)"


@dataclass(frozen=True)
class Option:
    """One item of a distribution; item: its number in the run's table of items, None where it is not known."""

    title: str
    weight: float
    item: int | None = None


@dataclass(frozen=True)
class Place:
    """One position of a sequence.

    read: what a student reads there, the first reading's item first, then those of others (empty while it is not
    known); labels: what it is taught to recommend then, the likeliest first, empty where there is no target; hard: the
    item of the hard form; known: titles that are in the history by then and so never recommended: a card does not
    spend its one line on them; session: of those in which the sequence is read, from 0.
    """

    position: int
    read: tuple[Option, ...] = ()
    labels: tuple[Option, ...] = ()
    hard: Option | None = None
    known: frozenset[str] = frozenset()
    session: int = 0

    @property
    def taught(self) -> Option | None:
        """The likeliest recommendation that is not known by then."""
        return next((option for option in self.labels if option.title not in self.known), next(iter(self.labels), None))

    @property
    def shown(self) -> Option:
        """What stands for the place: the first of what is taught, else of what is read."""
        return self.taught or next(iter(self.read), Option(UNKNOWN, 0.0))

    @property
    def card(self) -> tuple[Option, ...]:
        """What its card shows: the first of what is read, and what is taught."""
        return tuple(option for option in (next(iter(self.read), None), self.taught) if option)

    @property
    def titles(self) -> tuple[str, ...]:
        return tuple(option.title for option in self.card)


@dataclass(frozen=True)
class Row:
    """One synthetic sequence; facts: of the whole (nearest_user, overlap, repetition, diversity)."""

    number: int
    places: tuple[Place, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def opens(self) -> frozenset[int]:
        """Positions at which a session after the first begins."""
        return frozenset(b.position for a, b in pairwise(self.places) if a.session != b.session)

    def matches(self, query: str) -> frozenset[int]:
        """Positions whose card shows the query, in any case."""
        wanted = query.casefold()
        return frozenset(p.position for p in self.places if any(wanted in title.casefold() for title in p.titles))

    def reads_title(self, query: str) -> bool:
        """Whether some reading reads a title with the query, in any case."""
        wanted = query.casefold()
        return any(wanted in option.title.casefold() for place in self.places for option in place.read)

    def reads_any(self, items: Container[int]) -> bool:
        """Whether some reading reads one of the items."""
        return any(option.item in items for place in self.places for option in place.read)

    def through(self, items: Container[int]) -> frozenset[int]:
        """Positions whose card shows one of the items."""
        return frozenset(p.position for p in self.places if any(option.item in items for option in p.card))

    @property
    def course(self) -> list[int]:
        """Items in the order in which the sequence leads through them: the first it reads, then what it teaches to
        recommend after each position."""
        first = [place.read[0] for place in self.places[:1] if place.read]
        options = [*first, *(place.taught for place in self.places if place.taught)]
        return [option.item for option in options if option.item is not None]

    @property
    def reads(self) -> list[int]:
        """The first item that is read at each position."""
        return [place.read[0].item for place in self.places if place.read and place.read[0].item is not None]


def rows_of_result(
    sequences: pd.DataFrame, neighbours: pd.DataFrame | None, number_of: Mapping[str, int] | None = None
) -> list[Row]:
    """The stored artefact, decoded. number_of: item id → number of the item."""
    known = number_of or {}
    facts: dict[Any, Any] = {} if neighbours is None else neighbours.set_index("sequence").to_dict("index")
    return [
        Row(
            number,
            tuple(
                Place(
                    int(each.position),
                    _options(each.alternatives, known)
                    or (Option(_text(each.title), float(each.confidence), known.get(each.item_id)),),
                    _options(each.labels, known),
                    Option(each.hard_title, 1.0, known.get(each.hard_item_id))
                    if isinstance(each.hard_title, str)
                    else None,
                    session=_session(each),
                )
                for each in places
            ),
            facts.get(number, {}),
        )
        for number, places in _grouped(sequences)
    ]


def rows_of_snapshot(snapshot: pd.DataFrame, title_of: Mapping[int, str], result: Iterable[Row] = ()) -> list[Row]:
    """The artefact as it stood at one step: items and weights are the top of each label row.

    What is read comes from the columns input_items and input_weights; where they are not stored, from the `result`
    if every place reads a single item there, for such a place does not change.
    """
    stored = "input_items" in snapshot.columns
    fixed = {(row.number, place.position): place.read for row in result for place in row.places}
    if any(len(read) > 1 for read in fixed.values()):
        fixed = {}
    return [
        Row(
            number,
            tuple(
                Place(
                    int(each.position),
                    _named(each.input_items, each.input_weights, title_of)
                    if stored
                    else fixed.get((number, int(each.position)), ()),
                    _named(each.items, each.weights, title_of),
                    session=_session(each),
                )
                for each in places
            ),
        )
        for number, places in _grouped(snapshot)
    ]


def without_history(rows: Iterable[Row]) -> list[Row]:
    """For logs where nobody takes an item twice: what was read in a session up to a position is known there."""
    told = []
    for row in rows:
        known: frozenset[str] = frozenset()
        opens, places = row.opens, []
        for place in row.places:
            if place.position in opens:
                known = frozenset()
            known |= {option.title for option in place.read[:1]}
            places.append(replace(place, known=known))
        told.append(replace(row, places=tuple(places)))
    return told


def hard_view(rows: Iterable[Row]) -> list[Row]:
    """The hard form: one title a position, the target is the next title."""
    return [
        Row(row.number, tuple(Place(p.position, (p.hard or Option(UNKNOWN, 1.0),)) for p in row.places), row.facts)
        for row in rows
    ]


def _grouped(table: pd.DataFrame) -> Iterator[tuple[int, Iterator[Any]]]:
    for number, part in table.sort_values(["sequence", "position"]).groupby("sequence", sort=True):
        yield int(str(number)), iter(part.itertuples(index=False))


def _options(values: Any, number_of: Mapping[str, int]) -> tuple[Option, ...]:
    if values is None or isinstance(values, float):  # a null in a column of lists is read as NaN
        return ()
    return tuple(Option(_text(each["title"]), float(each["weight"]), number_of.get(each["item_id"])) for each in values)


def _named(items: Any, weights: Any, title_of: Mapping[int, str]) -> tuple[Option, ...]:
    if items is None or isinstance(items, float):
        return ()
    pairs = zip(items, weights, strict=True)
    return tuple(Option(title_of.get(int(item), UNKNOWN), float(weight), int(item)) for item, weight in pairs)


def _session(each: Any) -> int:
    """0 in tables of a version that had no sessions."""
    return int(getattr(each, "session", 0))


def _text(title: object) -> str:
    return title if isinstance(title, str) else UNKNOWN
