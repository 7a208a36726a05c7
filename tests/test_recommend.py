"""Stored students and their lists: read back exactly, refused when damaged, ranked as the evaluation ranks."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_folder, cycle_log, random_features
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Generator

import foster.recommend
from foster.encoder import TextEncoder, embeddings_file
from foster.errors import UserError
from foster.evaluate import Protocol, Scorer, model_scorer
from foster.formats import load_dataset
from foster.recommend import Recommendation, compare_lists, item_features, load_model, recommend, save_model
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.students import every_step, train_student
from foster.synthetic import hard_batch
from foster.training import Recipe

WIDTH = 16
SHAPE = RecommenderConfig(width=16, layers=1, heads=1, max_length=8, dropout=0.0)


def fresh(backbone: Any = "sasrec") -> SequentialRecommender:
    shape = RecommenderConfig(backbone=backbone, width=16, layers=1, heads=1, max_length=8)
    return build_recommender(WIDTH, shape, Generator().manual_seed(3))


def planted(scores: list[float]) -> Scorer:
    return lambda histories: np.tile(np.array(scores, dtype=np.float32), (len(histories), 1))


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(foster.recommend).failed == 0


@pytest.mark.parametrize("backbone", ["sasrec", "gru4rec"])
def test_a_model_comes_back_as_it_was_stored(tmp_path: Path, backbone: str) -> None:
    model, path = fresh(backbone), tmp_path / "models" / "soft.safetensors"
    save_model(path, model)
    assert [each.name for each in path.parent.iterdir()] == ["soft.safetensors"]
    assert path.stat().st_size < 1.5 * sum(value.numel() for value in model.state_dict().values()) + 4096
    found = load_model(path, WIDTH)
    assert found.config == model.config
    for name, value in model.state_dict().items():
        step = value.abs().amax(-1, keepdim=True) / (127 if value.ndim == 2 else 1024)
        assert ((found.state_dict()[name] - value).abs() <= 0.51 * step).all(), name


def rewrite(path: Path, change: Any) -> None:
    """Store the file again with its header and tensors changed."""
    with safe_open(path, "pt") as file:
        shape = json.loads(file.metadata()["foster"])
    tensors = load_file(path)
    change(shape, tensors)
    save_file(tensors, path, {"foster": json.dumps(shape)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda shape, tensors: shape.update(schema=1), "another version"),
        (lambda shape, tensors: shape.update(extra=1), "another version"),
        (lambda shape, tensors: shape["config"].update(extra=1), "does not know"),
        (lambda shape, tensors: shape["config"].pop("heads"), "does not know"),
        (lambda shape, tensors: shape["config"].update(backbone="lstm"), "no stored student"),
        (lambda shape, tensors: shape["config"].update(max_length=9), "no stored student"),
        (lambda shape, tensors: shape.update(text_width=17), "width 17, these have 16"),
        (lambda shape, tensors: tensors.pop("positions"), "no stored student"),
        (lambda shape, tensors: tensors.update(surplus=torch.zeros(1).half()), "no stored student"),
        (lambda shape, tensors: tensors["positions.scale"].fill_(float("nan")), "not finite"),
        (lambda shape, tensors: tensors["norm.bias"].fill_(float("inf")), "not finite"),
        (lambda shape, tensors: tensors.update({"norm.bias": torch.zeros(16, dtype=torch.int32)}), "not finite"),
        (lambda shape, tensors: tensors.pop("positions.scale"), "not finite"),
        (lambda shape, tensors: tensors.update({"norms.scale": torch.ones(1)}), "no stored student"),
    ],
)
def test_a_file_that_is_not_exactly_a_student_is_refused(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "soft.safetensors"
    save_model(path, fresh())
    rewrite(path, change)
    with pytest.raises(UserError, match=said):
        load_model(path, WIDTH)


@pytest.mark.parametrize("content", [None, b"", b"\x00" * 64, b"not a model at all"])
def test_a_missing_or_foreign_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "soft.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="no stored student"):
        load_model(path, WIDTH)


def test_a_half_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "soft.safetensors"
    save_model(path, fresh())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="no stored student"):
        load_model(path, WIDTH)


def test_a_stored_student_continues_the_cycle(tmp_path: Path) -> None:
    """Item i is always followed by i + 1; after a round trip through 8 bits the student still knows."""
    features = random_features(width=WIDTH)
    log = cycle_log(length=8)
    rows = torch.from_numpy(np.stack([log.sequence(user) for user in range(log.n_users)])).long()
    recipe = Recipe(steps=150, learning_rate=1e-2, dropout=0.0)
    student = train_student(every_step(hard_batch(rows)), features, SHAPE, recipe, seed=0)
    save_model(tmp_path / "full.safetensors", student)
    scorer = model_scorer(load_model(tmp_path / "full.safetensors", WIDTH), features)
    found = recommend(scorer, [3, 4, 5], 5, repeats=False)
    assert found[0].item == 6
    assert [each.rank for each in found] == [1, 2, 3, 4, 5]
    assert not {3, 4, 5} & {each.item for each in found}
    assert found[0].weight > 0.5
    weights = [each.weight for each in found]
    assert weights == sorted(weights, reverse=True)


def test_lists_agree_with_the_evaluation() -> None:
    """Whoever is at rank r of the evaluation stands at place r of the list."""
    log = cycle_log(n_users=12)
    split = log.leave_one_out()
    scorer = model_scorer(fresh(), random_features(width=WIDTH))
    ranks = Protocol(split, N_ITEMS).ranks(scorer, "valid")
    for user in range(log.n_users):
        found = recommend(scorer, split.train.sequence(user).tolist(), N_ITEMS, repeats=not split.mask_history)
        place = {each.item: each.rank for each in found}
        assert place[int(split.valid[user])] == ranks[user]


def test_the_history_comes_again_only_where_it_may() -> None:
    scorer = planted([3.0, 2.0, 2.0, 1.0])
    assert [each.item for each in recommend(scorer, [0], 3, repeats=True)] == [0, 1, 2]
    assert [each.item for each in recommend(scorer, [0], 9, repeats=False)] == [1, 2, 3]
    assert recommend(scorer, [0, 1, 2, 3], 3, repeats=False) == []
    total = sum(each.weight for each in recommend(scorer, [0], 4, repeats=True))
    assert total == pytest.approx(1.0)


def test_histories_that_cannot_be_are_refused() -> None:
    scorer = model_scorer(fresh(), random_features(width=WIDTH))
    with pytest.raises(UserError, match="at least one title"):
        recommend(scorer, [], 3, repeats=False)
    with pytest.raises(UserError, match="row 24, which is not in the catalogue"):
        recommend(scorer, [1, N_ITEMS], 3, repeats=False)
    with pytest.raises(UserError, match="row -1"):
        recommend(scorer, [-1, 2], 3, repeats=False)


def test_agreement_counts_what_is_shared_and_how_far_it_moved() -> None:
    reference = [Recommendation(item, rank, 0.1) for rank, item in enumerate([10, 11, 12, 13], start=1)]
    other = [Recommendation(item, rank, 0.1) for rank, item in enumerate([13, 10, 20, 21], start=1)]
    found = compare_lists(reference, other)
    assert (found.shared, found.overlap) == (2, 0.5)
    assert found.shifts == (3, -1, None, None)
    assert found.missed == (11, 12)
    assert compare_lists([], []).overlap == 0


def test_features_come_from_the_sample_or_the_cache_and_are_never_encoded(tmp_path: Path) -> None:
    sample = load_dataset("sample")
    shipped = item_features(sample, "minilm", tmp_path)
    assert shipped.shape == (len(sample.catalog), 384)
    assert shipped.norm(dim=-1).allclose(torch.ones(len(sample.catalog)), atol=1e-4)

    own = load_dataset(str(cycle_folder(tmp_path / "cycle")))
    with pytest.raises(UserError, match="no longer in the cache; distil these data once more"):
        item_features(own, "minilm", tmp_path)
    file = embeddings_file(TextEncoder.named("minilm"), own.catalog.texts, tmp_path)
    file.parent.mkdir()
    save_file({"embeddings": random_features().half()}, file)
    assert item_features(own, "minilm", tmp_path).shape == (N_ITEMS, 16)
