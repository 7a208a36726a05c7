"""The lessons' full-data model: foster's own recommender, trained on the whole toy log, with checkpoints on the way.

V items, D_text theme words. Its checkpoints are the toy's expert trajectory; later lessons reset to them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Generator, Tensor

from foster.evaluate import model_scorer
from foster.interactions import Interactions
from foster.lessons.world import BOOKS, BOOKS_READ, ToyWorld, features, toy_world
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.students import derived_seed
from foster.training import RealWindows, Recipe, Trainer

CONFIG = RecommenderConfig(width=16, layers=1, heads=2, max_length=BOOKS_READ, dropout=0.0, temperature=0.2)
BATCH = 64
RECIPE = Recipe(steps=120, learning_rate=2e-2, batch_size=BATCH, dropout=0.0)
CHECKPOINTS = (0, 5, 10, 20, 40, 60, 80, 100, 120)


@dataclass(frozen=True, eq=False)
class ToyExpert:
    """models: one a checkpoint, never trained further (copy them); losses: L_D before each step, [120]."""

    models: tuple[SequentialRecommender, ...]
    losses: np.ndarray

    @property
    def last(self) -> SequentialRecommender:
        return self.models[-1]


def at(expert: ToyExpert, step: int) -> SequentialRecommender:
    """The checkpoint of one training step."""
    return expert.models[CHECKPOINTS.index(step)]


def real_windows(log: Interactions) -> RealWindows:
    return RealWindows(log, BOOKS_READ - 1, torch.device("cpu"))


@lru_cache(maxsize=8)
def swapped_features(seed: int) -> Tensor:
    """Texts exchanged among the books along one random cycle, so that none keeps its own."""
    order = torch.randperm(len(BOOKS), generator=Generator().manual_seed(seed))
    swapped = torch.empty_like(features())
    swapped[order] = features()[order.roll(1)]
    return swapped


def train_expert(log: Interactions, text: Tensor, seed: int) -> ToyExpert:
    """Trained on a log whose items are rows of `text` [V, D_text]."""
    draw = Generator().manual_seed(derived_seed(seed, "expert"))
    model = build_recommender(text.shape[1], CONFIG, draw)
    trainer = Trainer(model, text, RECIPE, Generator())
    windows = real_windows(log)
    models, losses = [], []
    for step in range(RECIPE.steps + 1):
        if step in CHECKPOINTS:
            models.append(copy.deepcopy(model).requires_grad_(False))
        if step < RECIPE.steps:
            losses.append(trainer.step(windows.draw(BATCH, draw)))
    return ToyExpert(tuple(models), np.array(losses))


@lru_cache(maxsize=8)
def toy_expert(seed: int) -> ToyExpert:
    """Trained on the whole log of `toy_world(seed)`."""
    return train_expert(toy_world(seed).log, features(), seed)


def hits(model: SequentialRecommender, world: ToyWorld, text: Tensor | None = None) -> float:
    """Recall@3 of a model on readers nobody has seen."""
    return world.hits(model_scorer(model, features() if text is None else text))
