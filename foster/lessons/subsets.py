"""Lesson 3: stochastic item subsets. One label, its divergence on all V books, and what a random U makes of it.

The label P is what the trained expert expects after a book, sharpened; the model p is the expert early in training.
Quantity: KL(P ‖ p), as the loop computes it for every position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from foster.evaluate import model_scorer
from foster.lessons.expert import at, toy_expert
from foster.lessons.world import BOOKS, features
from foster.students import derived_seed
from foster.subset import ItemSubset, draw_subset, whole_catalogue
from foster.subset_view import divergence

DRAWS = 300
TOP = 3
EARLY = 10  # steps the model has learned for


@dataclass(frozen=True)
class SubsetPlan:
    """size: |U|. keep: U always holds the label's TOP books. correct: divide by the chance of being drawn."""

    seed: int = 0
    book: int = 0
    size: int = 8
    sharpness: float = 2.0
    keep: bool = True
    correct: bool = True


@dataclass(frozen=True, eq=False)
class Drawn:
    """label [V]; exact: the divergence on all books, in nats; estimates [DRAWS] on each U; members [DRAWS, V], whether
    a book is in U; mass [DRAWS]: the label's share inside U."""

    label: np.ndarray
    exact: float
    estimates: np.ndarray
    members: np.ndarray
    mass: np.ndarray

    @property
    def top_inside(self) -> float:
        """Share of draws whose U holds the label's likeliest book."""
        return float(self.members[:, self.label.argmax()].mean())

    @property
    def bias(self) -> float:
        return float(self.estimates.mean() - self.exact)

    @property
    def typical_error(self) -> float:
        """Root mean square of estimate − exact."""
        return float(np.sqrt(((self.estimates - self.exact) ** 2).mean()))


def estimate(label: Tensor, logits: Tensor, subset: ItemSubset, correct: bool = True) -> float:
    """KL(P ‖ p) with both renormalised on U [|U|], from log P [V] and logits [V]; exact if U is everything."""
    shift = subset.log_inclusion if correct else torch.zeros_like(subset.log_inclusion)
    log_label = (label[subset.items] - shift).log_softmax(-1)
    log_model = (logits[subset.items] - shift).log_softmax(-1)
    return float(divergence(log_label[None, None], log_model[None, None]))


def draw_many(plan: SubsetPlan) -> Drawn:
    """DRAWS independent subsets of one plan."""
    expert = toy_expert(plan.seed)
    past = [np.array([plan.book])]
    sharp = torch.from_numpy(model_scorer(expert.last, features())(past))[0] * plan.sharpness
    label = sharp.log_softmax(-1)
    logits = torch.from_numpy(model_scorer(at(expert, EARLY), features())(past))[0]
    needed = label.topk(TOP).indices if plan.keep else torch.empty(0, dtype=torch.int64)
    generator = Generator().manual_seed(derived_seed(plan.seed, "subsets"))
    members = np.zeros((DRAWS, len(BOOKS)), dtype=bool)
    estimates = []
    for draw in range(DRAWS):
        subset = draw_subset(len(BOOKS), needed, plan.size, generator)
        members[draw, subset.items.numpy()] = True
        estimates.append(estimate(label, logits, subset, plan.correct))
    p = label.exp().numpy()
    exact = estimate(label, logits, whole_catalogue(len(BOOKS), torch.device("cpu")))
    return Drawn(p, exact, np.array(estimates), members, members @ p)
