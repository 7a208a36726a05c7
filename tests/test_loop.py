"""The loop against its equations in double precision, and a stopped loop against one that ran through."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, cycle_windows, random_features
from torch import Generator, Tensor

from foster.distiller import DistillConfig, Distiller, duplicate
from foster.errors import UserError
from foster.label_basis import LabelBasis
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.subset_view import divergence
from foster.synthetic import SyntheticSequences
from foster.training import RealWindows, Recipe

CPU = torch.device("cpu")
STUDENT = RecommenderConfig(width=8, layers=1, max_length=6, dropout=0.0)
RECIPE = Recipe(steps=16, learning_rate=1e-2, dropout=0.0, batch_size=4, warmup=2)
SMALL = DistillConfig(steps=8, save_every=2, paths=2, student_steps=3, real_batch=6, synthetic_rate=1.5)
FEATURES = random_features()


def start(sequences: int = 3, readings: int = 2, rank: int = 6, n_items: int = N_ITEMS) -> SyntheticSequences:
    draw = Generator().manual_seed(2)
    items = torch.stack([torch.randperm(n_items, generator=draw)[:5] for _ in range(readings * sequences)])
    queries = 0.5 * torch.randn(readings * sequences, 5, rank, generator=draw)
    projection = torch.randn(rank, 16, generator=draw)
    return SyntheticSequences(sequences, items, queries, LabelBasis.linear(projection, rank))


def distiller(
    config: DistillConfig = SMALL,
    seed: int = 5,
    student: RecommenderConfig = STUDENT,
    experts: Sequence[SequentialRecommender] = (),
) -> Distiller:
    features = FEATURES.to(torch.get_default_dtype())
    return Distiller(start(), features, cycle_windows(), student, RECIPE, config, seed, experts)


def some_expert(seed: int = 0) -> SequentialRecommender:
    return build_recommender(16, STUDENT, Generator().manual_seed(77 + seed))


class LiteralAdam:
    """Kingma & Ba (2015), one list of tensors; gradients are cut to a norm of 5."""

    def __init__(self) -> None:
        self.t, self.m, self.v = 0, list[Tensor](), list[Tensor]()

    def step(self, tensors: list[Tensor], gradients: list[Tensor], rate: float) -> None:
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        gradients = [g * min(1.0, 5.0 / (norm + 1e-6)) for g in gradients]
        self.m = self.m or [torch.zeros_like(g) for g in gradients]
        self.v = self.v or [torch.zeros_like(g) for g in gradients]
        self.t += 1
        for k, (x, g) in enumerate(zip(tensors, gradients, strict=True)):
            self.m[k] = 0.9 * self.m[k] + 0.1 * g
            self.v[k] = 0.98 * self.v[k] + 0.02 * g * g
            x.data -= rate * (self.m[k] / (1 - 0.9**self.t)) / ((self.v[k] / (1 - 0.98**self.t)).sqrt() + 1e-8)


def literal_scores(model: SequentialRecommender, f: Tensor, items: Tensor) -> Tensor:
    """log p [L, V] after each prefix of one sequence [L]."""
    e = model.item_table(f)
    h = model(torch.stack([e[item] for item in items])[None])[0]
    z = torch.stack([torch.stack([e[i] @ state for i in range(len(f))]) for state in h]) / model.config.temperature
    return z - z.exp().sum(-1, keepdim=True).log()


def literal_labels(q: Tensor, basis: Tensor) -> Tensor:
    z = torch.stack([basis @ each for each in q])
    return z - z.exp().sum(-1, keepdim=True).log()


def literal_regulariser(log_p: Tensor, f: Tensor, temperature: float = 0.1, smoothing: float = 1e-6) -> Tensor:
    """mean_i KL(w_i ‖ c(·|i)), differentiable."""
    p, n = log_p.exp(), len(f)
    c = torch.zeros(n, n)
    for sequence in p:
        for one in range(len(sequence)):
            for other in range(len(sequence)):
                if one != other:
                    c = c + torch.outer(sequence[one], sequence[other])
    total = torch.zeros(())
    for i in range(n):
        others = [j for j in range(n) if j != i]
        w = torch.softmax(f[others] @ f[i] / temperature, 0)
        row = c[i, others] + smoothing
        total = total + (w * (w.log() - (row / row.sum()).log())).sum()
    return total / n


def literal_loop(steps: int, c: DistillConfig, seed: int, experts: Sequence[SequentialRecommender]) -> Tensor:
    """The module's equations from the same draws; one position after another."""
    first, f, draw = start(), FEATURES.double(), Generator().manual_seed(seed)
    basis = torch.stack([row / row.norm() for row in f @ first.maps.projection.T]) * math.sqrt(
        len(first.maps.projection)
    )
    m_all, readings = first.sequences, len(first.items) // first.sequences
    q, v = first.queries.clone(), torch.zeros_like(first.queries)

    def reading(model: SequentialRecommender, row: int) -> Tensor:
        return literal_scores(model, f, first.items[row])

    def follow(model: SequentialRecommender, rows: Tensor) -> Tensor:
        found = []
        for row in rows.tolist():
            log_p = literal_labels(q[row], basis)
            found.append((log_p.exp() * (log_p - reading(model, row))).sum(-1))
        return torch.cat(found).mean()

    def real_loss(model: SequentialRecommender, batch: Any) -> Tensor:
        losses = []
        for user in range(len(batch.items)):
            length = int((batch.targets[user] >= 0).sum())
            history = batch.items[user, :length, 0]

            def log_p(of: SequentialRecommender, t: int, history: Tensor = history) -> Tensor:
                e = of.item_table(f)
                z = e @ of(e[history][None])[0, t] / of.config.temperature
                return z - z.logsumexp(0)

            for t in range(length):
                if not experts:
                    losses.append(-log_p(model, t)[batch.targets[user, t]])
                else:
                    expected = sum(log_p(expert, t).detach().exp() for expert in experts) / len(experts)
                    losses.append(-(expected * log_p(model, t)).sum())
        return torch.stack(losses).mean()

    def learn(model: SequentialRecommender, adam: LiteralAdam, loss: Tensor) -> None:
        parameters = list(model.parameters())
        adam.step(parameters, list(torch.autograd.grad(loss, parameters)), RECIPE.learning_rate * RECIPE.pace(adam.t))

    def fresh(share: float) -> tuple[SequentialRecommender, LiteralAdam]:
        own = Generator().manual_seed(int(torch.randint(2**62, (), generator=draw)))
        model, adam = build_recommender(16, STUDENT, own), LiteralAdam()
        torch.randint(2**62, (), generator=own)  # the seed of its dropout, which is off here
        while adam.t < int(share * RECIPE.steps):
            learn(model, adam, follow(model, torch.randint(m_all * readings, (4,), generator=own)))
        return model, adam

    paths = [fresh(share / c.paths) for share in reversed(range(c.paths))]
    centred = basis - basis.mean(0)
    inverse = torch.linalg.inv(centred.T @ centred + c.ridge * len(f) * torch.eye(len(first.maps.projection)))
    for step in range(steps):
        chosen = int(torch.randint(c.paths, (), generator=draw))
        if paths[chosen][1].t + c.student_steps > RECIPE.steps:
            paths[chosen] = fresh(0.0)
        omega, omega_adam = paths[chosen]
        theta, theta_adam = copy.deepcopy(omega), copy.deepcopy(omega_adam)
        real = [cycle_windows().draw(c.real_batch, draw) for _ in range(c.student_steps)]
        for batch in real:
            rows = torch.randint(m_all * readings, (4,), generator=draw)
            learn(omega, omega_adam, follow(omega, rows))
            learn(theta, theta_adam, follow(theta, rows) + c.real_weight * real_loss(theta, batch))
        apart = torch.stack([reading(theta, row) - reading(omega, row) for row in range(len(q))]).detach()
        direction = torch.stack([torch.stack([inverse @ (centred.T @ each) for each in row]) for row in apart])
        which = torch.randint(readings, (m_all,), generator=draw)
        free = torch.stack([q[int(a) * m_all + m] for m, a in enumerate(which)]).requires_grad_()
        value = literal_regulariser(torch.stack([literal_labels(row, basis) for row in free]), f)
        (gradient,) = torch.autograd.grad(value, free)
        push = torch.zeros_like(q)
        for m, a in enumerate(which.tolist()):
            push[a * m_all + m] = torch.stack([inverse @ each for each in gradient[m]])
        direction = direction - c.regularisation * math.sqrt(float((direction**2).sum() / (push**2).sum())) * push
        v = c.momentum * v + (1 - c.momentum) * direction
        q = q + c.synthetic_rate * (1 - 0.9 * (step + 1) / c.steps) * v
    return q


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("taught_by", [0, 1, 2])
def test_steps_over_the_end_of_a_path_equal_the_equations(taught_by: int) -> None:
    config = replace(SMALL, steps=5, student_steps=4)
    experts = [some_expert(seed) for seed in range(taught_by)]
    fast = distiller(config, experts=experts)
    list(fast.run())
    expected = literal_loop(5, config, 5, experts)
    assert not torch.allclose(expected, start().queries, atol=1e-2)  # something was learned
    torch.testing.assert_close(fast.queries, expected, atol=1e-6, rtol=0)


@pytest.mark.usefixtures("double")
def test_a_subset_that_needs_every_item_reproduces_the_exact_steps() -> None:
    """subset = 5 takes the sampled path; 40 windows of the cycle hold every item."""
    exact = distiller(replace(SMALL, real_batch=40))
    sampled = distiller(replace(SMALL, real_batch=40, subset=5))
    everything = [cycle_windows().batch(torch.arange(40), Generator().manual_seed(0))]
    assert len(sampled._view(everything, sampled.draw).subset.items) == N_ITEMS
    rows = torch.arange(6)
    model = build_recommender(16, STUDENT, Generator().manual_seed(0))
    torch.testing.assert_close(
        exact._view([], exact.draw).scores(model, rows), sampled._view(everything, sampled.draw).scores(model, rows)
    )


def test_inputs_outside_the_subset_are_read_but_not_scored() -> None:
    d = distiller(replace(SMALL, subset=4))
    view = d._view([cycle_windows().draw(1, Generator().manual_seed(0))], d.draw)
    items = d.synthetic.items.unsqueeze(-1)
    outside = ~torch.isin(items, view.subset.items)
    assert bool(outside.any())
    assert len(view.subset.items) < N_ITEMS
    assert torch.equal(view.texts[view.items], FEATURES[items])
    assert bool((view.items[outside] >= len(view.subset.items)).all())
    model = build_recommender(16, STUDENT, Generator().manual_seed(0))
    assert view.scores(model, torch.arange(6)).shape == (6, 5, len(view.subset.items))


def test_a_small_subset_still_learns() -> None:
    d = distiller(replace(SMALL, subset=4, real_batch=1))
    seen = list(d.run())
    assert all(math.isfinite(event.gap) for event in seen)
    assert not torch.equal(d.queries, start().queries)


def test_the_same_seed_gives_the_same_set_and_another_seed_another() -> None:
    one, same, other = distiller(), distiller(), distiller(seed=6)
    for each in (one, same, other):
        list(each.run())
    assert torch.equal(one.queries, same.queries)
    assert not torch.equal(one.queries, other.queries)


@pytest.mark.parametrize("subset", [1024, 6])
@pytest.mark.parametrize("cut", [2, 4, 6])
def test_a_loop_stopped_at_a_checkpoint_goes_on_bit_equal(cut: int, subset: int) -> None:
    config, student = replace(SMALL, subset=subset, real_batch=2), replace(STUDENT, dropout=0.2)
    through = distiller(config, student=student)
    gaps = [event.gap for event in through.run()]
    stopped = distiller(config, student=student)
    running = stopped.run()
    for _ in range(cut):
        next(running)
    assert stopped.at_checkpoint
    resumed = distiller(config, student=student)
    resumed.restore(stopped.state())
    assert [event.gap for event in resumed.run()] == gaps[cut:]
    assert torch.equal(resumed.queries, through.queries)


def test_labels_move_towards_the_real_data() -> None:
    """Planted: labels start uniform, the log is a cycle; after the loop a position's next item weighs more."""
    flat = replace(start(), queries=torch.zeros_like(start().queries))
    config = replace(SMALL, steps=60, regularisation=0.0, real_weight=3.0, real_batch=20)
    recipe = replace(RECIPE, steps=60)
    d = Distiller(flat, FEATURES, cycle_windows(), STUDENT, recipe, config, 0)
    list(d.run())
    following = (d.synthetic.items + 1) % N_ITEMS
    weight = d.synthetic.labels(d.basis).softmax(-1).gather(-1, following.unsqueeze(-1)).mean()
    assert float(weight) > 2 / N_ITEMS


def test_a_heavier_regulariser_brings_its_own_term_down() -> None:
    def last(weight: float) -> float:
        config = replace(SMALL, steps=20, regularisation=weight)
        return [event.regulariser for event in distiller(config).run()][-1]

    assert last(0.3) < last(0.01)


def test_a_catalogue_of_one_breaks_nothing() -> None:
    one = torch.ones(1, 16)
    real = RealWindows(cycle_log(n_users=5, n_items=1), 6, CPU)
    d = Distiller(replace(start(), items=torch.zeros(6, 5, dtype=torch.int64)), one, real, STUDENT, RECIPE, SMALL, 0)
    assert [event.gap for event in d.run()] == [0] * 8
    assert d.queries.isfinite().all()


def test_no_steps_leave_the_start_as_it_was() -> None:
    d = distiller(replace(SMALL, steps=0))
    assert list(d.run()) == []
    assert torch.equal(d.queries, start().queries)


def test_a_duplicate_goes_on_as_the_original_would_and_apart_from_it() -> None:
    d = distiller(student=replace(STUDENT, dropout=0.3))
    next(d.run())
    original, batch = d.paths[0], cycle_windows().batch(torch.arange(4), Generator().manual_seed(0))
    twin = duplicate(original)
    assert [original.step(batch) for _ in range(3)] == [twin.step(batch) for _ in range(3)]
    twin.step(batch)
    assert original.steps + 1 == twin.steps
    assert not torch.equal(original.model.projection.weight, twin.model.projection.weight)


def test_no_graph_stays_on_the_set() -> None:
    d = distiller()
    next(d.run())
    assert not d.queries.requires_grad
    assert all(p.is_leaf for trainer in d.paths for p in trainer.model.parameters())


@pytest.mark.parametrize(
    "wrong", [{"momentum": -0.1}, {"momentum": 1}, {"save_every": 0}, {"student_steps": 0}, {"subset": 0}, {"paths": 0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        DistillConfig(**wrong)


def test_divergence_is_zero_only_for_equal_distributions() -> None:
    log_p = torch.randn(2, 3, 7, generator=Generator().manual_seed(0)).log_softmax(-1)
    other = torch.randn(2, 3, 7, generator=Generator().manual_seed(1)).log_softmax(-1)
    assert float(divergence(log_p, log_p)) == 0
    expected = torch.nn.functional.kl_div(
        other.flatten(0, 1), log_p.flatten(0, 1), reduction="batchmean", log_target=True
    )
    assert float(divergence(log_p, other)) == pytest.approx(float(expected))


def test_a_view_of_some_readings_says_of_them_what_the_whole_one_says() -> None:
    loop = distiller(replace(SMALL, subset=4))
    draw, model = Generator().manual_seed(1), build_recommender(16, STUDENT, Generator().manual_seed(2))
    real = loop.windows.draw(1, draw)
    view, rows = loop._view([real], draw), torch.tensor([4, 1])
    some = view.narrowed(rows, real)
    assert len(view.subset.items) < len(some.ids) < len(view.ids)
    torch.testing.assert_close(some.scores(model, torch.arange(2)), view.scores(model, rows))
    torch.testing.assert_close(some.real_loss(model, real, [model]), view.real_loss(model, real, [model]))
    torch.testing.assert_close(some.log_labels(loop.queries[rows]), view.log_labels(loop.queries[rows]))
