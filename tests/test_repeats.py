"""What is taken again: counted as defined, found again where it was planted, and mixed into what models say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from short_runs import features_in, no_map, short_runs
from torch import Generator

from foster.artefact import load
from foster.errors import UserError
from foster.evaluate import Protocol, ensemble_scorer, model_scorer
from foster.formats import load_dataset
from foster.interactions import Interactions
from foster.metrics import recall_at
from foster.pipeline import SOFT_FILE, execute
from foster.recommend import load_model, model_file, recommend, save_model
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.repeats import LONGEST, MOST, Repeats, ages, repeats_of
from foster.runs import RunStore, RunWriter
from foster.spec import RunSpec

SHAPE = RecommenderConfig(width=16, layers=1, max_length=8, dropout=0.0)
AGAIN = Repeats(repeat_rate=0.4, repeat_decay=1.0)


def log_of(*sequences: list[int]) -> Interactions:
    offsets = np.cumsum([0, *map(len, sequences)])
    return Interactions(np.concatenate(sequences), offsets, tuple(f"u{user}" for user in range(len(sequences))))


def fresh(again: Repeats | None, seed: int = 0) -> SequentialRecommender:
    shape = replace(SHAPE, **vars(again)) if again else SHAPE
    return build_recommender(16, shape, Generator().manual_seed(seed))


def literal_ages(log: Interactions) -> tuple[list[int], list[int]]:
    came, could = [0] * LONGEST, [0] * LONGEST
    for user in range(log.n_users):
        x = log.sequence(user).tolist()
        for t in range(1, len(x)):
            for age in range(1, min(t, LONGEST) + 1):
                if x[t - age] not in x[t - age + 1 : t]:  # this is where it was read last
                    could[age - 1] += 1
                    came[age - 1] += x[t] == x[t - age]
    return came, could


def repeating_log(again: Repeats, users: int = 300, length: int = 40, items: int = 5000) -> Interactions:
    """Histories drawn from the mixture, what is new uniformly."""
    draw, found = np.random.default_rng(3), []
    for _ in range(users):
        history = [int(draw.integers(items))]
        while len(history) < length:
            log_p = np.full((1, items), -np.log(items))
            p = np.exp(again.mixed(log_p, [np.array(history)])[0])
            history.append(int(draw.choice(items, p=p / p.sum())))
        found.append(history)
    return log_of(*found)


def test_ages_are_counted_as_defined() -> None:
    draw = np.random.default_rng(0)
    log = log_of(*(draw.integers(0, 30, size).tolist() for size in (1, 2, 60, 130)), [5, 5, 5])
    came, could = ages(log)
    assert (came.tolist(), could.tolist()) == literal_ages(log)


def test_the_rate_and_the_decay_that_histories_were_drawn_by_are_found() -> None:
    found = repeats_of(repeating_log(Repeats(0.15, 0.8)))
    assert found is not None
    assert found.repeat_rate == pytest.approx(0.15, rel=0.15)
    assert found.repeat_decay == pytest.approx(0.8, abs=0.2)


def test_a_log_without_repeats_has_none() -> None:
    assert repeats_of(cycle_log()) is None
    assert repeats_of(log_of([0])) is None


def test_a_log_of_one_item_leaves_a_chance_to_what_is_new() -> None:
    found = repeats_of(log_of([3, 3, 3, 3]))
    assert found is not None
    assert found.repeat_rate == 1
    p = np.exp(found.mixed(np.log(np.full((1, 5), 0.2)), [np.array([3, 3])]))[0]
    assert p == pytest.approx([0.2 * (1 - MOST)] * 3 + [MOST + 0.2 * (1 - MOST)] + [0.2 * (1 - MOST)])


def test_the_mixture_is_that_of_the_docstring() -> None:
    p = np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])
    found = np.exp(AGAIN.mixed(np.log(p), [np.array([2, 0, 2]), np.array([1])]))
    assert found.sum(1) == pytest.approx([1, 1])
    # of the first history item 2 was read last one event ago, item 0 two events ago
    assert found[0] == pytest.approx([0.4 / 2 + 0.4 * 0.1, 0.4 * 0.2, 0.4 + 0.4 * 0.3, 0.4 * 0.4])
    assert found[1] == pytest.approx([0.15, 0.4 + 0.15, 0.15, 0.15])


def test_a_recommender_that_reckons_with_repeats_says_the_mixture_of_what_it_reads() -> None:
    features, long = random_features(), np.array([9, 1, 2, 3, 4, 5, 6, 7, 8])  # 9 is beyond the 8 it reads
    plain, mixed = (model_scorer(fresh(again), features)([long])[0] for again in (None, AGAIN))
    p = torch.from_numpy(plain).double().softmax(-1).numpy()
    assert np.exp(mixed) == pytest.approx(np.exp(AGAIN.mixed(np.log(p[None]), [long[1:]])[0]), rel=1e-4)
    both = ensemble_scorer([fresh(AGAIN), fresh(AGAIN, 1)], features)([long])
    assert both.sum() == pytest.approx(1, rel=1e-4)


def test_what_comes_again_is_found_by_who_reckons_with_it_alone() -> None:
    two = log_of(*([item, item + 1] * 3 for item in range(N_ITEMS - 1))).leave_one_out()
    found = repeats_of(two.train)
    assert found is not None
    assert not two.mask_history
    plain, mixed = (
        recall_at(Protocol(two, N_ITEMS).ranks(model_scorer(fresh(again), random_features()), "test"), 2)
        for again in (None, found)
    )
    assert mixed == 1
    assert plain < 1


def test_stored_models_keep_it(tmp_path: Path) -> None:
    for again in (None, AGAIN):
        save_model(tmp_path / "soft.safetensors", fresh(again))
        model = load_model(tmp_path / "soft.safetensors", 16)
        assert Repeats.of(model.config) == again
    first = recommend(model_scorer(model, random_features()), [4], 1, repeats=True)[0]
    assert first.item == 4
    assert first.weight > AGAIN.repeat_rate


@pytest.mark.parametrize(("rate", "decay"), [(0.0, 1.0), (1.5, 1.0), (0.5, -1.0), (float("nan"), 1.0), (0.5, None)])
def test_impossible_rates_are_refused(rate: float, decay: float | None) -> None:
    with pytest.raises(UserError, match="repeat"):
        replace(SHAPE, repeat_rate=rate, repeat_decay=decay)


def test_a_run_on_a_log_with_repeats_reckons_with_them_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cycle"
    with short_runs(folder, steps=3, save_every=8, student_steps=2, paths=2, real_batch=16) as patch:
        patch.setattr("foster.pipeline.item_map", no_map)
        log = pd.read_csv(folder / "interactions.csv")
        again = log[log.timestamp == 0].assign(timestamp=-1)  # every user's first item comes twice
        pd.concat([again, log]).to_csv(folder / "interactions.csv", index=False)
        store = RunStore(tmp_path / "runs")
        run = store.create(RunSpec(data=str(folder), sequences=2, length=4, steps=1, students=1, device="cpu"))
        with RunWriter(run.path) as writer:
            report = execute(run.spec, writer, store.cache)
    expected = repeats_of(load_dataset(str(folder)).interactions.leave_one_out().train)
    assert expected is not None
    assert not report["data"]["history_masked"]
    for name in ("full", "soft", "hard", "random", "untrained"):
        assert Repeats.of(load_model(model_file(run.path, name), 16).config) == expected
    features = features_in(folder)
    _, recipe = load(run.path / SOFT_FILE, features)
    assert (recipe.repeat_rate, recipe.repeat_decay) == (expected.repeat_rate, expected.repeat_decay)
