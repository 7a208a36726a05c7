"""Many steps of the loop against the method's equations in double precision, and the subset against the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from torch import Generator, Tensor

from foster.distiller import DistillConfig, Distiller, label_divergence
from foster.errors import UserError
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.subset import ItemSubset, draw_subset, whole_catalogue
from foster.synthetic import SyntheticSequences, label_basis
from foster.training import RealWindows
from foster.trajectory import ExpertConfig, ExpertTrajectory, train_expert

CPU = torch.device("cpu")
SHAPE = RecommenderConfig(width=8, layers=1, max_length=6, dropout=0.0)


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def windows() -> RealWindows:
    return RealWindows(cycle_log().leave_one_out().train, SHAPE.max_length, CPU)


def features() -> Tensor:
    return random_features().double()


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> ExpertTrajectory:
    """Single precision on disk, as the engine writes it."""
    folder = tmp_path_factory.mktemp("expert")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    scores = iter([0.1, 0.2, 0.0])
    short = ExpertConfig(batch_size=20, patience=1, check_every=15)
    list(train_expert(folder, SHAPE, short, random_features(), windows(), lambda _: next(scores), seed=0))
    torch.set_default_dtype(before)
    found = ExpertTrajectory.open(folder, SHAPE, 16)
    assert found is not None
    return found


def start(mixture: int = 3, tied: bool = False) -> SyntheticSequences:
    draw = Generator().manual_seed(2)
    items = torch.stack([torch.randperm(N_ITEMS, generator=draw)[:mixture] for _ in range(3 * 5)]).view(3, 5, mixture)
    weights = torch.randn(3, 5, mixture, generator=draw)
    return SyntheticSequences(items, weights, torch.randn(3, 5, 8, generator=draw), tied)


def distiller(expert: ExpertTrajectory, config: DistillConfig, tied: bool = False, seed: int = 5) -> Distiller:
    basis = label_basis(features(), 8)
    return Distiller(start(tied=tied), basis, features(), windows(), [expert], SHAPE, config, seed)


class LiteralAdam:
    """Kingma & Ba (2015), one list of tensors."""

    def __init__(self, beta1: float, beta2: float) -> None:
        self.beta1, self.beta2, self.t = beta1, beta2, 0
        self.m: list[Tensor] = []
        self.v: list[Tensor] = []

    def step(self, tensors: list[Tensor], gradients: list[Tensor], rate: float) -> None:
        self.m = self.m or [torch.zeros_like(g) for g in gradients]
        self.v = self.v or [torch.zeros_like(g) for g in gradients]
        self.t += 1
        for k, (x, g) in enumerate(zip(tensors, gradients, strict=True)):
            self.m[k] = self.beta1 * self.m[k] + (1 - self.beta1) * g
            self.v[k] = self.beta2 * self.v[k] + (1 - self.beta2) * g * g
            m_hat = self.m[k] / (1 - self.beta1**self.t)
            v_hat = self.v[k] / (1 - self.beta2**self.t)
            x.data -= rate * m_hat / (v_hat.sqrt() + 1e-8)


def literal_log_p(queries: Tensor, basis: Tensor) -> Tensor:
    z = torch.stack([torch.stack([basis @ q for q in row]) for row in queries])
    return z - z.exp().sum(-1, keepdim=True).log()


def literal_loss(model: SequentialRecommender, f: Tensor, items: Tensor, weights: Tensor, log_p: Tensor) -> Tensor:
    """L_S = mean over (m, l) of KL(P[m,l] ‖ p_model(· | mixtures up to l))."""
    e = model.item_table(f)
    share = weights.exp() / weights.exp().sum(-1, keepdim=True)
    m_all, l_all, k_all = items.shape
    x = [
        torch.stack([sum((share[m, t, k] * e[items[m, t, k]] for k in range(k_all)), e[0] * 0) for t in range(l_all)])
        for m in range(m_all)
    ]
    h = model(torch.stack(x))
    terms = []
    for m in range(m_all):
        for t in range(l_all):
            z = e @ h[m, t] / model.config.temperature
            terms.append((log_p[m, t].exp() * (log_p[m, t] - z + z.logsumexp(0))).sum())
    return torch.stack(terms).mean()


def literal_real(model: SequentialRecommender, f: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """L_D, one user and position after another; no padding in the model's input at all."""
    e, losses = model.item_table(f), []
    for user in range(len(items)):
        length = int((targets[user] >= 0).sum())
        h = model(e[items[user, :length, 0]][None])[0]
        for t in range(length):
            z = e @ h[t] / model.config.temperature
            losses.append(z.logsumexp(0) - z[targets[user, t]])
    return torch.stack(losses).mean()


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


def literal_loop(d: Distiller, expert: ExpertTrajectory, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """The module's equations from the same draws: anchor, student, batch."""
    c, f, basis = d.config, features(), label_basis(features(), 8)
    first = start()
    items, s = first.items, [first.weights.clone().requires_grad_(), first.queries.clone().requires_grad_()]
    adam, draw = LiteralAdam(0.9, 0.99), Generator().manual_seed(seed)
    for step in range(steps):
        if step % c.reset_every == 0:
            torch.randint(1, (), generator=draw)  # which expert
            late = expert.late()
            theta = expert.load(late[int(torch.randint(len(late), (), generator=draw))], CPU)
            omega = build_recommender(16, SHAPE, draw)
            omega_adam = LiteralAdam(0.9, 0.98)
        real = windows().draw(c.real_batch, draw)
        w0, log_p0 = s[0].detach(), literal_log_p(s[1].detach(), basis)
        for _ in range(c.student_steps):
            inner = literal_loss(omega, f, items, w0, log_p0)
            g = list(torch.autograd.grad(inner, list(omega.parameters())))
            norm = math.sqrt(sum(float((each**2).sum()) for each in g))
            g = [each * min(1.0, 5.0 / (norm + 1e-6)) for each in g]
            omega_adam.step(list(omega.parameters()), g, c.student_rate)
        outer = literal_real(theta, f, real.items, real.targets) + c.penalty * literal_loss(theta, f, items, w0, log_p0)
        for parameter, g_one in zip(
            theta.parameters(), torch.autograd.grad(outer, list(theta.parameters())), strict=True
        ):
            parameter.data -= c.model_rate * g_one
        log_p = literal_log_p(s[1], basis)
        value = literal_loss(theta, f, items, s[0], log_p) - c.damping * literal_loss(omega, f, items, s[0], log_p)
        value = c.penalty * value + c.regularisation * literal_regulariser(log_p, f)
        rate = c.synthetic_rate * max(1 - step / c.steps, 0.1)
        adam.step(s, list(torch.autograd.grad(value, s)), rate)
    return s[0].detach(), s[1].detach()


def test_five_steps_over_a_reset_equal_the_equations_in_double_precision(expert: ExpertTrajectory) -> None:
    config = DistillConfig(steps=5, reset_every=3, real_batch=6, damping=0.7, penalty=1.3, model_rate=0.05)
    fast = distiller(expert, config)
    list(fast.run())
    weights, queries = literal_loop(fast, expert, 5, seed=5)
    assert not torch.allclose(queries, start().queries, atol=1e-3)  # something was learned
    torch.testing.assert_close(fast.weights.detach(), weights, atol=1e-7, rtol=0)
    torch.testing.assert_close(fast.queries.detach(), queries, atol=1e-7, rtol=0)


@pytest.mark.parametrize("tied", [False, True])
def test_subset_that_needs_every_item_reproduces_the_exact_steps(expert: ExpertTrajectory, tied: bool) -> None:
    """subset = 5 takes the sampled path; top = V puts the whole catalogue in U."""
    common = {"steps": 4, "reset_every": 2, "real_batch": 6}
    exact = distiller(expert, DistillConfig(**common), tied)
    sampled = distiller(expert, DistillConfig(**common, subset=5, top=N_ITEMS), tied)
    for one, other in zip(exact.run(), sampled.run(), strict=True):
        assert one.gap == pytest.approx(other.gap, abs=1e-9)
    torch.testing.assert_close(exact.queries, sampled.queries, atol=1e-9, rtol=0)
    torch.testing.assert_close(exact.weights, sampled.weights, atol=1e-9, rtol=0)


def test_inputs_outside_the_subset_are_read_but_not_scored(expert: ExpertTrajectory) -> None:
    """The table's first |U| rows are U; every input row still finds its own item."""
    d = distiller(expert, DistillConfig(steps=2, subset=4, top=1, real_batch=1))
    real = windows().draw(1, Generator().manual_seed(0))
    subset, here, (rows, weights), table_items = d._view(real)
    outside = ~torch.isin(d.fixed.items, subset.items)
    assert bool(outside.any())
    assert len(subset.items) < N_ITEMS
    assert torch.equal(table_items[: len(subset.items)], subset.items)
    assert torch.equal(table_items[rows], d.fixed.items)
    assert bool((rows[outside] >= len(subset.items)).all())
    assert torch.equal(weights, d.weights.softmax(-1))
    scored = real.targets >= 0
    assert torch.equal(subset.items[here.targets[scored]], real.targets[scored])
    assert torch.equal(here.targets >= 0, scored)


def test_no_graph_leads_from_the_set_into_the_models(expert: ExpertTrajectory) -> None:
    d = distiller(expert, DistillConfig(steps=2))
    next(d.run())
    assert all(p.is_leaf for model in (d.theta, d.omega) for p in model.parameters())
    assert d.queries.is_leaf


@pytest.mark.parametrize("tied", [False, True])
def test_resuming_with_a_subset_and_mixtures_is_bit_equal(expert: ExpertTrajectory, tied: bool) -> None:
    config = DistillConfig(steps=7, reset_every=2, subset=6, top=1, real_batch=1)
    through = distiller(expert, config, tied)
    gaps = [event.gap for event in through.run()]
    for cut in (2, 4, 6):
        stopped = distiller(expert, config, tied)
        for _ in range(cut):
            next(stopped.run())
        assert stopped.at_reset
        resumed = distiller(expert, config, tied)
        resumed.restore(stopped.state())
        assert [event.gap for event in resumed.run()] == gaps[cut:]
        assert torch.equal(resumed.queries, through.queries)
        assert torch.equal(resumed.weights, through.weights)


def test_full_damping_is_linear_in_the_labels_and_none_is_the_teacher(expert: ExpertTrajectory) -> None:
    """With η = 0 and no regulariser the labels move towards θ's own predictions."""
    d = distiller(expert, DistillConfig(steps=60, reset_every=100, damping=0.0, regularisation=0.0, synthetic_rate=0.1))
    seen = [event.synthetic_theta for event in d.run()]
    assert seen[-1] < 0.7 * seen[0]


def test_labels_cannot_be_learned_with_a_catalogue_of_one_but_nothing_breaks(tmp_path: Path) -> None:
    folder, one = tmp_path / "one", torch.zeros(1, 16)
    log = cycle_log(n_users=5, n_items=1)
    scores = iter([0.2, 0.1])
    short = ExpertConfig(patience=1, check_every=2)
    real = RealWindows(log, 6, CPU)
    list(train_expert(folder, SHAPE, short, one, real, lambda _: next(scores), seed=0))
    expert = ExpertTrajectory.open(folder, SHAPE, 16)
    assert expert is not None
    single = SyntheticSequences(torch.zeros(2, 3, 1, dtype=torch.int64), torch.zeros(2, 3, 1), torch.ones(2, 3, 8))
    d = Distiller(single, label_basis(one, 8), one, real, [expert], SHAPE, DistillConfig(steps=3), 0)
    assert [event.gap for event in d.run()] == [0, 0, 0]
    assert d.queries.isfinite().all()


def test_impossible_settings_are_refused() -> None:
    for wrong in ({"damping": -0.1}, {"reset_every": 0}, {"student_steps": 0}, {"subset": 0}, {"top": 0}):
        with pytest.raises(UserError):
            DistillConfig(**wrong)  # type: ignore[arg-type]


def test_divergence_has_the_gradient_of_its_finite_differences() -> None:
    model = build_recommender(16, SHAPE, Generator().manual_seed(0))
    table, first, basis = model.item_table(features()).detach(), start(), label_basis(features(), 8)
    whole = whole_catalogue(N_ITEMS, CPU)

    def value(weights: Tensor, queries: Tensor) -> Tensor:
        log_p = (queries @ basis.T).log_softmax(-1)
        return label_divergence(model, table, (first.items, weights.softmax(-1)), log_p, whole)

    free = (first.weights.clone().requires_grad_(), first.queries.clone().requires_grad_())
    assert torch.autograd.gradcheck(value, free, eps=1e-6, atol=1e-7)


def test_corrected_softmax_on_a_subset_is_the_written_out_one() -> None:
    z = torch.randn(40, generator=Generator().manual_seed(0))
    u = draw_subset(40, torch.tensor([3, 9]), 10, Generator().manual_seed(1))
    mass = {i: math.exp(float(z[i])) / (1.0 if i in (3, 9) else 8 / 38) for i in u.items.tolist()}
    expected = [mass[i] / sum(mass.values()) for i in u.items.tolist()]
    assert (z[u.items] - u.log_inclusion).softmax(-1).tolist() == pytest.approx(expected)


def test_label_gradient_on_subsets_is_nearly_unbiased_over_many_draws() -> None:
    """Labels spread over 60 items, U of 30: the mean of the corrected gradients points where the exact one does."""
    draw = Generator().manual_seed(0)
    f = random_features(60).double()
    model, basis = build_recommender(16, SHAPE, draw), label_basis(f, 8)
    items = torch.randint(60, (2, 4, 1), generator=draw)
    queries = (0.5 * torch.randn(2, 4, 8, generator=draw)).requires_grad_()
    table = model.item_table(f).detach()

    def gradient(u: ItemSubset) -> Tensor:
        log_p = (queries @ basis[u.items].T - u.log_inclusion).log_softmax(-1)
        outside = torch.cat([u.items, items.flatten()])  # inputs are read, not scored
        rows = torch.arange(len(u.items), len(outside)).view(items.shape)
        loss = label_divergence(model, table[outside], (rows, torch.ones(items.shape)), log_p, u)
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
        assert len(u.items) == min(50, max(size, len(needed.unique())))
        assert bool(torch.isin(needed, u.items).all())
        assert float(u.log_inclusion.max()) <= 0


def test_every_item_that_is_not_needed_is_drawn_equally_often() -> None:
    draw, counts = Generator().manual_seed(0), torch.zeros(20)
    for _ in range(3000):
        counts[draw_subset(20, torch.tensor([0, 1]), 8, draw).items] += 1
    assert counts[:2].tolist() == [3000, 3000]
    assert float((counts[2:] / 3000 - 6 / 18).abs().max()) < 0.05
