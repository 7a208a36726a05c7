"""Tiny planted worlds, small enough to know the right answer by heart.

The cycle: V items in a ring, item i always followed by i + 1, whoever takes it. A perfect model predicts every step.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Generator, Tensor

from foster.catalog import Catalog
from foster.encoder import public_features
from foster.interactions import Interactions
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.trajectory import ExpertTrajectory, _anchor

CPU = torch.device("cpu")


def generator(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def unit_features(n_items: int, text_width: int = 16, seed: int = 0) -> Tensor:
    """Random unit vectors [V, D_text], centred as the engine does."""
    return public_features(torch.nn.functional.normalize(torch.randn(n_items, text_width, generator=generator(seed))))


def log_of(*sequences: list[int]) -> Interactions:
    """An interaction log of users u0, u1, … with these sequences."""
    offsets = np.cumsum([0, *map(len, sequences)])
    return Interactions(
        np.concatenate([np.array(s) for s in sequences]), offsets, tuple(f"u{i}" for i in range(len(sequences)))
    )


def cycle_log(n_items: int = 30, users: int = 40, length: int = 8) -> Interactions:
    """User u starts at item 7u and walks round the ring."""
    return log_of(*[[(7 * u + step) % n_items for step in range(length)] for u in range(users)])


def catalog(n_items: int) -> Catalog:
    titles = tuple(f"Book number {i}" for i in range(n_items))
    return Catalog(
        tuple(f"i{i:03d}" for i in range(n_items)), titles, {"genre": tuple("ab"[i % 2] for i in range(n_items))}
    )


def small_model(
    text_width: int = 16, seed: int = 0, max_length: int = 8, backbone: str = "sasrec", dropout: float = 0.0
) -> SequentialRecommender:
    return build_recommender(text_width, small_shape(max_length, backbone, dropout), generator(seed))


def small_shape(max_length: int = 8, backbone: str = "sasrec", dropout: float = 0.0) -> RecommenderConfig:
    return RecommenderConfig(
        backbone=backbone,  # type: ignore[arg-type]
        width=8,
        layers=1,
        heads=2,
        max_length=max_length,
        dropout=dropout,
        temperature=0.1,
    )


def planted_expert(folder: Path, text_width: int = 16, max_length: int = 8, steps: int = 4) -> ExpertTrajectory:
    """A trajectory of randomly initialised anchors at 0, 10, 20, …; the last one is the best."""
    folder.mkdir(parents=True, exist_ok=True)
    at = tuple(10 * k for k in range(steps))
    for step in at:
        save_file(small_model(text_width, 100 + step, max_length).state_dict(), _anchor(folder, step))
    return ExpertTrajectory(folder, small_shape(max_length), text_width, at, at[-1], 0.5)


def write_dataset(folder: Path, n_items: int = 30, users: int = 40, length: int = 8) -> Path:
    """The cycle as a data folder in foster's own format."""
    folder.mkdir(parents=True, exist_ok=True)
    items, log = catalog(n_items), cycle_log(n_items, users, length)
    with (folder / "items.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item_id", "title", "genre"])
        rows.writerows(zip(items.ids, items.titles, items.fields["genre"], strict=True))
    with (folder / "interactions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "item_id", "timestamp"])
        for user, name in enumerate(log.user_ids):
            rows.writerows([name, items.ids[item], 100 + step] for step, item in enumerate(log.sequence(user)))
    return folder
