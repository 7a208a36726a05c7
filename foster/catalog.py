"""The catalogue: item id ↔ row ↔ title, and the text that stands for the item."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

MAX_TEXT = 2_000  # characters of an item's text; encoders cut far earlier
CATEGORY_FIELDS = ("genre", "genres", "category", "categories", "brand")
OTHER = "other"
SHARED, LOOKED_AT = 4, 2_000  # items of a kind, on average, that make a column of unknown name one of kinds; of so many
MAX_CATEGORY = 200  # characters of a value that are read for its category
_NO_KIND = re.compile(r"[\d.,:%$€£+\s-]+|https?:.*", re.IGNORECASE)

_CONTROL_CHARACTERS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")


def fold(text: str) -> str:
    """One line of plain text: control characters and runs of white space become one blank, the ends are trimmed."""
    return " ".join(text.translate(_CONTROL_CHARACTERS).split())


@dataclass(frozen=True)
class Catalog:
    """V items; an item's row in here is its number everywhere else.

    ids: V unique, non-empty strings. titles: V non-empty strings; titles need not be unique. fields: the other text
    columns in their order, V strings each, '' where missing. All of it is untrusted plain text.

    Raises ValueError where that does not hold, and for an empty catalogue.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.ids:
            raise ValueError("a catalogue needs at least one item")
        for name, column in {"titles": self.titles, **self.fields}.items():
            if len(column) != len(self.ids):
                raise ValueError(f"{len(self.ids)} ids, but {len(column)} values in {name!r}")
        if not all(self.ids) or not all(self.titles):
            raise ValueError("ids and titles must not be empty")
        if len(self._rows) != len(self.ids):
            raise ValueError("item ids must be unique")

    def __len__(self) -> int:
        return len(self.ids)

    def index(self) -> dict[str, int]:
        """id → row; made once, not to be changed."""
        return self._rows

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """[V] "title; author: …; genre: …": empty fields left out, one line, at most 2,000 characters."""
        texts = []
        for row, title in enumerate(self.titles):
            values = ((name, column[row]) for name, column in self.fields.items())
            parts = [title, *(f"{name}: {value}" for name, value in values if value.strip())]
            texts.append(fold("; ".join(parts))[:MAX_TEXT].rstrip())
        return tuple(texts)

    @cached_property
    def category(self) -> tuple[str, ...]:
        """[V] one short label an item, for colouring.

        It is the first value (before '|', ',' or ';') of a field: of a path such as "Games > PC > Puzzle" the first
        level that not all items share. The field is the first of genre, genres, category, categories and brand, in any
        case, by which items differ, else the first of another name that says of half the items or more which kind they
        are of (`_of_kinds`). "other" where there is none.
        """
        known = {name.lower(): self.fields[name] for name in reversed(self.fields)}
        named = [_labels(known[name]) for name in CATEGORY_FIELDS if name in known]
        telling = (labels for labels in named if len({*labels} - {OTHER}) > 1)
        guessed = (_labels(column) for column in self.fields.values() if _of_kinds(column))
        found = next(telling, None) or next(guessed, None) or next(iter(named), None)
        return (OTHER,) * len(self) if found is None else found

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids and texts: equal catalogues, and only those, may share embeddings."""
        return hashlib.sha256(json.dumps([self.ids, self.texts]).encode()).hexdigest()

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.ids)}


def _labels(column: Sequence[str]) -> tuple[str, ...]:
    paths = [_path(value[:MAX_CATEGORY]) for value in column]
    for depth in range(max(map(len, paths), default=0)):
        if len({path[depth] for path in paths if len(path) > depth}) > 1:
            break
    else:
        depth = 0
    return tuple(path[: depth + 1][-1] if path else OTHER for path in paths)


def _of_kinds(column: Sequence[str]) -> bool:
    """Whether LOOKED_AT of its values tell half the items or more into kinds, SHARED items each on average; numbers and
    addresses are none."""
    looked_at = _labels(column[:: -(-len(column) // LOOKED_AT)])
    told = [label for label in looked_at if label != OTHER]
    if 2 * sum(_NO_KIND.fullmatch(label) is not None for label in told) > len(told):
        return False
    return 2 * len(told) >= len(looked_at) and 1 < len({*told}) <= len(told) / SHARED


def _path(value: str) -> list[str]:
    """The levels of the first value: "Games > PC, Toys" → ["Games", "PC"]; [] for an empty value."""
    first = next(filter(None, map(fold, re.split(r"[|,;]", value))), "")
    return [level for level in map(str.strip, first.split(" > ")) if level]
