"""Metrics and seeds: their own examples, and planted ranks."""

from __future__ import annotations

import doctest
import math
from types import ModuleType

import numpy as np
import pytest

import foster.metrics
import foster.students
from foster.metrics import mrr, ndcg_at, ranks_of, recall_at, summary
from foster.students import derived_seed, spread


@pytest.mark.parametrize("module", [foster.metrics, foster.students])
def test_examples_in_the_docstrings_are_right(module: ModuleType) -> None:
    found = doctest.testmod(module, extraglobs={"np": np})
    assert found.attempted > 0
    assert found.failed == 0


def test_metrics_of_planted_ranks() -> None:
    found = summary(np.array([1, 2, 11, 21]))
    assert (found["recall@10"], found["recall@20"]) == (0.5, 0.75)
    assert found["ndcg@10"] == pytest.approx((1 + 1 / math.log2(3)) / 4)
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 11 + 1 / 21) / 4)


def test_a_cut_beyond_the_catalogue_counts_everybody() -> None:
    found = ranks_of(np.array([[0.0, 0.0, 0.0]]), np.array([1]))
    assert recall_at(found, 1000) == 1


def test_no_users_are_zero_not_an_error() -> None:
    nobody = np.array([], dtype=np.int64)
    assert (recall_at(nobody, 10), ndcg_at(nobody, 10), mrr(nobody)) == (0, 0, 0)


def test_infinite_scores_are_ordered_and_masked_ones_are_last() -> None:
    scores = np.array([[np.inf, 1.0, -np.inf], [np.inf, 1.0, -np.inf]])
    assert ranks_of(scores, np.array([0, 2])).tolist() == [1, 3]


def test_derived_seeds_repeat_and_differ_by_every_part() -> None:
    seeds = [derived_seed(s, *names) for s in (0, 1) for names in (("a",), ("b",), ("a", 1), ("a", 11), ())]
    assert len(set(seeds)) == len(seeds)
    assert derived_seed(0, "a", 1) == derived_seed(0, "a", 1)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_one_seed_has_no_spread() -> None:
    assert spread([{"mrr": 0.5}]) == {"mrr": {"mean": 0.5, "std": 0.0, "n": 1}}
