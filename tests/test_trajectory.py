"""An expert's trajectory: killed at every single check, or between two, it ends with the same files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cycle_world import cycle_log, random_features
from safetensors.torch import load_file

from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.training import RealWindows
from foster.trajectory import ExpertConfig, ExpertTrajectory, train_expert

SHAPE = RecommenderConfig(width=8, layers=1, max_length=6, dropout=0.2)
TRAINING = ExpertConfig(batch_size=16, patience=2, check_every=12)
FEATURES = random_features()


class Killed(Exception):
    pass


def score(model: SequentialRecommender) -> float:
    """Falls from the fourth check on; a pure function of the model, as validation is."""
    with torch.no_grad():
        return -abs(float(model.projection.weight.norm()) - SCORE_PEAK)


SCORE_PEAK = 3.0


def train(folder: Path, kill_at: int | None = None, training: ExpertConfig = TRAINING) -> list[float]:
    """Scores of the checks; with kill_at, dies after that many steps."""
    left = [kill_at]

    def each_step() -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

    windows = RealWindows(cycle_log().leave_one_out().train, 6, torch.device("cpu"))
    checks = train_expert(folder, SHAPE, training, FEATURES, windows, lambda m: 10 + score(m), 3, each_step)
    return [check.score for check in checks]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(folder)


@pytest.mark.parametrize("kill_at", [1, 12, 13, 24, 31])
def test_an_expert_killed_at_any_step_ends_with_the_same_files(
    tmp_path: Path, whole: tuple[Path, list[float]], kill_at: int
) -> None:
    with pytest.raises(Killed):
        train(tmp_path, kill_at)
    assert ExpertTrajectory.open(tmp_path, SHAPE, FEATURES) is None
    rest = train(tmp_path)
    assert rest == whole[1][len(whole[1]) - len(rest) :]
    assert files(tmp_path) == files(whole[0])


def test_an_expert_that_steps_in_parts_goes_on_from_where_it_was_killed(tmp_path: Path) -> None:
    in_parts = replace(TRAINING, parts=2)
    train(tmp_path / "whole", training=in_parts)
    with pytest.raises(Killed):
        train(tmp_path / "killed", 13, in_parts)
    train(tmp_path / "killed", training=in_parts)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_an_expert_killed_again_and_again_ends_with_the_same_files(
    tmp_path: Path, whole: tuple[Path, list[float]]
) -> None:
    for _ in range(len(whole[1])):
        try:
            train(tmp_path, 18)  # gets past one check each time
        except Killed:
            continue
        break
    train(tmp_path) if ExpertTrajectory.open(tmp_path, SHAPE, FEATURES) is None else None
    assert files(tmp_path) == files(whole[0])


def test_it_stops_by_patience_and_the_best_anchor_has_the_best_score(whole: tuple[Path, list[float]]) -> None:
    found, scores = ExpertTrajectory.open(whole[0], SHAPE, FEATURES), whole[1]
    assert found is not None
    best = scores.index(max(scores))
    assert len(scores) == best + 1 + TRAINING.patience
    assert (found.best, found.score) == (12 * (best + 1), max(scores))


def test_anchors_rise_from_step_zero_and_each_one_loads(whole: tuple[Path, list[float]]) -> None:
    found = ExpertTrajectory.open(whole[0], SHAPE, FEATURES)
    assert found is not None
    assert found.steps[0] == 0
    assert list(found.steps) == sorted(set(found.steps))
    weights = [found.load(step, torch.device("cpu")).projection.weight for step in found.steps]
    assert all(not torch.equal(weights[0], later) for later in weights[1:])


def test_another_seed_is_another_expert(tmp_path: Path, whole: tuple[Path, list[float]]) -> None:
    windows = RealWindows(cycle_log().leave_one_out().train, 6, torch.device("cpu"))
    next(train_expert(tmp_path, SHAPE, TRAINING, FEATURES, windows, lambda _: 0.0, seed=4))
    name = "anchor-0000000.safetensors"
    assert (tmp_path / name).read_bytes() != (whole[0] / name).read_bytes()


def test_what_is_kept_is_the_average_along_the_path(tmp_path: Path) -> None:
    """Without averaging (decay 0) the trainer's own weights are kept; with it they lag behind, towards the start."""
    windows = RealWindows(cycle_log().leave_one_out().train, 6, torch.device("cpu"))
    found = {}
    for decay in (0.0, 0.95):
        training, folder = replace(TRAINING, averaging=decay), tmp_path / str(decay)
        next(train_expert(folder, SHAPE, training, FEATURES, windows, lambda _: 0.0, seed=3))
        state = load_file(folder / "resume1.safetensors")
        kept = load_file(folder / "anchor-0000012.safetensors")["projection.weight"]
        begun = load_file(folder / "anchor-0000000.safetensors")["projection.weight"]
        found[decay] = (state["model.projection.weight"], kept, begun)
    last, kept, _ = found[0.0]
    assert torch.equal(last, kept)
    last, kept, begun = found[0.95]
    assert 0 < float((kept - begun).norm()) < float((last - begun).norm())


def test_rates_fall_with_every_check_that_was_not_the_best(tmp_path: Path) -> None:
    """Slowed down to nothing, weights stay where the first check without an improvement found them."""
    windows = RealWindows(cycle_log().leave_one_out().train, 6, torch.device("cpu"))
    for slowing, stays in ((0.0, True), (1.0, False)):
        scores = iter((0.1, 0.2, 0.15, 0.15, 0.15))
        training = replace(TRAINING, averaging=0.0, slowing=slowing, least_share=0.0, patience=3)
        folder = tmp_path / str(slowing)
        found = list(train_expert(folder, SHAPE, training, FEATURES, windows, lambda _: next(scores), seed=3))  # noqa: B023
        assert [check.check for check in found] == [1, 2, 3, 4, 5]
        weights = [load_file(folder / f"anchor-{12 * n:07d}.safetensors")["projection.weight"] for n in (2, 3, 4, 5)]
        assert not torch.equal(weights[0], weights[1])
        assert torch.equal(weights[1], weights[2]) == stays
        assert torch.equal(weights[2], weights[3]) == stays
