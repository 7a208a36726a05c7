"""Sequences that are chosen, not learned: what they hold, and how often."""

from __future__ import annotations

import pytest
import torch
from cycle_world import cycle_log
from torch import Generator

from foster.condensers import random_real, uniform_items, weighted_items


def test_weighted_items_come_once_before_any_comes_again() -> None:
    weights = torch.tensor([1e6, 1.0, 1.0, 1e-6])
    drawn = weighted_items(weights, 10, Generator().manual_seed(0)).tolist()
    assert [sorted(drawn[:4]), sorted(drawn[4:8])] == [[0, 1, 2, 3]] * 2
    assert len(drawn) == 10
    assert weighted_items(torch.ones(1), 3, Generator()).tolist() == [0, 0, 0]


def test_an_item_is_drawn_in_proportion_to_its_weight() -> None:
    weights, draw = torch.tensor([4.0, 2.0, 1.0, 1.0]), Generator().manual_seed(0)
    first = torch.stack([weighted_items(weights, 1, draw)[0] for _ in range(4000)]).bincount(minlength=4) / 4000
    assert first.tolist() == pytest.approx([0.5, 0.25, 0.125, 0.125], abs=0.03)


def test_items_are_those_of_their_seed() -> None:
    weights = torch.arange(1.0, 50.0)
    one, same, other = (weighted_items(weights, 20, Generator().manual_seed(seed)).tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_uniform_items_cover_the_catalogue_evenly() -> None:
    drawn = uniform_items(6, 4, 3, Generator().manual_seed(0))
    assert drawn.shape == (4, 3)
    assert drawn.flatten().bincount(minlength=6).tolist() == [2] * 6


def test_real_sequences_are_the_last_events_of_users_all_different() -> None:
    train = cycle_log().leave_one_out().train
    drawn = random_real(train, 5, 4, Generator().manual_seed(0))
    ends = {tuple(train.sequence(user)[-4:].tolist()) for user in range(train.n_users)}
    assert all(tuple(row) in ends for row in drawn.tolist())
    assert len(random_real(train, 10_000, 4, Generator())) == train.n_users
