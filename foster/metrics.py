"""Ranking metrics under full ranking: pure functions of the rank of the one relevant item.

Every user has one held-out item, so with rank r (1 = best): Recall@k = [r ≤ k], NDCG@k = [r ≤ k] / log2(r + 1),
MRR = 1 / r. All are means over users.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ranks = NDArray[np.integer]


def ranks_of(scores: NDArray[np.floating], targets: NDArray[np.integer]) -> Ranks:
    """Rank [B] of each target under scores [B, V], ties counted against the model; -inf marks masked items.

    A score that is not a number ranks last.

    >>> ranks_of(np.array([[0.1, 0.9, 0.9], [0.3, 0.2, 0.1]]), np.array([1, 0]))
    array([2, 1])
    >>> ranks_of(np.zeros((1, 4)), np.array([2]))
    array([4])
    """
    own = np.take_along_axis(scores, targets[:, None].astype(np.int64), axis=1)
    return (~(scores < own)).sum(1).astype(np.int64)


def recall_at(ranks: Ranks, k: int) -> float:
    """Share of users whose item is among the first k.

    >>> recall_at(np.array([1, 10, 11]), 10)
    0.6666666666666666
    >>> recall_at(np.array([], dtype=np.int64), 10)
    0.0
    """
    return float((ranks <= k).mean()) if len(ranks) else 0.0


def ndcg_at(ranks: Ranks, k: int) -> float:
    """Normalised discounted cumulative gain; the ideal gain is 1 with one relevant item.

    >>> ndcg_at(np.array([1, 3, 11]), 10)
    0.5
    """
    return float(np.where(ranks <= k, 1 / np.log2(ranks + 1.0), 0.0).mean()) if len(ranks) else 0.0


def mrr(ranks: Ranks) -> float:
    """Mean reciprocal rank.

    >>> mrr(np.array([1, 2, 4]))
    0.5833333333333334
    """
    return float((1 / ranks).mean()) if len(ranks) else 0.0


def summary(ranks: Ranks) -> dict[str, float]:
    """The metrics a report holds.

    >>> summary(np.array([1, 20]))["recall@20"]
    1.0
    """
    return {
        "recall@10": recall_at(ranks, 10),
        "recall@20": recall_at(ranks, 20),
        "ndcg@10": ndcg_at(ranks, 10),
        "ndcg@20": ndcg_at(ranks, 20),
        "mrr": mrr(ranks),
    }
