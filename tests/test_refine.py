"""Plain sequences refined item by item: the gradient against differences, exchanges against planted slopes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, cycle_windows, random_features
from torch import Generator, Tensor
from torch.func import functional_call
from torch.nn import functional as F

from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.refine import Losses, RefineConfig, exchanged, hypergradient, refined, unrolled
from foster.subset import ItemSubset, whole_catalogue
from foster.synthetic import hard_batch
from foster.training import RealWindows, Recipe, Trainer, next_item_loss

CPU = torch.device("cpu")
SHAPE = RecommenderConfig(width=8, layers=1, max_length=6, dropout=0.0)
RECIPE = Recipe(steps=12, learning_rate=1e-2, matrix_rate=0.05, dropout=0.0, warmup=2)
CONFIG = RefineConfig(rounds=3, share=0.2, steps=12, real=20)


def model(seed: int) -> SequentialRecommender:
    return build_recommender(16, SHAPE, Generator().manual_seed(seed))


def features() -> Tensor:
    return random_features().to(torch.get_default_dtype())


def losses(subset: ItemSubset | None = None) -> Losses:
    real = cycle_windows().draw(20, Generator().manual_seed(0))
    real = replace(real, weights=real.weights.to(torch.get_default_dtype()))
    return Losses(model(3), features(), subset or whole_catalogue(N_ITEMS, CPU), real, model(4))


def some_sequences(count: int = 4) -> Tensor:
    draw = Generator().manual_seed(1)
    return torch.stack([torch.randperm(N_ITEMS, generator=draw)[:5] for _ in range(count)])


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("matrix_rate", [None, 0.05])
def test_unrolled_steps_are_those_of_a_trainer(matrix_rate: float | None) -> None:
    recipe, sequences = replace(RECIPE, matrix_rate=matrix_rate), some_sequences()
    trainer = Trainer(model(3), features(), recipe, Generator())
    batch = hard_batch(sequences)
    batch = replace(batch, weights=batch.weights.double())
    for _ in range(recipe.steps):
        trainer.step(batch)
    weights = unrolled(losses(), F.one_hot(sequences, N_ITEMS).double(), recipe, Generator())
    for name, expected in trainer.model.named_parameters():
        torch.testing.assert_close(weights[f"model.{name}"], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("double")
def test_the_loss_on_one_hot_rows_is_the_loss_on_ids() -> None:
    sequences, found = some_sequences(), losses()
    batch = hard_batch(sequences)
    expected = next_item_loss(found.model, features(), replace(batch, weights=batch.weights.double()))
    torch.testing.assert_close(found(F.one_hot(sequences, N_ITEMS).double()), expected)


@pytest.mark.usefixtures("double")
def test_the_gradient_through_all_steps_is_the_difference_of_two_trainings() -> None:
    found, sequences = losses(), some_sequences()
    one_hot = F.one_hot(sequences, N_ITEMS).double()
    slope = hypergradient(found, sequences, RECIPE, Generator().manual_seed(0))
    towards, reach = torch.randn(one_hot.shape, generator=Generator().manual_seed(2)), 1e-5

    def after(rows: Tensor) -> float:
        weights = unrolled(found, rows.requires_grad_(), RECIPE, Generator().manual_seed(0))
        return float(functional_call(found, weights, (rows, None, True)).detach())

    difference = (after(one_hot + reach * towards) - after(one_hot - reach * towards)) / (2 * reach)
    assert abs(difference) > 1e-4
    assert float((slope * towards).sum()) == pytest.approx(difference, rel=1e-3)


@pytest.mark.usefixtures("double")
def test_how_often_items_stand_in_the_sequences_counts_as_far_as_it_helps() -> None:
    """Planted: the expert expects what is popular, the student knows nothing of it."""
    found, rows = losses(), F.one_hot(some_sequences(), N_ITEMS).double()
    often = torch.arange(N_ITEMS, dtype=torch.double)
    popular, even = rows + often / rows[..., 0].numel(), torch.ones_like(rows)
    told = popular.sum((0, 1)).log1p()
    found.expected = (0.5 * told).softmax(-1).expand_as(found.expected)
    without = float(found(even, None, True).detach())
    assert float(found(popular, None, True).detach()) < without - 0.01
    found.expected = (-told).softmax(-1).expand_as(found.expected)
    misled = float(found(popular, None, True).detach())
    without = float(found(even, None, True).detach())
    assert without == pytest.approx(misled, abs=0.05), "what would mislead is left out"


def test_items_are_exchanged_where_the_slope_falls_most_and_none_comes_twice() -> None:
    items = torch.tensor([2, 3, 5, 8])
    sequences = torch.tensor([[2, 3, 5], [8, 5, 2]])
    slope = torch.zeros(2, 3, 4)
    slope[0, 1, 3] = -3.0  # 8 for 3
    slope[0, 2, 3] = -2.0  # would be the second 8
    slope[1, 0, 2] = -9.0  # 5 is there already
    slope[1, 2, 1] = -1.0  # 3 for 2
    slope[1, 1, 1] = -0.5
    assert exchanged(sequences, items, slope, 1).tolist() == [[2, 8, 5], [8, 5, 2]]
    assert exchanged(sequences, items, slope, 2).tolist() == [[2, 8, 5], [8, 5, 3]]
    assert exchanged(sequences, items, slope.abs(), 2).tolist() == sequences.tolist(), "nothing would be better"
    assert sequences.tolist() == [[2, 3, 5], [8, 5, 2]], "the given ones are left as they were"


def test_what_a_broken_training_says_changes_nothing() -> None:
    sequences = torch.tensor([[0, 1, 2]])
    assert torch.equal(exchanged(sequences, torch.arange(5), torch.full((1, 3, 5), torch.nan), 2), sequences)


def test_refining_lowers_what_it_is_to_lower_and_one_seed_gives_one_result() -> None:
    """Planted: the log is a cycle, the sequences a constant jump that it never holds."""
    wrong = (torch.arange(6)[None] * 7 + torch.arange(4)[:, None]) % N_ITEMS
    config = replace(CONFIG, rounds=8, steps=20)
    recipe = replace(RECIPE, steps=20, matrix_rate=0.1)
    draw = Generator().manual_seed(0)
    expert = trained_expert()
    one = refined(wrong, features(), cycle_windows(), expert, SHAPE, recipe, config, 5)
    assert torch.equal(one, refined(wrong, features(), cycle_windows(), expert, SHAPE, recipe, config, 5))
    assert not torch.equal(one, refined(wrong, features(), cycle_windows(), expert, SHAPE, recipe, config, 6))
    assert all(len(set(row)) == 6 for row in one.tolist())

    def left(sequences: Tensor) -> float:
        real = cycle_windows().draw(40, Generator().manual_seed(9))
        found = []
        for seed in range(4):
            judge = Losses(model(20 + seed), features(), whole_catalogue(N_ITEMS, CPU), real, expert)
            rows = F.one_hot(sequences, N_ITEMS).float()
            weights = unrolled(judge, rows, recipe, draw)
            found.append(float(functional_call(judge, weights, (rows, None, True)).detach()))
        return sum(found) / 4

    assert left(one) < left(wrong) - 0.05


def trained_expert() -> SequentialRecommender:
    trainer = Trainer(model(0), features(), Recipe(steps=200, learning_rate=2e-2), Generator())
    draw, log = Generator().manual_seed(0), cycle_windows()
    for _ in range(200):
        trainer.step(log.draw(40, draw))
    return trainer.model.requires_grad_(False)


def test_only_items_of_the_subset_come_into_the_sequences_of_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def exchange(sequences: Tensor, items: Tensor, slope: Tensor, most: int) -> Tensor:
        seen.append(items)
        return exchanged(sequences, items, slope, most)

    monkeypatch.setattr("foster.refine.exchanged", exchange)
    sequences, many = some_sequences(8), random_features(1000)
    config = replace(CONFIG, rounds=1, subset=20)
    found = refined(sequences, many, cycle_windows(), model(4), SHAPE, RECIPE, config, 0)
    (items,) = seen
    assert 20 < len(items) < 80
    changed = found != sequences
    assert 0 < int(changed.sum()) <= 8
    assert bool(torch.isin(found[changed], items).all())


def test_a_catalogue_of_one_is_left_as_it_is() -> None:
    one = RealWindows(cycle_log(n_users=5, n_items=1), 6, CPU)
    sequences = torch.zeros(2, 3, dtype=torch.int64)
    found = refined(sequences, torch.ones(1, 16), one, model(4), SHAPE, RECIPE, CONFIG, 0)
    assert torch.equal(found, sequences)


def test_a_stop_is_heeded_between_two_steps_of_a_student() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refined(some_sequences(), features(), cycle_windows(), model(4), SHAPE, RECIPE, CONFIG, 0, stop)
