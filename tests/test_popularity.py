"""What plain sequences say of popularity: counted, added as far as validation says, stored with the student."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from safetensors.torch import load_file, save_file
from short_runs import no_map, short_runs

import foster.pipeline
from foster.errors import UserError
from foster.evaluate import Protocol, model_scorer, prior_scorers
from foster.hard_form import POPULARITY, RANDOM
from foster.pipeline import execute
from foster.recommend import load_model, model_file, save_model
from foster.recommender import RecommenderConfig
from foster.repeats import Repeats
from foster.runs import RunStore, RunWriter
from foster.spec import RunSpec
from foster.students import every_step, popularity, train_student
from foster.synthetic import hard_batch
from foster.training import Recipe

SHAPE = RecommenderConfig(width=16, layers=1, max_length=8, dropout=0.0)
SEQUENCES = torch.tensor([[3, 1, 2, 5], [1, 2, -1, -1], [4, -1, -1, -1]])
OFTEN = [0, 2, 2, 1, 1, 1]
RECIPE = Recipe(steps=5)
HISTORIES = [np.array([1, 2]), np.array([7])]


def student(weight: float | None, shape: RecommenderConfig = SHAPE) -> Any:
    draw = every_step(hard_batch(SEQUENCES))
    return train_student(draw, random_features(), shape, replace(RECIPE, popularity=weight), seed=1)


def test_an_item_counts_as_often_as_it_stands_in_the_sequences() -> None:
    assert hard_batch(SEQUENCES).often(N_ITEMS).tolist() == OFTEN + [0] * (N_ITEMS - len(OFTEN))
    weighed = popularity(hard_batch(SEQUENCES), 0.5, N_ITEMS)
    assert torch.allclose(weighed[:6], 0.5 * torch.log(1 + torch.tensor(OFTEN, dtype=torch.float)))


@pytest.mark.parametrize("shape", [SHAPE, replace(SHAPE, repeat_rate=0.3, repeat_decay=1.0)])
def test_a_student_learns_the_same_and_is_asked_with_what_is_popular(shape: RecommenderConfig) -> None:
    plain, told = student(None, shape), student(0.7, shape)
    assert plain.prior is None
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), told.parameters(), strict=True))
    without, found = (model_scorer(each, random_features())(HISTORIES) for each in (plain, told))
    expected = 0.7 * np.log1p(np.array(OFTEN + [0] * (N_ITEMS - len(OFTEN))))
    if shape.repeat_rate is None:
        assert np.allclose(found, without + expected, atol=1e-5)
    else:  # within the model's share of the mixture
        bare = model_scorer(student(None), random_features())(HISTORIES) + expected
        log_p = torch.from_numpy(bare).float().log_softmax(-1).numpy()
        assert np.allclose(found, Repeats(0.3, 1.0).mixed(log_p, HISTORIES), atol=1e-4)


@pytest.mark.parametrize("shape", [SHAPE, replace(SHAPE, repeat_rate=0.3, repeat_decay=1.0)])
def test_several_weights_are_asked_together_as_each_alone(shape: RecommenderConfig) -> None:
    model, protocol = student(None, shape), Protocol(cycle_log().leave_one_out(), N_ITEMS, block=7)
    priors = [None, *(popularity(hard_batch(SEQUENCES), weight, N_ITEMS) for weight in POPULARITY)]
    together = protocol.ranks_of_all(prior_scorers(model, random_features(), priors), "test")
    assert together.shape == (1 + len(POPULARITY), 40)
    for prior, found in zip(priors, together, strict=True):
        model.prior = prior
        assert found.tolist() == protocol.ranks(model_scorer(model, random_features()), "test").tolist()
    assert len({tuple(found) for found in together.tolist()}) == len(together), "they differ"


def test_it_is_stored_with_the_student_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "models" / "hard.safetensors"
    save_model(path, student(1.0))
    back = load_model(path, 16, N_ITEMS)
    assert back.prior is not None
    assert back.prior.tolist() == pytest.approx(student(1.0).prior.tolist(), abs=1e-3)
    save_model(path, student(None))
    assert load_model(path, 16, N_ITEMS).prior is None


@pytest.mark.parametrize("prior", [torch.zeros(N_ITEMS + 1), torch.zeros(2, 3), torch.full((N_ITEMS,), torch.inf)])
def test_one_that_does_not_fit_the_catalogue_is_refused(tmp_path: Path, prior: torch.Tensor) -> None:
    path = tmp_path / "models" / "hard.safetensors"
    save_model(path, student(1.0))
    tensors = load_file(path) | {"prior": prior.half()}
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))["__metadata__"]
    save_file(tensors, path, header)
    with pytest.raises(UserError, match="no stored student"):
        load_model(path, 16, N_ITEMS)


def _popular_log(folder: Path) -> None:
    """Histories drawn by popularity alone, which texts do not know: item i about 1 / (1 + i) as often as the first."""
    draw, weights = np.random.default_rng(0), 1 / (1 + np.arange(N_ITEMS)) ** 1.5
    rows = [
        f"u{user},i{item},{time}\n"
        for user in range(200)
        for time, item in enumerate(draw.choice(N_ITEMS, 6, replace=False, p=weights / weights.sum()))
    ]
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\n" + "".join(rows))


@pytest.mark.parametrize("popular", [True, False])
def test_held_out_items_decide_how_much_it_counts(tmp_path: Path, popular: bool) -> None:
    folder = tmp_path / "data"
    with short_runs(folder) as patch:
        patch.setattr(foster.pipeline, "item_map", no_map)
        patch.setattr(
            foster.pipeline, "HARD_RECIPE", Recipe(steps=2 if popular else 100, learning_rate=1e-2, matrix_rate=3e-2)
        )
        if popular:
            _popular_log(folder)
        store = RunStore(tmp_path / "runs", bundled=None)
        spec = RunSpec(data=str(folder), sequences=20, length=6, steps=1, students=1, seed=3, device="cpu")
        run = store.create(spec)
        with RunWriter(run.path) as writer:
            report = execute(spec, writer, store.cache)
    told = {event["name"]: event["popularity"] for event in run.events("hard")}
    for name in ("hard.json", RANDOM):
        kept = json.loads((run.path / name).read_text())["recipe"].get("popularity")
        assert kept == told[name]
        assert (kept in POPULARITY) if popular else (kept is None)
    assert (load_model(model_file(run.path, "hard"), 16).prior is not None) == popular
    random = report["valid"]["random"]["recall@10"]["mean"]
    assert random > (0.5 if popular else 0.9), random
