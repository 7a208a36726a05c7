"""A recommender: shapes it refuses, weights it starts with, inputs it mixes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cycle_world import N_ITEMS, random_features
from torch import Generator

from foster.errors import UserError
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.training import mix

SHAPE = RecommenderConfig(width=16, max_length=6, dropout=0.5)
BOTH = pytest.mark.parametrize("backbone", ["sasrec", "gru4rec"])


def model_of(backbone: str, seed: int = 0) -> SequentialRecommender:
    return build_recommender(16, replace(SHAPE, backbone=backbone), Generator().manual_seed(seed))  # type: ignore[arg-type]


@BOTH
def test_all_weights_come_from_the_generator(backbone: str) -> None:
    torch.manual_seed(1)
    one = model_of(backbone)
    torch.manual_seed(2)
    same, other = model_of(backbone), model_of(backbone, seed=1)
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.projection.weight, other.projection.weight)


@BOTH
def test_no_later_input_has_a_gradient_into_an_earlier_state(backbone: str) -> None:
    x = torch.randn(1, 6, 16, generator=Generator().manual_seed(1)).requires_grad_()
    (gradient,) = torch.autograd.grad(model_of(backbone)(x)[0, 2].pow(2).mul(torch.arange(16)).sum(), x)
    assert (gradient[0, 3:] == 0).all()
    assert (gradient[0, :3].abs().sum(-1) > 0).all()


@BOTH
def test_training_mode_has_no_dropout_of_its_own(backbone: str) -> None:
    model, x = model_of(backbone), torch.randn(1, 4, 16)
    assert torch.equal(model.train()(x), model.eval()(x))


@BOTH
def test_dropout_leaves_the_global_generator_alone(backbone: str) -> None:
    model, before = model_of(backbone), torch.get_rng_state()
    model(torch.zeros(1, 4, 16), Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


@BOTH
def test_soft_one_hot_input_equals_the_hard_item(backbone: str) -> None:
    model, features = model_of(backbone), random_features()
    table = model.item_table(features)
    ids = torch.tensor([[4, 9, 1]])
    everything = torch.arange(N_ITEMS).expand(1, 3, N_ITEMS)
    one_hot = torch.nn.functional.one_hot(ids, N_ITEMS).float()
    hard = model(mix(table, ids.unsqueeze(-1), torch.ones(1, 3, 1)))
    assert torch.allclose(model(mix(table, everything, one_hot)), hard, atol=1e-6)
    assert torch.allclose(model(table[ids]), hard, atol=1e-6)


@BOTH
def test_states_and_items_have_unit_length_so_logits_are_bounded_by_the_temperature(backbone: str) -> None:
    model = model_of(backbone)
    table = model.item_table(random_features())
    logits = model.logits(model(table[:5].unsqueeze(0)), table)
    assert torch.allclose(table.norm(dim=-1), torch.ones(N_ITEMS), atol=1e-5)
    assert float(logits.detach().abs().max()) <= 1 / SHAPE.temperature + 1e-3


@pytest.mark.parametrize(("field", "value"), [("heads", 3), ("dropout", 1.0), ("dropout", -0.1)])
def test_impossible_shapes_are_refused_in_one_line(field: str, value: float) -> None:
    with pytest.raises(UserError) as refused:
        replace(SHAPE, **{field: value})  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_a_fresh_sasrec_ranks_by_likeness_to_its_history_the_recent_part_most() -> None:
    shape = RecommenderConfig(width=64, layers=1, max_length=8)
    model = build_recommender(64, shape, Generator().manual_seed(0))
    features = torch.eye(64)  # so that likeness is having been read
    table = model.item_table(features)
    with torch.no_grad():
        scores = model.logits(model(table[torch.tensor([[1, 2, 3, 4, 5]])])[0, -1], table)
    assert scores.topk(5).indices.tolist() == [5, 4, 3, 2, 1]


def test_a_slope_of_nothing_reads_all_ages_alike_and_a_steep_one_the_last_event_alone() -> None:
    model = build_recommender(64, RecommenderConfig(width=64, layers=1, max_length=8), Generator().manual_seed(0))
    (block,) = (part for part in model.modules() if hasattr(part, "slopes"))
    block.query_key_value.weight.data[:128] = 0  # type: ignore[union-attr, operator]  # no content, only age
    x = torch.randn(1, 5, 64, generator=Generator().manual_seed(1))
    values = torch.nn.functional.layer_norm(x[0], (64,))
    with torch.no_grad():
        block.slopes.data[:] = torch.tensor([0.0, 100.0])  # type: ignore[index]
        heard = block.attend(x)[0, -1] / 3  # type: ignore[operator]
    torch.testing.assert_close(heard[:32], values[:, :32].mean(0))
    torch.testing.assert_close(heard[32:], values[-1, 32:])


@BOTH
def test_an_adapter_begins_as_nothing_and_then_counts_at_input_and_output(backbone: str) -> None:
    features = random_features()
    shape = replace(SHAPE, backbone=backbone)  # type: ignore[arg-type]
    without, model = (
        build_recommender(16, replace(shape, adapter=adapter), Generator().manual_seed(0)) for adapter in (False, True)
    )
    found = torch.nn.functional.normalize(model.projection(features), dim=-1)
    assert torch.equal(model.item_table(features), found)
    assert without.adapter is None
    assert model.adapter is not None
    with torch.no_grad():
        model.adapter.out.weight += 0.1
    table = model.item_table(features)
    assert not torch.allclose(table, found, atol=1e-3)
    assert not torch.allclose(model(table[:5].unsqueeze(0)), model(found[:5].unsqueeze(0)), atol=1e-3)
    assert torch.allclose(table.norm(dim=-1), torch.ones(N_ITEMS))


def test_an_adapter_learns_what_no_linear_map_of_texts_tells() -> None:
    """Planted: what goes together is a matter of the product of two features."""
    draw = Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(60, 16, generator=draw), dim=-1)
    alike = (features[:, 0] * features[:, 1] > 0).float()
    wanted = (alike.unsqueeze(0) == alike.unsqueeze(1)).float()

    def left(adapter: bool) -> float:
        shape = replace(SHAPE, adapter=adapter)
        model = build_recommender(16, shape, Generator().manual_seed(1))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(200):
            table = model.item_table(features)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(5 * table @ table.T, wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    assert left(True) < 0.7 * left(False)


def test_logits_for_a_ranking_are_the_same_logits() -> None:
    model = model_of("sasrec")
    table = model.item_table(random_features())
    states = model(table[torch.tensor([[1, 2, 3], [4, 5, 6]])])[:, -1]
    found = model.ranking_logits(states, table)
    assert found.shape == (2, N_ITEMS)
    torch.testing.assert_close(found, model.logits(states, table))
