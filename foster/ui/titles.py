"""Synthetic sequences as rows of titles: values to markup, every title as escaped text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from foster.ui import words
from foster.ui.markup import Markup, plain, tag

UNKNOWN = "(unknown item)"


@dataclass(frozen=True)
class Option:
    """One item of a distribution."""

    title: str
    weight: float


@dataclass(frozen=True)
class Place:
    """One position of a sequence. options: the likeliest items of the input row, best first; labels: what a student
    is taught to recommend after this position, empty where there is no target; hard: the title of the hard form."""

    position: int
    options: tuple[Option, ...]
    labels: tuple[Option, ...] = ()
    hard: str | None = None

    @property
    def title(self) -> str:
        return self.options[0].title if self.options else UNKNOWN

    @property
    def confidence(self) -> float:
        return self.options[0].weight if self.options else 0.0


@dataclass(frozen=True)
class Row:
    """One synthetic sequence; facts: what is known about it as a whole (overlap, repetition, diversity)."""

    number: int
    places: tuple[Place, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, query: str) -> frozenset[int]:
        """Positions where a shown title holds the query, in any case."""
        wanted = query.casefold()
        return frozenset(
            place.position
            for place in self.places
            if any(wanted in title.casefold() for title in (place.title, *(label.title for label in place.labels[:1])))
        )


def rows_of_result(sequences: pd.DataFrame, neighbours: pd.DataFrame | None) -> list[Row]:
    """The stored artefact, decoded."""
    facts: dict[Any, Any] = {} if neighbours is None else neighbours.set_index("sequence").to_dict("index")
    rows = []
    for number, part in sequences.groupby("sequence", sort=True):
        places = tuple(
            Place(
                int(each.position),
                _options(each.alternatives) or (Option(_text(each.title), float(each.confidence)),),
                _options(each.labels) or _single(each.label_title, each.label_confidence),
                _text(each.hard_title) if isinstance(each.hard_title, str) else None,
            )
            for each in _records(part)
        )
        rows.append(Row(int(str(number)), places, facts.get(number, {})))
    return rows


def rows_of_snapshot(snapshot: pd.DataFrame, title_of: Mapping[int, str]) -> list[Row]:
    """The artefact as it stood at one step: the ten likeliest items of every input row and, if stored, label row."""
    has_labels = "label_items" in snapshot.columns
    rows = []
    for number, part in snapshot.groupby("sequence", sort=True):
        places = tuple(
            Place(
                int(each.position),
                _named(each.items, each.weights, title_of),
                _named(each.label_items, each.label_weights, title_of) if has_labels else (),
            )
            for each in _records(part)
        )
        rows.append(Row(int(str(number)), places))
    return rows


def hard_view(rows: Iterable[Row]) -> list[Row]:
    """The hard form: one title a position, no weights, the target is the next title."""
    return [
        Row(
            row.number,
            tuple(Place(p.position, (Option(p.hard if p.hard is not None else UNKNOWN, 1.0),)) for p in row.places),
            row.facts,
        )
        for row in rows
    ]


def _records(part: pd.DataFrame) -> Iterator[Any]:
    return iter(part.sort_values("position").itertuples(index=False))


def _options(values: Any) -> tuple[Option, ...]:
    if values is None or isinstance(values, float):
        return ()
    return tuple(Option(_text(each["title"]), float(each["weight"])) for each in values)


def _single(title: object, weight: object) -> tuple[Option, ...]:
    return (Option(title, float(weight)),) if isinstance(title, str) and isinstance(weight, float | int) else ()


def _named(items: Any, weights: Any, title_of: Mapping[int, str]) -> tuple[Option, ...]:
    if items is None or isinstance(items, float):
        return ()
    pairs = zip(items, weights, strict=True)
    return tuple(Option(title_of.get(int(item), UNKNOWN), float(weight)) for item, weight in pairs)


def _text(title: object) -> str:
    return title if isinstance(title, str) else UNKNOWN


def strip(row: Row, soft: bool, found: frozenset[int] = frozenset()) -> Markup:
    """A sequence as one row of cards that scrolls sideways, reachable by keyboard."""
    cards = [_card(place, soft, place.position in found) for place in row.places]
    return tag(
        "div",
        tag("ol", *cards, class_="strip"),
        class_="strip-frame",
        tabindex=0,
        role="group",
        aria_label=f"Titles of sequence {row.number}, scrolls sideways",
    )


def _card(place: Place, soft: bool, found: bool) -> Markup:
    """What is read at a position; where that is a mixture, how sure; and what is taught to follow."""
    mixed = soft and len(place.options) > 1
    parts = [tag("span", str(place.position + 1), class_="place")]
    if mixed:
        parts.append(tag("span", f"{words.share(place.confidence)} sure", class_="sure"))
    parts.append(tag("bdi", plain(place.title, 90), class_="title", title=plain(place.title, 400)))
    if mixed:
        parts.append(_bar(place.confidence))
    if soft and place.labels:
        label = place.labels[0]
        parts += [
            tag("span", "recommend next", class_="next"),
            tag("span", words.share(label.weight), class_="sure"),
            tag("bdi", plain(label.title, 90), class_="label", title=plain(label.title, 400)),
            _bar(label.weight),
        ]
    return tag("li", *parts, class_="found" if found else None)


def _bar(share: float) -> Markup:
    return tag("span", tag("b", style=f"width:{100 * min(1.0, share):.1f}%"), class_="bar", aria_hidden="true")


def ladder(row: Row, soft: bool, found: frozenset[int] = frozenset(), depth: int = 5) -> Markup:
    """A sequence in full: at each position the alternatives and, below, what is recommended next."""
    columns = []
    for place in row.places:
        parts = [
            tag("span", str(place.position + 1), class_="place"),
            tag("bdi", plain(place.title, 140), class_="title"),
        ]
        if soft and len(place.options) > 1:
            parts.append(_weights("Could also be", place.options[1 : depth + 1], place.confidence))
        if place.labels:
            parts.append(_weights("Recommend next", place.labels[:depth]))
        columns.append(tag("li", *parts, class_="found" if place.position in found else None))
    return tag(
        "div",
        tag("ol", *columns, class_="ladder"),
        class_="strip-frame",
        tabindex=0,
        role="group",
        aria_label=f"Sequence {row.number} in full, scrolls sideways",
    )


def _weights(heading: str, options: Sequence[Option], own: float | None = None) -> Markup:
    lines = [
        tag(
            "li",
            tag("bdi", plain(option.title, 70)),
            tag("span", words.share(option.weight), class_="weight"),
            tag("b", style=f"width:{100 * min(1.0, option.weight):.1f}%", aria_hidden="true"),
        )
        for option in options
    ]
    sure = f"{words.share(own)} sure. " if own is not None else ""
    lead = tag("p", sure, heading, ":" if lines else " nothing.", class_="weights-head")
    return tag("div", lead, tag("ul", *lines) if lines else None, class_="weights")


def facts_line(row: Row) -> str:
    """What is known of the sequence as a whole, as plain text."""
    said = []
    if (overlap := row.facts.get("overlap")) is not None:
        said.append(f"nearest real user shares {words.share(overlap)}")
    if (repetition := row.facts.get("repetition")) is not None:
        said.append(f"{words.share(repetition)} repeated")
    if (diversity := row.facts.get("diversity")) is not None:
        said.append(f"diversity {diversity:.2f}")
    return " · ".join(said)


def stats(pairs: Iterable[tuple[str, str, str]]) -> Markup:
    """(name, value, explanation) as a row of figures."""
    return tag(
        "dl",
        *[tag("div", tag("dt", name), tag("dd", value), tag("dd", hint, class_="hint")) for name, value, hint in pairs],
        class_="stats",
    )


def as_table(rows: Iterable[Row], soft: bool) -> pd.DataFrame:
    """The rows as a plain table: the text twin of the cards, exact titles."""
    records = [
        {
            "Sequence": row.number,
            "Position": place.position + 1,
            "Title": place.title,
            **(
                {
                    "Confidence": place.confidence,
                    "Alternatives": [f"{o.title} ({words.share(o.weight)})" for o in place.options[1:]],
                    "Recommend next": [f"{o.title} ({words.share(o.weight)})" for o in place.labels],
                }
                if soft
                else {}
            ),
        }
        for row in rows
        for place in row.places
    ]
    return pd.DataFrame.from_records(records)


def distinct(rows: Iterable[Row]) -> int:
    return len({place.title for row in rows for place in row.places})
