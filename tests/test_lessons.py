"""The lessons' planted world, and each component on it: what is whole works, what is broken shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foster.lessons import budget, first_order, judging, recommending, regularising, subsets
from foster.lessons.expert import swapped_features, toy_expert
from foster.lessons.recommending import Broken
from foster.lessons.world import BOOKS, FAME, SHELF, features, odds, popular_scorer, toy_world, truth_scorer
from foster.subset import whole_catalogue

SEEDS = (0, 1)


def test_readers_follow_the_planted_odds() -> None:
    log = toy_world(0).log
    books = log.items.reshape(400, -1)
    seen = np.zeros((len(BOOKS), len(BOOKS)))
    np.add.at(seen, (books[:, :-1].ravel(), books[:, 1:].ravel()), 1)
    assert odds().sum(1) == pytest.approx(1)
    assert not odds().diagonal().any()
    shelf = np.array(SHELF)
    stay = shelf[:, None] == shelf[None, :]
    expected = (seen.sum(1) @ (odds() * stay).sum(1)) / seen.sum()
    assert seen[stay].sum() / seen.sum() == pytest.approx(expected, abs=0.03)
    harry = 6
    assert seen[harry] / seen[harry].sum() == pytest.approx(odds()[harry], abs=0.08)


def test_the_same_seed_gives_the_same_world_and_another_one_another() -> None:
    again = toy_world.__wrapped__(0)
    assert np.array_equal(toy_world(0).log.items, again.log.items)
    assert not np.array_equal(toy_world(0).log.items, toy_world(1).log.items)
    assert not np.array_equal(toy_world(0).fresh[:400], toy_world(0).log.items.reshape(400, -1))


def test_nothing_beats_the_truth_and_fame_alone_is_worse() -> None:
    world = toy_world(0)
    best, popular = world.hits(truth_scorer), world.hits(popular_scorer(world))
    # the three likeliest books after the last one, by the planted odds
    planted = np.sort(odds()[world.fresh[:, -2]], axis=1)[:, -3:].sum(1).mean()
    assert best == pytest.approx(planted, abs=0.04)
    assert popular < recommending.learn(0).hits < best
    assert FAME[world.counts.argmax()] == FAME.max()


def test_exchanged_texts_leave_no_book_its_own() -> None:
    swapped = swapped_features(0)
    assert not (swapped == features()).all(1).any()
    assert torch.equal(swapped.sum(0).round(decimals=4), features().sum(0).round(decimals=4))


@pytest.mark.parametrize("seed", SEEDS)
def test_lost_order_breaks_the_next_book_and_exchanged_texts_break_new_books(seed: int) -> None:
    whole, order = recommending.learn(seed), recommending.learn(seed, Broken.ORDER)
    assert order.advantage < 0.5 * whole.advantage
    new, texts = recommending.new_books(seed), recommending.new_books(seed, Broken.TEXTS)
    assert new.readers == texts.readers > 100
    assert texts.hits < 0.8 * new.hits
    assert recommending.new_books(seed, Broken.ORDER).hits < new.hits
    assert whole.odds.sum(-1) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_few_distilled_sequences_beat_random_ones_and_live_by_their_labels(seed: int) -> None:
    whole, bare = budget.spend(seed, 4), budget.spend(seed, 4, labels=False)
    assert whole.distilled.min() > 1.2 * max(whole.popular, whole.random.mean())
    assert whole.distilled.mean() > 0.9 * whole.everything
    assert bare.distilled.max() < whole.distilled.min()
    assert (whole.events, whole.log_events, len(whole.row)) == (32, 4000, 8)
    assert np.array_equal(whole.random, bare.random), "the switch changes nothing else"


def test_a_subset_estimates_the_loss_exactly_on_all_books() -> None:
    label, logits = torch.randn(24).log_softmax(-1), torch.randn(24)
    expected = torch.nn.functional.kl_div(logits.log_softmax(-1), label, reduction="sum", log_target=True)
    everything = whole_catalogue(24, torch.device("cpu"))
    assert subsets.estimate(label, logits, everything) == pytest.approx(float(expected), abs=1e-5)


def test_each_part_of_a_subset_has_its_work() -> None:
    whole = subsets.draw_many(subsets.SubsetPlan())
    uncorrected = subsets.draw_many(subsets.SubsetPlan(correct=False))
    loose = subsets.draw_many(subsets.SubsetPlan(keep=False))
    assert abs(whole.bias) < 0.2 * whole.exact  # a ratio of two estimates is a little low
    assert uncorrected.bias < -0.4 * whole.exact
    assert loose.typical_error > 1.3 * whole.typical_error
    assert whole.top_inside == 1
    assert loose.top_inside == pytest.approx(8 / 24, abs=0.1)
    assert (whole.members.sum(1) == 8).all()
    assert subsets.draw_many(subsets.SubsetPlan(size=24)).typical_error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_order_gradient_is_the_exact_one_while_reset_and_quiet(seed: int) -> None:
    one, many = first_order.compare(seed, 1), first_order.compare(seed, 10)
    assert min(one.cosine, many.cosine) > 0.9
    assert many.exact_bytes > 2.5 * one.exact_bytes
    assert many.first_order_bytes == one.first_order_bytes < many.exact_bytes
    drifted = first_order.compare(seed, 5, apart=50)
    assert drifted.cosine < 0.6
    assert drifted.distance > 20 * first_order.compare(seed, 5).distance
    assert first_order.compare(seed, 5, dropout=True).cosine < 0.5
    assert all(not w.requires_grad for w in toy_expert(seed).last.parameters()), "the anchors are never trained further"


def test_the_regulariser_brings_similar_books_together_and_can_be_too_much() -> None:
    off, some, strong = (regularising.stand_together(0, weight) for weight in (0.0, 3.0, 10.0))
    assert off.penalty > some.penalty > strong.penalty > 0
    assert off.near < some.near < strong.near
    assert off.near == pytest.approx(off.by_chance, abs=0.02)
    assert strong.students.mean() < off.students.mean() - 0.03
    assert some.found.sum(1) == pytest.approx(1, abs=1e-4)
    assert np.array_equal(off.wanted, strong.wanted)


def test_a_warm_start_hides_what_fresh_students_tell() -> None:
    fresh, warm = judging.judge(0, 2), judging.judge(0, 2, warm=True)
    assert fresh.soft.min() > fresh.nothing.max()
    assert warm.nothing == pytest.approx(warm.everything), "nothing was seen, everything is reached"
    assert abs(warm.soft.mean() - warm.nothing.mean()) < 0.05
    assert fresh.hard.mean() < fresh.soft.mean()
    assert fresh.hard_bytes == 4 * 8 * 2 < fresh.soft_bytes < fresh.log_bytes
