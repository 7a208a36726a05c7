"""Sequences of two runs, each beside the one most like it: what two distillations learned alike. No streamlit in here.

Alike is measured by titles, so runs on different copies of the same catalogue can be compared, too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from foster.ui.rows import UNKNOWN, Row

MATCHED = 250  # rows that are searched for their likes; there are as many comparisons as pairs
LETTERS = ("A", "B")  # the page's own run, and the one beside it


@dataclass(frozen=True)
class Pair:
    """A sequence, and the one of another run beside it, if there is any. shared: what the cards of both say
    large, that is teach, or read where nothing is taught."""

    row: Row
    other: Row | None = None
    shared: frozenset[str] = frozenset()

    @property
    def rows(self) -> tuple[Row, ...]:
        return (self.row,) if self.other is None else (self.row, self.other)


def pairs(rows: Sequence[Row], others: Sequence[Row]) -> list[Pair]:
    """Every row with one of the others, each of which stands beside one row only: those first that share the most of
    what they read and teach, of equals those of the same number. What shares nothing takes what is left, in order, and
    a row stands alone where nothing is. Of more than MATCHED rows each stands beside the one of its place."""
    holders: defaultdict[tuple[bool, str], list[int]] = defaultdict(list)
    for column, each in enumerate(others):
        for title in _both_kinds(each):
            holders[title].append(column)
    shared: Counter[tuple[int, int]] = Counter()
    for line, row in enumerate(rows if max(len(rows), len(others)) <= MATCHED else ()):
        shared.update((line, column) for title in _both_kinds(row) for column in holders.get(title, ()))
    chosen: dict[int, int] = {}
    taken: set[int] = set()

    def same(line: int, column: int) -> bool:
        return rows[line].number == others[column].number

    for (line, column), _ in sorted(shared.items(), key=lambda each: (-each[1], not same(*each[0]), each[0])):
        if line not in chosen and column not in taken:
            chosen[line] = column
            taken.add(column)
    free = iter([column for column in range(len(others)) if column not in taken])
    found = []
    for line, row in enumerate(rows):
        beside = chosen[line] if line in chosen else next(free, None)
        other = None if beside is None else others[beside]
        found.append(Pair(row, other, _titles(row) & _titles(other) if other else frozenset()))
    return found


def _titles(row: Row) -> frozenset[str]:
    return frozenset(place.shown.title for place in row.places) - {UNKNOWN}


def _both_kinds(row: Row) -> frozenset[tuple[bool, str]]:
    """What it reads and what it teaches; a title that one row reads and the other teaches is no likeness."""
    read = {(True, place.read[0].title) for place in row.places if place.read}
    taught = {(False, place.taught.title) for place in row.places if place.taught}
    return frozenset((read | taught) - {(True, UNKNOWN), (False, UNKNOWN)})


def in_common(rows: Sequence[Row], others: Sequence[Row]) -> tuple[int, int]:
    """How many titles the rows say large, and how many of those the others do as well."""
    mine = frozenset[str]().union(*map(_titles, rows))
    return len(mine), len(mine & frozenset[str]().union(*map(_titles, others)))
