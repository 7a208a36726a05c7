"""A finished run with students to ask, in seconds: laid files, and tiny recommenders trained on the cycle world.

Item i is followed by i + 1. "full" learned that from every user, "soft" and "hard" from a few, "random" learned the
cycle backwards, "untrained" learned nothing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from cycle_world import N_ITEMS, cycle_folder, cycle_log, random_features
from run_folders import lay_run
from safetensors.torch import save_file

from foster.encoder import TextEncoder, embeddings_file
from foster.formats import load_dataset
from foster.recommend import model_file, save_model
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.students import every_step, train_student
from foster.synthetic import hard_batch
from foster.training import Recipe

RUN = "20260921-1100-foster-cycle-0001"
SHAPE = RecommenderConfig(width=16, layers=1, heads=1, max_length=8, dropout=0.0)
RECIPE = Recipe(steps=400, learning_rate=1e-2, dropout=0.0)


@cache
def students() -> dict[str, SequentialRecommender]:
    features = random_features()
    log = cycle_log(length=8)
    rows = torch.from_numpy(np.stack([log.sequence(user) for user in range(log.n_users)])).long()
    few = rows[:24:2]
    taught = {"full": rows, "soft": few, "hard": few[:6], "random": few.flip(1), "untrained": None}
    return {
        name: train_student(None if batch is None else every_step(hard_batch(batch)), features, SHAPE, RECIPE, seed)
        for seed, (name, batch) in enumerate(taught.items())
    }


def lay_students(
    root: Path, names: tuple[str, ...] = ("full", "soft", "hard", "random", "untrained"), state: str = "done"
) -> str:
    """The run's id; its data lie beside the store, its embeddings in the store's cache."""
    data = root.parent / "cycle"
    if not data.exists():
        cycle_folder(data)
    catalog = load_dataset(str(data)).catalog
    folder = lay_run(root, RUN, state, data=str(data), titles=catalog.titles)
    items = pd.read_parquet(folder / "items.parquet").assign(item_id=list(catalog.ids))
    items.to_parquet(folder / "items.parquet", index=False)
    cached = embeddings_file(TextEncoder("minilm", "minilm"), catalog.texts, root / ".cache")
    cached.parent.mkdir(parents=True, exist_ok=True)
    save_file({"embeddings": random_features().half()}, cached)
    for name in names:
        save_model(model_file(folder, name), students()[name])
    assert len(items) == N_ITEMS
    return RUN


def retitle(root: Path, titles: tuple[str, ...]) -> None:
    """Other titles for the catalogue's first items, in the data and in the run, embeddings included."""
    data, folder = root.parent / "cycle", root / RUN
    items = pd.read_parquet(folder / "items.parquet")
    named = [*titles, *items["title"].tolist()[len(titles) :]]
    items.assign(title=named).to_parquet(folder / "items.parquet", index=False)
    pd.DataFrame({"item_id": items["item_id"], "title": named}).to_csv(data / "items.csv", index=False)
    texts = load_dataset(str(data)).catalog.texts
    cached = embeddings_file(TextEncoder("minilm", "minilm"), texts, root / ".cache")
    save_file({"embeddings": random_features().half()}, cached)
