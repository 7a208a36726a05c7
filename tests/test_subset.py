"""The stochastic item subset against the whole catalogue."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from cycle_world import random_features
from torch import Generator, Tensor

from foster.recommender import RecommenderConfig, build_recommender
from foster.subset import ItemSubset, draw_subset, read_with, whole_catalogue
from foster.subset_view import View, divergence
from foster.training import NO_TARGET, Batch, next_item_loss

CPU = torch.device("cpu")
SHAPE = RecommenderConfig(width=8, layers=1, max_length=6, dropout=0.0)


def test_corrected_softmax_on_a_subset_is_the_written_out_one() -> None:
    z = torch.randn(40, generator=Generator().manual_seed(0))
    u = draw_subset(40, torch.tensor([3, 9]), 10, Generator().manual_seed(1))
    mass = {i: math.exp(float(z[i])) / (1.0 if i in (3, 9) else 8 / 38) for i in u.items.tolist()}
    expected = [mass[i] / sum(mass.values()) for i in u.items.tolist()]
    assert (z[u.items] - u.log_inclusion).softmax(-1).tolist() == pytest.approx(expected)


def test_label_gradient_on_subsets_is_nearly_unbiased_over_many_draws() -> None:
    """Labels spread over 60 items, U of 30: the mean of the corrected gradients points where the exact one does."""
    draw = Generator().manual_seed(0)
    features = random_features(60)
    model, basis = build_recommender(16, SHAPE, draw), torch.randn(60, 8, generator=draw)
    items = torch.randint(60, (2, 4, 1), generator=draw)
    queries = (0.5 * torch.randn(2, 4, 8, generator=draw)).requires_grad_()

    def gradient(u: ItemSubset) -> Tensor:
        table = torch.cat([u.items, items.flatten()])  # inputs are read, not scored
        rows = torch.arange(len(u.items), len(table)).view(items.shape)
        view = View(u, table, features[table], rows, torch.ones(items.shape), basis[u.items])
        loss = divergence(view.log_labels(queries), view.scores(model, torch.arange(2)))
        return torch.autograd.grad(loss, queries)[0].flatten()

    exact = gradient(whole_catalogue(60, CPU))
    top = (queries @ basis.T).topk(3).indices
    mean = torch.stack([gradient(draw_subset(60, top, 30, draw)) for _ in range(400)]).mean(0)
    assert torch.cosine_similarity(mean, exact, dim=0) > 0.98
    assert float((mean - exact).norm() / exact.norm()) < 0.25


@pytest.mark.parametrize("size", [1, 5, 24, 100])
def test_subset_size_is_respected_for_every_seed(size: int) -> None:
    for seed in range(20):
        needed = torch.randint(50, (6,), generator=Generator().manual_seed(seed))
        u = draw_subset(50, needed, size, Generator().manual_seed(seed))
        assert len(u.items) == min(50, max(size, len(needed.unique()) + size - size // 2))
        assert bool(torch.isin(needed, u.items).all())
        assert float(u.log_inclusion.max()) <= 0


def test_every_item_that_is_not_needed_is_drawn_equally_often() -> None:
    draw, counts = Generator().manual_seed(0), torch.zeros(20)
    for _ in range(3000):
        counts[draw_subset(20, torch.tensor([0, 1]), 8, draw).items] += 1
    assert counts[:2].tolist() == [3000, 3000]
    assert float((counts[2:] / 3000 - 6 / 18).abs().max()) < 0.05


def test_items_that_are_read_but_not_scored_stand_after_the_subset() -> None:
    u = ItemSubset(torch.tensor([2, 5, 9]), torch.zeros(3))
    inputs = torch.tensor([[[7], [2]], [[9], [0]]])
    ids, rows = read_with(u, inputs)
    assert ids.tolist() == [2, 5, 9, 0, 7]
    assert torch.equal(ids[rows], inputs)


def test_a_batch_scored_on_every_item_has_the_loss_of_the_whole_catalogue() -> None:
    features = random_features(30)
    model = build_recommender(16, SHAPE, Generator().manual_seed(0))
    inputs, ones = torch.randint(30, (3, 4, 1), generator=Generator().manual_seed(1)), torch.ones(3, 4, 1)
    ids = torch.randint(30, (3, 4), generator=Generator().manual_seed(2))
    ids[1, 2:] = NO_TARGET
    soft = torch.rand(3, 4, 30, generator=Generator().manual_seed(3))
    soft /= soft.sum(-1, keepdim=True)
    for targets in (ids, soft):
        whole = next_item_loss(model, features, Batch(inputs, ones, targets))
        on_all = next_item_loss(model, features, Batch(inputs, ones, targets, whole_catalogue(30, CPU)))
        torch.testing.assert_close(whole, on_all)


def test_only_ids_of_a_large_catalogue_are_scored_on_a_subset_and_it_holds_their_targets() -> None:
    ids = Batch(torch.zeros(1, 3, 1, dtype=torch.int64), torch.ones(1, 3, 1), torch.tensor([[17, NO_TARGET, 4]]))
    soft = Batch(ids.items, ids.weights, torch.ones(1, 3, 30) / 30)
    draw = Generator().manual_seed(0)
    assert ids.on_subset(30, None, draw) is ids
    assert ids.on_subset(20, 10, draw) is ids
    assert soft.on_subset(30, 10, draw) is soft
    scored = ids.on_subset(30, 10, draw).scored
    assert scored is not None
    assert len(scored.items) == 10
    assert {4, 17} <= set(scored.items.tolist())


def test_what_is_not_needed_is_stood_for_however_much_is_needed() -> None:
    """200 items needed, size 60: the partition sum over 1,000 items is still estimated without bias."""
    draw = Generator().manual_seed(0)
    z = torch.randn(1_000, generator=draw)
    needed = torch.arange(200)
    drawn = [draw_subset(1_000, needed, 60, draw) for _ in range(300)]
    assert all(len(u.items) == 230 for u in drawn)
    estimates = torch.stack([(z[u.items] - u.log_inclusion).exp().sum() for u in drawn])
    assert float(estimates.mean() / z.exp().sum()) == pytest.approx(1, abs=0.03)


def test_loss_on_subsets_is_nearly_the_exact_loss_and_points_where_it_does() -> None:
    """20 of 60 items, many draws. Without the correction the loss is off by about the log of the share drawn."""
    draw, features = Generator().manual_seed(0), random_features(60)
    model = build_recommender(16, replace(SHAPE, temperature=0.5), draw)
    inputs, targets = (torch.randint(60, shape, generator=draw) for shape in ((2, 4, 1), (2, 4)))
    batch = Batch(inputs, torch.ones(2, 4, 1), targets)
    drawn = [batch.on_subset(60, 20, draw) for _ in range(300)]
    bare = [replace(one, scored=ItemSubset(one.scored.items, torch.zeros(20))) for one in drawn if one.scored]

    def mean(batches: list[Batch]) -> tuple[float, Tensor]:
        losses = torch.stack([next_item_loss(model, features, one) for one in batches])
        return float(losses.detach().mean()), torch.autograd.grad(losses.mean(), model.projection.weight)[0].flatten()

    (exact, gradient), (found, direction), (uncorrected, _) = mean([batch]), mean(drawn), mean(bare)
    assert found == pytest.approx(exact, abs=0.1)
    assert uncorrected < exact - 0.8
    assert torch.cosine_similarity(direction, gradient, dim=0) > 0.98
