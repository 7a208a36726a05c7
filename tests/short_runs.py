"""Runs of seconds: the cycle world with shipped embeddings, and recipes of a few steps for whoever trains in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from cycle_world import N_ITEMS, cycle_folder
from torch import Tensor

import foster.artefact
import foster.experts
import foster.label_basis
import foster.pipeline
from foster.distiller import DistillConfig
from foster.encoder import load_embeddings, public_features
from foster.formats import load_dataset
from foster.training import Recipe
from foster.trajectory import ExpertConfig


@contextmanager
def short_runs(folder: Path, *, steps: int = 4, **loop: Any) -> Iterator[pytest.MonkeyPatch]:
    """Every run inside trains students of `steps` steps on the cycle in `folder`, which is made; loop: changes of
    DistillConfig. Yields what the patches are made with, for more of them."""
    cycle_folder(folder)

    def with_embeddings(source: str) -> Any:
        return dataclasses.replace(load_dataset(source), embeddings=folder / "embeddings.safetensors")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foster.pipeline, "load_dataset", with_embeddings)
        patch.setattr(foster.pipeline, "SOFT_RECIPE", Recipe(steps=steps))
        patch.setattr(foster.pipeline, "soft_recipe", lambda labels: foster.pipeline.SOFT_RECIPE)  # however few
        patch.setattr(foster.label_basis, "FIT_STEPS", 40)
        patch.setattr(foster.pipeline, "HARD_RECIPE", Recipe(steps=steps))
        patch.setattr(foster.experts, "ExpertConfig", partial(ExpertConfig, patience=1, check_every=8, batch_size=16))
        for bound in ("FINEST", "COARSEST"):  # so few bytes have no room for labels in which a few steps show
            patch.setattr(foster.artefact, bound, 0.02)
        if loop:
            patch.setattr(foster.pipeline, "DistillConfig", partial(DistillConfig, **loop))
        yield patch
    torch.use_deterministic_algorithms(False)


def features_in(folder: Path) -> Tensor:
    """The public features of the runs on a folder."""
    return public_features(load_embeddings(folder / "embeddings.safetensors", N_ITEMS))


def no_map(train: Any, totals: Any, *_: object) -> pd.DataFrame:
    """In the place of `item_map`, whose layouts take seconds."""
    return pd.DataFrame({"mass": totals.sum(0)})
