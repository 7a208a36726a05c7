"""How sure a result is: a hierarchical bootstrap over users, distillation seeds and student seeds (METHOD §4.7).

D distillation seeds, S students of each, N users, B draws. A *row* is what a report has a line for, as its gains
[D, S, N]: one number for each user, 1 or 0 for Recall@10. Its result is the mean over all three.

One draw takes N users, D distillations and, in each of these, S students, all with replacement, and the mean again.
Users and distillations are drawn for all rows at once, because they are the same for all of them, students for each row
by itself. With one seed (or user) there is nothing to draw, and its share of the uncertainty is not in the interval;
with three, as is usual, their share is underrated by a third.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS, LEVEL = 2_000, 0.95
BLOCK = 50  # draws whose counts of users are held at once

Numbers = NDArray[np.float64]


def hits(ranks: NDArray[np.integer], k: int = 10) -> NDArray[np.float32]:
    """Recall@k of every user alone.

    >>> hits(np.array([1, 10, 11]))
    array([1., 1., 0.], dtype=float32)
    """
    return (ranks <= k).astype(np.float32)


def discounted(ranks: NDArray[np.integer], k: int = 10) -> NDArray[np.float32]:
    """NDCG@k of every user alone.

    >>> discounted(np.array([1, 3, 11]))
    array([1. , 0.5, 0. ], dtype=float32)
    """
    return np.where(ranks <= k, 1 / np.log2(ranks + 1.0), 0.0).astype(np.float32)


@dataclass(frozen=True)
class Spread:
    """A mean and how far it moves with the distillation seed (standard deviation of the D means over students) and
    with the student (within a distillation, pooled); None where there is one only."""

    mean: float
    sd_distillations: float | None
    sd_students: float | None


def spread_of(gains: NDArray[np.floating]) -> Spread:
    """
    >>> spread_of(np.array([[[0.1], [0.3]], [[0.5], [0.7]]]))  # doctest: +ELLIPSIS
    Spread(mean=0.4, sd_distillations=0.28..., sd_students=0.14...)
    """
    means = gains.mean(-1, dtype=np.float64)
    return Spread(
        mean=float(means.mean()),
        sd_distillations=float(means.mean(1).std(ddof=1)) if means.shape[0] > 1 else None,
        sd_students=float(np.sqrt(means.var(1, ddof=1).mean())) if means.shape[1] > 1 else None,
    )


def bootstrap(rows: Mapping[str, NDArray[np.floating]], draws: int = DRAWS, seed: int = 0) -> dict[str, Numbers]:
    """The result of every row in each of B draws [B]. rows: gains [D, S, N], with the same D and N; S may differ.

    Raises ValueError for rows that do not match or are empty.
    """
    shapes = {(gains.shape[0], gains.shape[2]) for gains in rows.values()}
    if len(shapes) != 1 or any(0 in gains.shape for gains in rows.values()):
        raise ValueError(f"rows have {sorted(shapes)} distillations and users; they must be the same, and some")
    ((distillations, users),) = shapes
    generator = np.random.default_rng(seed)
    flat = {name: gains.reshape(-1, users).T.astype(np.float64) for name, gains in rows.items()}
    blocks: dict[str, list[Numbers]] = {name: [] for name in rows}
    for begin in range(0, draws, BLOCK):
        size = min(BLOCK, draws - begin)
        drawn = [np.bincount(generator.integers(users, size=users), minlength=users) for _ in range(size)]
        counts = np.stack(drawn) / users
        for name, by_user in flat.items():
            blocks[name].append(counts @ by_user)
    which = generator.integers(distillations, size=(draws, distillations, 1))
    found = {}
    for name, gains in rows.items():
        students = generator.integers(gains.shape[1], size=(draws, distillations, gains.shape[1]))
        means = np.concatenate(blocks[name]).reshape(draws, distillations, gains.shape[1])
        found[name] = means[np.arange(draws)[:, None, None], which, students].mean((1, 2))
    return found


def ratio(top: Numbers, bottom: Numbers) -> Numbers:
    """Their ratio in every draw; not a number where the bottom is nothing."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def interval(drawn: Numbers, level: float = LEVEL) -> tuple[float, float] | None:
    """The middle `level` of what was drawn, draws that are not a number left out; None if all are.

    >>> interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_not_above(difference: Numbers) -> float:
    """One-sided p of "no better": the share of draws whose difference is not above 0 (or only rounding), never quite 0.

    >>> p_not_above(np.array([0.1, 0.2, 0.3])), p_not_above(np.zeros(3))
    (0.25, 1.0)
    """
    finite = difference[np.isfinite(difference)]
    return float((1 + (finite <= 1e-9).sum()) / (1 + len(finite)))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for how many there are (Holm, 1979), in the order given.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    corrected, most = {}, 0.0
    for place, name in enumerate(sorted(p, key=p.__getitem__)):
        most = max(most, min(1.0, (len(p) - place) * p[name]))
        corrected[name] = most
    return {name: corrected[name] for name in p}
