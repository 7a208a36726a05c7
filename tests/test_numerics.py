"""The fast numerics against their literal references, and the subset against the whole catalogue."""

from __future__ import annotations

import literal
import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from torch import Generator

from foster import metrics
from foster.cooccurrence import conditional, regulariser, semantic_similarity, soft_cooccurrence
from foster.evaluate import Protocol, bigram_scorer, model_scorer, popular_scorer, zero_shot_scorer
from foster.recommender import RecommenderConfig, build_recommender
from foster.subset import draw_subset, whole_catalogue
from foster.training import NO_TARGET, Batch, RealWindows, Recipe, Trainer, next_item_loss


def labels(m: int = 3, length: int = 4, items: int = 6) -> torch.Tensor:
    return torch.randn(m, length, items, generator=Generator().manual_seed(1), dtype=torch.float64).softmax(-1)


def test_soft_cooccurrence_equals_the_double_sum() -> None:
    p = labels()
    assert torch.allclose(soft_cooccurrence(p), literal.cooccurrence(p))


def test_regulariser_equals_the_written_out_sum() -> None:
    p, features = labels(), random_features(6).double()
    assert float(regulariser(p, semantic_similarity(features))) == pytest.approx(literal.regulariser(p, features))


def test_regulariser_is_lowest_when_similar_items_share_a_sequence() -> None:
    features = torch.eye(4)[[0, 0, 1, 1]]  # two pairs of items with equal texts
    together = torch.eye(4)[torch.tensor([[0, 1], [2, 3]])].clamp(min=1e-3)
    apart = torch.eye(4)[torch.tensor([[0, 2], [1, 3]])].clamp(min=1e-3)
    similarity = semantic_similarity(features)
    assert float(regulariser(together, similarity)) < float(regulariser(apart, similarity))


def test_regulariser_of_one_item_is_zero() -> None:
    assert float(regulariser(torch.ones(2, 3, 1), semantic_similarity(torch.ones(1, 2)))) == 0


def test_conditional_rows_sum_to_one_without_the_diagonal() -> None:
    rows = conditional(soft_cooccurrence(labels()))
    assert torch.allclose(rows.sum(-1), torch.ones(6, dtype=rows.dtype))
    assert torch.equal(rows.diagonal(), torch.zeros(6, dtype=rows.dtype))


def test_subset_holds_what_is_needed_once_and_in_order() -> None:
    needed = torch.tensor([90, 3, 3, 41])
    subset = draw_subset(100, needed, 10, Generator().manual_seed(0))
    assert len(subset.items) == 10
    assert torch.equal(subset.items, subset.items.unique())
    assert set(needed.tolist()) <= set(subset.items.tolist())
    assert torch.equal(subset.items[subset.rows(needed)], needed)
    assert subset.rows(torch.tensor([-1])).tolist() == [-1]


def test_subset_as_large_as_the_catalogue_is_the_catalogue() -> None:
    subset = draw_subset(8, torch.tensor([1]), 50, Generator().manual_seed(0))
    assert torch.equal(subset.items, whole_catalogue(8, torch.device("cpu")).items)
    assert torch.equal(subset.log_inclusion, torch.zeros(8))


def test_subset_that_needs_more_than_its_size_grows() -> None:
    """By half its size of uniform draws, which stand for what is not needed."""
    assert len(draw_subset(100, torch.arange(20), 5, Generator().manual_seed(0)).items) == 20 + 3


def test_inclusion_correction_estimates_the_partition_function() -> None:
    logits = torch.randn(200, generator=Generator().manual_seed(3))
    draw, estimates = Generator().manual_seed(4), []
    for _ in range(3000):
        subset = draw_subset(200, torch.tensor([5]), 40, draw)
        estimates.append(float((logits[subset.items] - subset.log_inclusion).exp().sum()))
    assert np.mean(estimates) == pytest.approx(float(logits.exp().sum()), rel=0.02)


def test_ranks_count_ties_against_the_model() -> None:
    scores = [[0.5, 0.5, 0.1], [0.2, 0.9, 0.9], [float("nan"), 0.0, 1.0]]
    assert metrics.ranks_of(np.array(scores[:2]), np.array([0, 0])).tolist() == literal.ranks(scores[:2], [0, 0])
    assert metrics.ranks_of(np.array(scores), np.array([0, 1, 0])).tolist()[2] == 3  # not a number: last


@pytest.mark.parametrize("backbone", ["sasrec", "gru4rec"])
def test_backbone_is_causal_and_blind_to_padding(backbone: str) -> None:
    config = RecommenderConfig(backbone=backbone, width=16, max_length=6)  # type: ignore[arg-type]
    model = build_recommender(16, config, Generator().manual_seed(0))
    x = torch.randn(2, 6, 16, generator=Generator().manual_seed(1))
    changed = x.clone()
    changed[:, 4:] = 9
    with torch.no_grad():
        assert torch.allclose(model(x)[:, :4], model(changed)[:, :4], atol=1e-6)
        assert torch.allclose(model(x)[:, :4], model(x[:, :4]), atol=1e-6)


def test_dropout_follows_its_generator_and_none_means_off() -> None:
    model = build_recommender(16, RecommenderConfig(width=16, dropout=0.5), Generator().manual_seed(0))
    x = torch.randn(1, 5, 16)
    with torch.no_grad():
        once, again = (model(x, Generator().manual_seed(3)) for _ in range(2))
        other, off = model(x, Generator().manual_seed(4)), model(x)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    torch.testing.assert_close(off, model(x))  # with and without a graph attention has kernels of its own


@pytest.mark.parametrize("sizes", [[3, 1, 2], [2, 2, 2]])
def test_dropout_of_ragged_sequences_follows_its_generator_too(sizes: list[int]) -> None:
    model = build_recommender(16, RecommenderConfig(width=16, dropout=0.5), Generator().manual_seed(0))
    x = torch.randn(6, 16)
    once, again, other = (model.read(x, sizes, Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.allclose(once, model.read(x, sizes), atol=1e-3)


@pytest.mark.parametrize("rate", [0.1, 0.15, 0.5, 0.9, 0.999])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    model = build_recommender(16, RecommenderConfig(width=16, dropout=rate), Generator().manual_seed(0))
    x = model._dropout(torch.ones(317, 1009), Generator().manual_seed(1))  # no multiple of eight
    assert float((x == 0).float().mean()) == pytest.approx(rate, abs=0.005)
    assert float(x.mean()) == pytest.approx(1, abs=0.05)
    columns = (x == 0).float().mean(0)[:1008].view(-1, 8).mean(0)  # eight bytes of a word drop alike
    assert float(columns.max() - columns.min()) < 0.02


def test_soft_one_hot_batch_has_the_loss_of_the_hard_one() -> None:
    features = random_features()
    model = build_recommender(16, RecommenderConfig(width=16), Generator().manual_seed(0))
    ids = torch.tensor([[1, 2, 3, 4]])
    hard = Batch(ids[:, :-1, None], torch.ones(1, 3, 1), ids[:, 1:])
    soft = Batch(hard.items, hard.weights, torch.nn.functional.one_hot(ids[:, 1:], N_ITEMS).float())
    with torch.no_grad():
        expected, found = (float(next_item_loss(model, features, batch)) for batch in (hard, soft))
    assert found == pytest.approx(expected)


def test_windows_are_consecutive_events_of_one_user() -> None:
    windows = RealWindows(cycle_log(), length=4, device=torch.device("cpu"))
    batch = windows.draw(16, Generator().manual_seed(0))
    inputs, targets = batch.items[..., 0], batch.targets
    assert batch.items.shape == (16, 4, 1)
    assert torch.equal((inputs + 1) % N_ITEMS, targets)


def test_short_histories_are_padded_without_a_target() -> None:
    windows = RealWindows(cycle_log(n_users=3, length=3), length=6, device=torch.device("cpu"))
    batch = windows.draw(3, Generator().manual_seed(0))
    assert (batch.targets[:, 2:] == NO_TARGET).all()
    assert (batch.weights[:, 3:] == 0).all()  # the last event is read, though nothing follows it


def test_a_trained_model_learns_the_planted_cycle() -> None:
    features, log = random_features(), cycle_log()
    split = log.leave_one_out()
    generator = Generator().manual_seed(0)
    model = build_recommender(16, RecommenderConfig(width=32, max_length=8, dropout=0.0), generator)
    trainer = Trainer(model, features, Recipe(steps=500, learning_rate=5e-3), generator)
    windows = RealWindows(split.train, 8, torch.device("cpu"))
    for _ in range(500):
        trainer.step(windows.draw(40, generator))
    ranks = Protocol(split, N_ITEMS).ranks(model_scorer(model, features), "test")
    assert metrics.recall_at(ranks, 1) > 0.95


def test_bigram_solves_the_cycle_and_popularity_cannot() -> None:
    split = cycle_log().leave_one_out()
    protocol = Protocol(split, N_ITEMS)
    for part in ("valid", "test"):
        assert metrics.recall_at(protocol.ranks(bigram_scorer(split, N_ITEMS), part), 1) == 1
        assert metrics.recall_at(protocol.ranks(popular_scorer(split, N_ITEMS), part), 1) < 0.5


def test_zero_shot_finds_the_item_with_the_same_text() -> None:
    features = torch.eye(3)[[0, 1, 2, 0, 1, 2]]
    scores = zero_shot_scorer(features, recent=1)([np.array([0]), np.array([2])])
    assert scores[0].argsort()[-2:].tolist() in ([0, 3], [3, 0])
    assert scores[1].argsort()[-2:].tolist() in ([2, 5], [5, 2])


def test_scores_do_not_depend_on_who_is_scored_together() -> None:
    """Histories of every length, in any order."""
    features, draw = random_features(), Generator().manual_seed(2)
    model = build_recommender(16, RecommenderConfig(width=16, max_length=6), draw)
    sizes = torch.randint(1, 10, (263,), generator=draw).tolist()
    histories = [torch.randint(len(features), (size,), generator=draw).numpy() for size in sizes]
    scorer = model_scorer(model, features)
    together = scorer(histories)
    alone = np.concatenate([scorer([history]) for history in histories])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_history_is_known_up_to_the_held_out_item() -> None:
    split = cycle_log(n_users=1, length=5).leave_one_out()
    protocol = Protocol(split, N_ITEMS)
    assert protocol.histories("valid", range(1))[0].tolist() == [0, 1, 2]
    assert protocol.histories("test", range(1))[0].tolist() == [0, 1, 2, 3]
    assert (split.valid[0], split.test[0]) == (3, 4)
