"""Lesson 1: a recommender reads texts and predicts the next item; broken by hiding the order or exchanging the texts.

V = 24 books. Everything is measured on readers that no model has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch

from foster import metrics
from foster.evaluate import model_scorer
from foster.interactions import Interactions
from foster.lessons.expert import CHECKPOINTS, hits, swapped_features, toy_expert, train_expert
from foster.lessons.world import (
    BOOKS,
    BOOKS_READ,
    TITLES,
    ToyWorld,
    features,
    popular_scorer,
    toy_world,
    truth_scorer,
)


class Broken(StrEnum):
    NOTHING = "nothing"
    ORDER = "order"  # every reader's books in a random order: the same books, no sequence
    TEXTS = "texts"  # every book has another book's text


NEW = tuple(
    sorted(TITLES.index(title) for title in ("The Martian", "The Hobbit", "Emma", "The Hound of the Baskervilles"))
)


@dataclass(frozen=True, eq=False)
class Learned:
    """steps: of the checkpoints; odds: p(next | one book read) at each [checkpoints, V, V]; losses: before each step.

    hits, popular, best: Recall@3 of the trained model, of the most popular books and of the truth itself.
    """

    steps: tuple[int, ...]
    odds: np.ndarray
    losses: np.ndarray
    hits: float
    popular: float
    best: float

    @property
    def advantage(self) -> float:
        """How far the model is above the most popular books."""
        return self.hits - self.popular


def learn(seed: int, broken: Broken = Broken.NOTHING) -> Learned:
    """Train a recommender on the toy log, with one part of the log broken or none."""
    world = toy_world(seed)
    text = swapped_features(seed) if broken is Broken.TEXTS else features()
    if broken is Broken.NOTHING:
        expert = toy_expert(seed)
    else:
        expert = train_expert(_shuffled(world, seed) if broken is Broken.ORDER else world.log, text, seed)
    alone = [np.array([book]) for book in range(len(BOOKS))]
    odds = [torch.from_numpy(model_scorer(model, text)(alone)).softmax(-1).numpy() for model in expert.models]
    return Learned(
        CHECKPOINTS,
        np.stack(odds),
        expert.losses,
        hits(expert.last, world, text),
        world.hits(popular_scorer(world)),
        world.hits(truth_scorer),
    )


def _shuffled(world: ToyWorld, seed: int) -> Interactions:
    books = np.random.default_rng(seed).permuted(world.log.items.reshape(-1, BOOKS_READ), axis=1)
    return Interactions(books.ravel(), world.log.offsets, world.log.user_ids)


@dataclass(frozen=True)
class NewBooks:
    """How often the model's first choice among NEW, books that its log never held, is right, over the readers whose
    next book is one of them; chance is one in four."""

    hits: float
    readers: int


def new_books(seed: int, broken: Broken = Broken.NOTHING) -> NewBooks:
    """Train without the books NEW, then put them on the shelf: all that is known of them is their text."""
    world = toy_world(seed)
    text = swapped_features(seed) if broken is Broken.TEXTS else features()
    known = np.setdiff1d(np.arange(len(BOOKS)), NEW)
    held = _shuffled(world, seed) if broken is Broken.ORDER else world.log
    kept = np.isin(held.items, known)
    rows = np.searchsorted(known, held.items[kept])
    log = Interactions.from_events([f"{user}" for user in held.users[kept]], rows, np.arange(kept.sum()))
    model = train_expert(log, text[known], seed).last
    asks = world.fresh[np.isin(world.fresh[:, -1], NEW)]
    scores = model_scorer(model, text)(list(asks[:, :-1]))[:, NEW]
    ranks = metrics.ranks_of(scores, np.searchsorted(np.array(NEW), asks[:, -1]))
    return NewBooks(metrics.recall_at(ranks, 1), len(asks))
