"""What a teacher adds to sequences: continuations, walks, labels after every position of every reading."""

from __future__ import annotations

import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from torch import Generator

from foster.condensers import teacher_continuations, teacher_log_labels, teacher_walk, with_teacher_labels
from foster.recommender import RecommenderConfig
from foster.training import RealWindows
from foster.trajectory import ExpertConfig, ExpertTrajectory, train_expert

CPU = torch.device("cpu")
SHAPE = RecommenderConfig(width=16, max_length=8, dropout=0.1)
FEATURES = random_features()


def windows() -> RealWindows:
    return RealWindows(cycle_log().leave_one_out().train, 6, CPU)


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> ExpertTrajectory:
    folder = tmp_path_factory.mktemp("expert")
    short = ExpertConfig(learning_rate=1e-2, batch_size=20, patience=1, check_every=100)
    scores = iter([0.1, 0.2, 0.3, 0.0])
    list(train_expert(folder, SHAPE, short, FEATURES, windows(), lambda _: next(scores), seed=0))
    found = ExpertTrajectory.open(folder, SHAPE, FEATURES.shape[1])
    assert found is not None
    return found


def test_continuations_hold_no_item_twice_while_others_are_left(expert: ExpertTrajectory) -> None:
    teacher = [expert.load(expert.best, CPU)]
    made = teacher_continuations(teacher, FEATURES, torch.tensor([3, 9]), 8, Generator().manual_seed(0))
    assert made[:, 0].tolist() == [3, 9]
    assert len(made.unique()) == 16
    many = teacher_continuations(teacher, FEATURES, torch.arange(6), 8, Generator().manual_seed(0))
    assert len(many.unique()) == N_ITEMS  # 48 places, 24 items: every one is used
    assert all(len(set(row)) == 8 for row in many.tolist())
    assert torch.allclose(teacher_log_labels(teacher, FEATURES, made).exp().sum(-1), torch.ones(2, 8), atol=1e-4)


def test_a_continuation_longer_than_the_catalogue_starts_over(expert: ExpertTrajectory) -> None:
    one, single = expert.load(expert.best, CPU), FEATURES[:1]
    assert teacher_continuations([one], single, torch.tensor([0]), 4, Generator()).tolist() == [[0, 0, 0, 0]]


def test_a_walk_goes_where_its_teacher_finds_likeliest(expert: ExpertTrajectory) -> None:
    teacher = expert.load(expert.best, CPU)
    walked = teacher_walk(teacher, FEATURES, torch.tensor([3, 20]), 7)
    assert walked.tolist() == [[3, 4, 5, 6, 7, 8, 9], [20, 21, 22, 23, 0, 1, 2]]  # round the cycle


def test_a_walk_holds_no_item_twice_until_it_has_them_all(expert: ExpertTrajectory) -> None:
    teacher = expert.load(expert.best, CPU)
    (walked,) = teacher_walk(teacher, FEATURES[:5], torch.tensor([2]), 7).tolist()
    assert sorted(walked[:5]) == [0, 1, 2, 3, 4]
    assert len(walked) == 7
    assert teacher_walk(teacher, FEATURES, torch.tensor([4]), 1).tolist() == [[4]]


def test_teacher_labels_of_a_reading_are_those_of_its_order(expert: ExpertTrajectory) -> None:
    teacher = expert.load(expert.best, CPU)
    items, orders = torch.tensor([[3, 4, 5, 9], [8, 2, -1, -1]]), torch.tensor([[0, 1, 2, 3], [2, 0, 3, 1]])
    made = with_teacher_labels(items, orders, [teacher], FEATURES, 16, Generator())
    basis = made.basis(FEATURES)
    batch = made.batch(basis)
    assert batch.items[2, :, 0].tolist() == [5, 3, 9, 4]
    assert batch.items[3, :2, 0].tolist() == [8, 2]  # the holes of a short sequence stay at its end
    assert batch.targets[3, 2:].sum() == 0
    asked = teacher_log_labels([teacher], FEATURES, torch.tensor([[5, 3, 9, 4]]))[0]
    apart = (asked.exp() * (asked - batch.targets[2].log())).sum(-1)
    assert float(apart.max()) < 0.6
    assert torch.equal(batch.targets[2].argmax(-1), asked.argmax(-1))
