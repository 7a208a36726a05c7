"""Rows of titles as markup and as tables; every title is escaped text. No streamlit in here."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

import pandas as pd

from foster.ui import words
from foster.ui.markup import Markup, plain, tag
from foster.ui.pairs import LETTERS, Pair
from foster.ui.rows import Option, Place, Row


def strip(row: Row, found: frozenset[int] = frozenset(), shared: Container[str] = ()) -> Markup:
    """A sequence as one row of cards that scrolls sideways, reachable by keyboard. shared: titles that the row beside
    it says large, too."""
    opens = row.opens
    cards = [
        _card(place, place.position in found, place.shown.title in shared, place.position in opens)
        for place in row.places
    ]
    return _frame(tag("ol", *cards, class_="strip"), f"Titles of sequence {row.number + 1}, scrolls sideways")


def _card(place: Place, found: bool, both: bool, opens: bool) -> Markup:
    """What is read at a position, small, and what is taught to follow, large, with its weight."""
    parts = [_place(place, both, opens)]
    if label := place.taught:
        if place.read:
            parts.append(_title(place.read[0].title, "read", 60))
        parts += [
            _title(label.title, "title", 90),
            _bar(label.weight),
            tag("span", words.share(label.weight), class_="weight"),
        ]
    else:
        parts.append(_title(place.shown.title, "title", 90))
    return tag("li", *parts, class_=_mark(found, both))


def _mark(found: bool, both: bool) -> str | None:
    return "found" if found else "both" if both else None


def _place(place: Place, both: bool, opens: bool) -> Markup:
    told = [str(place.position + 1), *(["both"] if both else []), *(["· new session"] if opens else [])]
    return tag("span", " ".join(told), class_="place")


def ladder(row: Row, found: frozenset[int] = frozenset(), shared: Container[str] = (), depth: int = 8) -> Markup:
    """A sequence in full: at each position what is read and the alternatives of what is recommended next. shared: as in
    `strip`."""
    columns, opens = [], row.opens
    for place in row.places:
        both = place.shown.title in shared
        parts = [_place(place, both, place.position in opens)]
        if place.read:
            parts += [tag("p", "A student reads", class_="step"), _title(place.read[0].title, "title", 140)]
        if place.labels:
            parts.append(_weights("and is taught to recommend", place.labels[:depth], place.known))
        if len(place.read) > 1:
            parts.append(_plain("In other readings it reads", place.read[1 : depth + 1]))
        columns.append(tag("li", *parts, class_=_mark(place.position in found, both)))
    return _frame(tag("ol", *columns, class_="ladder"), f"Sequence {row.number + 1} in full, scrolls sideways")


def _weights(heading: str, options: Sequence[Option], known: Container[str] = ()) -> Markup:
    """known: titles that were read by then."""
    top = max((option.weight for option in options), default=0.0) or 1.0
    lines = [
        tag(
            "li",
            tag("span", tag("bdi", plain(option.title, 70)), " (read before)" if option.title in known else None),
            tag("span", words.share(option.weight), class_="weight"),
            tag("b", style=f"width:{100 * option.weight / top:.1f}%", aria_hidden="true"),
        )
        for option in options
    ]
    return tag("div", tag("p", heading, class_="step"), tag("ul", *lines), class_="weights")


def _plain(heading: str, options: Sequence[Option]) -> Markup:
    """Titles of which none counts more than another."""
    lines = [tag("li", tag("bdi", plain(option.title, 70))) for option in options]
    return tag("div", tag("p", heading, class_="step"), tag("ul", *lines), class_="weights")


def _title(title: str, kind: str, limit: int) -> Markup:
    return tag("bdi", plain(title, limit), class_=kind, title=plain(title, 400))


def _bar(share: float) -> Markup:
    return tag("span", tag("b", style=f"width:{100 * min(1.0, share):.1f}%"), class_="bar", aria_hidden="true")


def _frame(inside: Markup, name: str) -> Markup:
    return tag("div", inside, class_="strip-frame", tabindex=0, role="group", aria_label=name)


def facts_line(row: Row) -> str:
    """What is known of the sequence as a whole, as plain text."""
    said = []
    if (overlap := row.facts.get("overlap")) is not None:
        said.append(f"nearest real user shares {words.share(overlap)}")
    if (repetition := row.facts.get("repetition")) is not None:
        said.append(f"{words.share(repetition)} repeated")
    if (diversity := row.facts.get("diversity")) is not None:
        said.append(f"diversity {diversity:.2f}")
    return f"hard form: {' · '.join(said)}" if said else ""


def stats(figures: Iterable[tuple[str, str, str]]) -> Markup:
    """(name, value, explanation) as a row of figures."""
    cells = [
        tag("div", tag("dt", name), tag("dd", value), tag("dd", hint, class_="hint")) for name, value, hint in figures
    ]
    return tag("dl", *cells, class_="stats")


def as_table(pairs: Iterable[Pair]) -> pd.DataFrame:
    """The text twin of the cards, with exact titles; a column that nothing fills is left out, and so is the run's while
    there is only one."""
    found = [(letter, row) for pair in pairs for letter, row in zip(LETTERS, pair.rows, strict=False)]
    several = len({letter for letter, _ in found}) > 1
    records = [
        {"Run": letter if several else None, **_record(row, place)} for letter, row in found for place in row.places
    ]
    return pd.DataFrame.from_records(records).dropna(axis=1, how="all")


def _record(row: Row, place: Place) -> dict[str, Any]:
    label = place.taught
    return {
        "Sequence": row.number + 1,
        "Position": place.position + 1,
        "Session": place.session + 1 if row.opens else None,
        "Read": place.read[0].title if place.read else None,
        "In other readings": _listed(place.read[1:]),
        "Recommend next": label.title if label else None,
        "Weight": label.weight if label else None,
        "Alternatives": _listed([option for option in place.labels if option is not label]),
    }


def _listed(options: Sequence[Option]) -> list[str] | None:
    return [f"{option.title} ({words.share(option.weight)})" for option in options] or None
