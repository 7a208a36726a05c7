"""Lesson 5: the regulariser. Books of similar texts should stand together in the synthetic set; broken by γ = 0.

V = 24 books, M = SEQUENCES. w is what the texts say, c what the distilled labels make of it (METHOD §2, form A).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foster.cooccurrence import conditional, regulariser, semantic_similarity, soft_cooccurrence
from foster.lessons.condensed import STUDENTS, condense, scores, soft
from foster.lessons.world import features

SEQUENCES, NEAR = 4, 3


@dataclass(frozen=True, eq=False)
class Together:
    """wanted w and found c(·|i), [V, V]; penalty: L_reg of the result; near: the share of c on a book's NEAR most
    similar books, by_chance if c were uniform; entropy: of the labels, in nats; students: Recall@3 of fresh ones."""

    wanted: np.ndarray
    found: np.ndarray
    penalty: float
    near: float
    entropy: float
    students: np.ndarray

    @property
    def by_chance(self) -> float:
        return NEAR / (len(self.wanted) - 1)


def stand_together(seed: int, weight: float) -> Together:
    """weight: γ."""
    result = condense(seed, SEQUENCES, regularisation=weight).result
    basis = result.basis(features())
    labels = (result.own @ basis.T).softmax(-1)
    wanted, found = semantic_similarity(features()), conditional(soft_cooccurrence(labels))
    return Together(
        wanted.numpy(),
        found.numpy(),
        float(regulariser(labels, wanted)),
        float(found.gather(1, wanted.topk(NEAR).indices).sum(1).mean()),
        -float((labels * labels.log()).sum(-1).mean()),
        scores(seed, [soft(result)] * STUDENTS),
    )
