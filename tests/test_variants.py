"""Loops that differ from the distiller's in one thing: their directions are what they say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cycle_world import cycle_log, random_features
from torch import Generator, Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from foster.bench.variants import Damped, Exact, FiniteDifference, Joint, NeverReset, damped_direction
from foster.distiller import DistillConfig, Distiller
from foster.label_basis import LabelBasis
from foster.recommender import RecommenderConfig
from foster.synthetic import SyntheticSequences
from foster.training import RealWindows, Recipe

CPU = torch.device("cpu")


def loop(kind: type[Distiller], **changes: Any) -> Distiller:
    draw = Generator().manual_seed(2)
    items = torch.stack([torch.randperm(24, generator=draw)[:5] for _ in range(6)])
    queries, projection = torch.randn(6, 5, 6, generator=draw), torch.randn(6, 16, generator=draw)
    start = SyntheticSequences(3, items, queries, LabelBasis.linear(projection, 6))
    windows = RealWindows(cycle_log().leave_one_out().train, 6, CPU)
    student = RecommenderConfig(width=8, layers=1, max_length=6, dropout=0.0)
    config = DistillConfig(
        **{"steps": 4, "paths": 1, "student_steps": 3, "real_batch": 6, "synthetic_rate": 1.5, **changes}
    )
    return kind(start, random_features(), windows, student, Recipe(steps=40, batch_size=4), config, seed=5)


@pytest.mark.parametrize("damping", [0.0, 0.5, 1.0])
def test_the_damped_direction_is_the_natural_gradient_of_the_damped_penalty(damping: float) -> None:
    draw = Generator().manual_seed(0)
    z = torch.randn(7, generator=draw, dtype=torch.float64).requires_grad_()
    theta, omega = (torch.randn(7, generator=draw, dtype=torch.float64).log_softmax(-1) for _ in range(2))
    log_p = z.log_softmax(-1)
    penalty = (log_p.exp() * (log_p - theta)).sum() - damping * (log_p.exp() * (log_p - omega)).sum()
    (gradient,) = torch.autograd.grad(penalty, z)
    p = log_p.detach().exp()
    fisher = torch.diag(p) - torch.outer(p, p)
    direction = damped_direction(theta, omega, log_p.detach(), damping)
    torch.testing.assert_close(fisher @ direction, -gradient)
    assert float(direction.norm()) > 0.1


def test_without_damping_the_damped_loop_is_the_loop() -> None:
    class Undamped(Damped):
        damping = 1.0

    plain, same, other = (loop(kind) for kind in (Distiller, Undamped, Joint))
    for each in (plain, same, other):
        list(each.run())
    torch.testing.assert_close(same.queries, plain.queries)
    assert not torch.allclose(other.queries, plain.queries, atol=1e-2)


def test_never_reset_models_go_on_and_apart() -> None:
    reset, never = loop(Distiller), loop(NeverReset)
    assert isinstance(never, NeverReset)
    first = next(never.run())
    assert never.parted is not None
    theta, omega = never.parted
    last = list(never.run())[-1]
    assert never.parted[0] is theta
    assert (theta.steps, omega.steps) == (12, 12)
    assert last.distance > 1.5 * first.distance
    assert last.distance > list(reset.run())[-1].distance


def second_order(kind: type[Exact]) -> tuple[Tensor, Tensor]:
    """What a loop puts in the place of its difference, and −∂/∂P ⟨∇_ω L_S, v⟩ by two backward passes, v as long as the
    way from ω to θ, both [A·M, L, V]."""
    d = loop(kind, paths=2)
    d.begin(lambda: None)
    real = [d.windows.draw(6, d.draw) for _ in range(3)]
    theta, omega = d._anchored()
    view, rows = d._view(real, d.draw), torch.arange(6)
    for batch in real:
        d._descend(theta, view, rows, batch)
    d._prepare(view, theta.model, omega.model)
    change = d._change(view, rows, theta.model, omega.model)

    model, labels = omega.model, view.log_labels(d.queries).exp().requires_grad_()
    parameters = list(model.parameters())
    with sdpa_kernel(SDPBackend.MATH):
        losses = [view.real_loss(model, batch, ()) for batch in real]
        v = torch.autograd.grad(sum(losses) / 3, parameters)
        loss = -(labels * view.scores(model, rows)).sum()
        slopes = torch.autograd.grad(loss, parameters, create_graph=True)
        way = sum((a - b).detach().pow(2).sum() for a, b in zip(theta.model.parameters(), parameters, strict=True))
        scale = way.sqrt() / sum(each.pow(2).sum() for each in v).sqrt()
        product = sum((slope * scale * each).sum() for slope, each in zip(slopes, v, strict=True))
        return change, torch.autograd.grad(product, labels)[0]


def test_the_exact_direction_is_the_second_order_gradient_in_the_labels() -> None:
    found, literal = second_order(Exact)
    assert float(literal.abs().max()) > 1e-3
    torch.testing.assert_close(found, literal, rtol=1e-3, atol=1e-5)


def test_the_finite_difference_comes_near_the_exact_direction() -> None:
    found, literal = second_order(FiniteDifference)
    assert float((found - literal).norm() / literal.norm()) < 0.02


@pytest.mark.parametrize("kind", [Exact, FiniteDifference])
def test_a_loop_of_second_order_moves_the_labels_its_own_way(kind: type[Exact]) -> None:
    plain, other = loop(Distiller), loop(kind)
    for each in (plain, other):
        list(each.run())
    assert not torch.allclose(other.queries, plain.queries, atol=1e-2)
    assert torch.isfinite(other.queries).all()
