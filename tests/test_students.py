"""A student sees the synthetic set and nothing else."""

from __future__ import annotations

import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features

from foster import metrics
from foster.evaluate import Protocol, model_scorer
from foster.recommender import RecommenderConfig
from foster.students import Draw, every_step, train_student
from foster.synthetic import hard_batch
from foster.training import Recipe

SHAPE = RecommenderConfig(width=16, max_length=8, dropout=0.1)
FEATURES = random_features()


def ring(length: int = 9) -> Draw:
    """A hard set that holds the whole cycle."""
    return every_step(hard_batch((torch.arange(0, N_ITEMS, 4)[:, None] + torch.arange(length)) % N_ITEMS))


def test_equal_seeds_give_equal_students_whatever_ran_before() -> None:
    one = train_student(ring(), FEATURES, SHAPE, Recipe(steps=5), seed=1)
    torch.rand(100)
    same = train_student(ring(), FEATURES, SHAPE, Recipe(steps=5), seed=1)
    other = train_student(ring(), FEATURES, SHAPE, Recipe(steps=5), seed=2)
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.projection.weight, other.projection.weight)


def test_a_student_of_the_whole_ring_predicts_every_user() -> None:
    student = train_student(ring(), FEATURES, SHAPE, Recipe(steps=300, learning_rate=1e-2), seed=0)
    ranks = Protocol(cycle_log().leave_one_out(), N_ITEMS).ranks(model_scorer(student, FEATURES), "test")
    assert metrics.recall_at(ranks, 1) > 0.9


def test_no_batch_leaves_a_student_untrained() -> None:
    calls: list[int] = []
    untrained = train_student(None, FEATURES, SHAPE, Recipe(), 1, lambda: calls.append(1))
    same = train_student(ring(), FEATURES, SHAPE, Recipe(steps=0), 1)
    assert calls == []
    assert torch.equal(untrained.projection.weight, same.projection.weight)


def test_a_student_can_be_stopped_at_any_step() -> None:
    calls: list[int] = []

    def each_step() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_student(ring(), FEATURES, SHAPE, Recipe(steps=50), 0, each_step)
    assert len(calls) == 3
