"""Sequences of alike lengths together: what a model reads in one call is padded to the longest, and padding is
computed, too."""

from __future__ import annotations

from collections.abc import Iterable

GROWTH, SLACK = 1.5, 2  # a group's longest is at most GROWTH times its shortest and SLACK more


def alike(lengths: Iterable[int]) -> list[int]:
    """How many of the sequences, whose lengths never fall, go into each group, one group after the other.

    >>> alike([1, 2, 3, 4, 7, 8, 50]), alike([5, 5, 5]), alike([])
    ([3, 3, 1], [3], [])
    """
    groups: list[int] = []
    longest = 0.0
    for length in lengths:
        if not groups or length > longest:
            groups.append(0)
            longest = GROWTH * length + SLACK
        groups[-1] += 1
    return groups
