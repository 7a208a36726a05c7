"""The benchmark of ablations: each row changes what it says and nothing else, and is measured once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from cycle_world import random_features
from short_runs import features_in, short_runs
from torch import Generator

from foster.artefact import load
from foster.bench import ablations
from foster.bench.ablations import ABOUT, IN_FULL, ROWS
from foster.condensers import teacher_log_labels
from foster.distiller import DistillConfig
from foster.errors import UserError
from foster.recommender import RecommenderConfig, build_recommender
from foster.run_files import to_json
from foster.spec import RunSpec
from foster.training import Recipe

CPU = torch.device("cpu")
SPEC = RunSpec(sequences=3, length=4, steps=3, students=2, device="cpu", report_test=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data") / "cycle"
    with short_runs(folder) as patch:
        # large enough a rate that loops of a few steps differ
        patch.setattr(ablations, "DistillConfig", partial(DistillConfig, synthetic_rate=1.5))
        yield str(folder)


def call(root: Path, data: str | None, quick: bool = False, minutes: float = 60, **changes: Any) -> dict[str, Any]:
    def here(function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    asked = {"root": root, "data": data, "spec": SPEC, "minutes": minutes, "alone": here, **changes}
    return ablations.measure(quick, lambda line: None, **asked)


def test_every_row_is_measured_once_and_a_call_that_was_cut_goes_on(data: str, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    left = [3]

    def few(function: Any, *arguments: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return function(*arguments)

    with pytest.raises(Killed):
        call(tmp_path, data, alone=few)
    begun = call(tmp_path, data, minutes=0)
    assert begun["complete"] is False
    assert list(begun["rows"]) == list(ROWS)[:3]
    assert "goes on from here" in ablations.text(begun)

    found = call(tmp_path, data)
    assert found["complete"] is True
    assert list(found["rows"]) == list(ABOUT)
    assert {name: found["rows"][name] for name in begun["rows"]} == begun["rows"]
    assert found["rows"]["no_subset"] == {"same_as": "default", "why": "24 items are all in every step"}
    for name, row in found["rows"].items():
        if name in IN_FULL:
            assert set(row) == {"valid", "test"}
            assert row["valid"]["recall@10"]["n"] == 2
        elif name != "no_subset":
            assert set(row) == {"valid", "test", "entropy", "regulariser", "seconds", "peak_mb"}
            assert row["test"]["recall@10"]["n"] == 2
            assert 0 < row["entropy"] < 3.2, name  # at most that of 24 equal items
            assert row["regulariser"] > 0
    folder = next((tmp_path / ablations.STORE).glob("*/ablations"))
    names = ("start", "default", "no_reset", "damped", "joint")
    features = features_in(Path(data))
    sets = {name: load(folder / f"{name}.safetensors", features)[0] for name in names}
    for one, other in combinations(names, 2):
        assert not torch.equal(sets[one].queries, sets[other].queries), (one, other)
    kept, _ = load(folder.parent / "checkpoints/start.safetensors", features)
    torch.testing.assert_close(sets["start"].queries, kept.queries)
    assert torch.equal(sets["default"].items, kept.items)
    leading, _ = load(folder / "leading.safetensors", features)
    assert torch.equal(leading.items, kept.items)
    assert not torch.equal(leading.maps.projection, kept.maps.projection)
    json.loads(to_json(found))
    text = ablations.text(found)
    assert "models never go back to an anchor" in text
    assert "the same as default: 24 items" in text


@pytest.mark.parametrize("subset", [None, 6])
def test_labels_in_full_are_the_teachers_where_a_history_has_an_item(subset: int | None) -> None:
    features, items = random_features(), torch.tensor([[3, 4, 5], [8, 2, -1]])
    teacher = build_recommender(16, RecommenderConfig(width=8, max_length=3), Generator().manual_seed(0))
    batch = ablations.in_full([teacher], features, items, Recipe(subset=subset), None)(Generator().manual_seed(1))
    told = teacher_log_labels([teacher], features, batch.items[..., 0]).exp()
    used = batch.weights[..., 0] > 0
    assert (batch.targets.sum(-1) > 0).equal(used)
    if batch.scored is None:
        torch.testing.assert_close(batch.targets[used], told[used])
    else:
        assert len(batch.scored.items) == subset
        ratio = batch.targets[used] / told[used][:, batch.scored.items] * batch.scored.log_inclusion.exp()
        torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio)), "up to a factor for each position"


@pytest.mark.parametrize(("quick", "given", "said"), [(False, None, "--data"), (True, "sample", "leave out")])
def test_data_that_is_missing_or_in_vain_is_said(tmp_path: Path, quick: bool, given: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        call(tmp_path, given, quick=quick)
