"""The loop against its equations, and a stopped loop against one that ran through."""

from __future__ import annotations

import copy
from pathlib import Path

import literal
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from torch import Generator

from foster.condensers import teacher_continuations, teacher_log_labels, uniform_items, with_teacher_labels
from foster.cooccurrence import regulariser, semantic_similarity
from foster.decode import harden, neighbour_table
from foster.distiller import DistillConfig, Distiller
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.synthetic import SyntheticSequences, label_basis
from foster.training import RealWindows, next_item_loss
from foster.trajectory import ExpertConfig, ExpertTrajectory, train_expert

CPU = torch.device("cpu")
SHAPE = RecommenderConfig(width=16, max_length=8, dropout=0.1)
TRAINING = ExpertConfig(learning_rate=1e-2, batch_size=20, patience=2, check_every=60)
FEATURES = random_features()


def windows() -> RealWindows:
    return RealWindows(cycle_log().leave_one_out().train, SHAPE.max_length, CPU)


def negative_loss(model: SequentialRecommender) -> float:
    with torch.no_grad():
        return 10 - float(next_item_loss(model, FEATURES, windows().batch(torch.arange(20), Generator())))


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> ExpertTrajectory:
    folder = tmp_path_factory.mktemp("expert")
    short = ExpertConfig(learning_rate=1e-2, batch_size=20, patience=1, check_every=100)
    scores = iter([0.1, 0.2, 0.3, 0.0])
    list(train_expert(folder, SHAPE, short, FEATURES, windows(), lambda _: next(scores), seed=0))
    found = ExpertTrajectory.open(folder, SHAPE, FEATURES.shape[1])
    assert found is not None
    return found


def start(expert: ExpertTrajectory, mixture: int = 1) -> tuple[SyntheticSequences, torch.Tensor]:
    basis = label_basis(FEATURES, 8)
    items = uniform_items(N_ITEMS, 4, 6, Generator().manual_seed(1))
    made = with_teacher_labels(items, [expert.load(expert.best, CPU)], FEATURES, basis)
    rows = torch.cat([made.items, (made.items + 1) % N_ITEMS, (made.items + 2) % N_ITEMS], -1)[..., :mixture]
    weights = torch.randn(rows.shape, generator=Generator().manual_seed(2))
    return SyntheticSequences(rows, weights, made.queries), basis


def distiller(expert: ExpertTrajectory, config: DistillConfig, mixture: int = 1) -> Distiller:
    synthetic, basis = start(expert, mixture)
    student = RecommenderConfig(width=16, max_length=6)
    return Distiller(synthetic, basis, FEATURES, windows(), [expert], student, config, seed=5)


def literal_step(d: Distiller) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of the docstring's equations on the whole catalogue, without the loop's code; returns S after it."""
    c = d.config
    theta, omega = copy.deepcopy(d.theta), copy.deepcopy(d.omega)
    weights, queries = d.weights.detach().clone(), d.queries.detach().clone()
    weights.requires_grad_(d.weights.requires_grad)
    queries.requires_grad_()

    def log_p() -> torch.Tensor:
        return torch.log_softmax(queries @ d.basis.T, -1)

    def loss(model: SequentialRecommender, frozen: bool) -> torch.Tensor:
        table = model.item_table(FEATURES)
        share = torch.softmax(weights, -1)
        x = sum(share[..., k : k + 1] * table[d.fixed.items[..., k]] for k in range(weights.shape[-1]))
        p = log_p()
        if frozen:
            assert isinstance(x, torch.Tensor)
            p = p.detach()
        return literal.divergence(p, model.logits(model(x), table))

    fast = torch.optim.AdamW(omega.parameters(), lr=c.student_rate, weight_decay=0.0, betas=(0.9, 0.98))
    for _ in range(c.student_steps):
        fast.zero_grad()
        loss(omega, frozen=True).backward()
        torch.nn.utils.clip_grad_norm_(omega.parameters(), 5.0)
        fast.step()
    draw = Generator()
    draw.set_state(d.draw.get_state())
    real = next_item_loss(theta, FEATURES, windows().draw(c.real_batch, draw))
    gradients = torch.autograd.grad(real + c.penalty * loss(theta, frozen=True), list(theta.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(theta.parameters(), gradients, strict=True):
            parameter -= c.model_rate * gradient
    value = c.penalty * (loss(theta, False) - c.damping * loss(omega, False))
    value = value + c.regularisation * regulariser(log_p().exp(), semantic_similarity(FEATURES))
    learned = [p for p in (weights, queries) if p.requires_grad]
    slow = torch.optim.Adam(learned, lr=c.synthetic_rate, betas=(0.9, 0.99))
    for parameter, gradient in zip(learned, torch.autograd.grad(value, learned), strict=True):
        parameter.grad = gradient
    slow.step()
    return weights.detach(), queries.detach()


@pytest.mark.parametrize("mixture", [1, 3])
def test_a_step_equals_the_equations(expert: ExpertTrajectory, mixture: int) -> None:
    fast = distiller(expert, DistillConfig(steps=10, student_steps=3, real_batch=8, damping=0.7), mixture)
    weights, queries = literal_step(fast)
    next(fast.run())
    # Adam's first step is the sign of the gradient times the rate, so a wrong gradient shows at once.
    assert torch.allclose(fast.queries, queries, atol=1e-5)
    assert torch.allclose(fast.weights, weights, atol=1e-5)


def test_the_same_seed_gives_the_same_set_and_another_seed_another(expert: ExpertTrajectory) -> None:
    config = DistillConfig(steps=6, reset_every=3)
    runs = [distiller(expert, config) for _ in range(2)]
    for run in runs:
        list(run.run())
    assert torch.equal(runs[0].queries, runs[1].queries)
    synthetic, basis = start(expert)
    student = RecommenderConfig(width=16, max_length=6)
    other = Distiller(synthetic, basis, FEATURES, windows(), [expert], student, config, seed=6)
    list(other.run())
    assert not torch.equal(runs[0].queries, other.queries)


def test_a_loop_stopped_at_a_reset_goes_on_bit_equal(expert: ExpertTrajectory) -> None:
    config = DistillConfig(steps=9, reset_every=3)
    through = distiller(expert, config)
    list(through.run())
    stopped = distiller(expert, config)
    for _ in stopped.run():
        if stopped.step == 6:
            break
    resumed = distiller(expert, config)
    resumed.restore(stopped.state())
    assert [event.step for event in resumed.run()] == [7, 8, 9]
    assert torch.equal(resumed.queries, through.queries)


def test_a_subset_is_used_on_large_catalogues_and_lowers_the_gap_too(expert: ExpertTrajectory) -> None:
    small = distiller(expert, DistillConfig(steps=3, subset=10, top=2, real_batch=1))
    seen = [event.synthetic_theta for event in small.run()]
    assert len(seen) == 3
    assert all(0 <= value < 50 for value in seen)


def test_damping_out_of_range_is_refused() -> None:
    with pytest.raises(Exception, match="damping is 2"):
        DistillConfig(damping=2)


def test_an_expert_killed_after_a_check_ends_bit_equal(tmp_path: Path) -> None:
    def run(folder: Path) -> list[float]:
        checks = train_expert(folder, SHAPE, TRAINING, FEATURES, windows(), negative_loss, seed=3)
        return [check.score for check in checks]

    whole = run(tmp_path / "whole")
    partial = train_expert(tmp_path / "cut", SHAPE, TRAINING, FEATURES, windows(), negative_loss, seed=3)
    head = [next(partial).score for _ in range(2)]
    partial.close()
    assert head + run(tmp_path / "cut") == whole
    one, two = (ExpertTrajectory.open(tmp_path / name, SHAPE, 16) for name in ("whole", "cut"))
    assert one is not None
    assert two is not None
    assert (one.steps, one.best) == (two.steps, two.best)
    for a, b in zip(one.load(one.best, CPU).parameters(), two.load(two.best, CPU).parameters(), strict=True):
        assert torch.equal(a, b)


def test_step_zero_is_an_anchor_and_the_best_is_among_the_late_ones(expert: ExpertTrajectory) -> None:
    assert expert.steps[0] == 0
    assert expert.best in expert.late()


def test_continuations_repeat_nothing_until_everything_was_taken(expert: ExpertTrajectory) -> None:
    teacher = [expert.load(expert.best, CPU)]
    made = teacher_continuations(teacher, FEATURES, torch.tensor([3, 9]), 8, Generator().manual_seed(0))
    assert made[:, 0].tolist() == [3, 9]
    assert all(len(set(row)) == 8 for row in made.tolist())
    assert torch.allclose(teacher_log_labels(teacher, FEATURES, made).exp().sum(-1), torch.ones(2, 8), atol=1e-4)


def test_uniform_items_cover_the_catalogue_before_any_repeats() -> None:
    drawn = uniform_items(10, 3, 5, Generator().manual_seed(0)).flatten()
    assert sorted(drawn[:10].tolist()) == list(range(10))


def test_hard_sequences_hold_no_item_twice_and_know_their_nearest_user(expert: ExpertTrajectory) -> None:
    synthetic, basis = start(expert)
    hard = harden(synthetic, basis)
    assert hard.shape == (4, 6)
    assert all(len(set(row)) == 6 for row in hard.tolist())
    log = cycle_log()
    copied = torch.from_numpy(log.sequence(2).astype("int64")).unsqueeze(0)
    table = neighbour_table(copied, log, FEATURES)
    assert table.overlap[0] == 1
    assert table.repetition[0] == 0
