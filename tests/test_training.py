"""The training loop at its limits: no target, no transition, a schedule, a resumed trainer."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from torch import Generator

from foster.errors import UserError
from foster.interactions import Interactions
from foster.recommender import RecommenderConfig, build_recommender
from foster.students import every_step, train_student
from foster.synthetic import hard_batch
from foster.training import NO_TARGET, Batch, RealWindows, Recipe, Trainer, mix, next_item_loss, states_at, train

CPU = torch.device("cpu")
SHAPE = RecommenderConfig(width=16, max_length=6, dropout=0.3)
FEATURES = random_features()


def trainer(recipe: Recipe, seed: int = 0) -> Trainer:
    model = build_recommender(16, SHAPE, Generator().manual_seed(seed))
    return Trainer(model, FEATURES, recipe, Generator().manual_seed(1))


def batch(target: int = 3) -> Batch:
    return Batch(torch.tensor([[[1], [2]]]), torch.ones(1, 2, 1), torch.tensor([[2, target]]))


def test_loss_is_the_mean_over_scored_positions_only() -> None:
    model = trainer(Recipe()).model
    table = model.item_table(FEATURES)
    z = model.logits(model(table[torch.tensor([[1, 2]])]), table)[0, 0]
    expected = float((z.logsumexp(0) - z[2]).detach())
    with torch.no_grad():
        assert float(next_item_loss(model, FEATURES, batch(NO_TARGET))) == pytest.approx(expected, rel=1e-5)


def test_soft_targets_of_zero_mass_are_left_out() -> None:
    model = trainer(Recipe()).model
    soft = torch.zeros(1, 2, N_ITEMS)
    soft[0, 0, 2] = 1
    with torch.no_grad():
        found = float(next_item_loss(model, FEATURES, Batch(batch().items, batch().weights, soft)))
        assert found == pytest.approx(float(next_item_loss(model, FEATURES, batch(NO_TARGET))), rel=1e-5)


def test_a_batch_without_any_target_leaves_the_weights_finite() -> None:
    one = trainer(Recipe(warmup=0))
    one.step(Batch(torch.tensor([[[1], [2]]]), torch.ones(1, 2, 1), torch.full((1, 2), NO_TARGET)))
    assert all(bool(p.isfinite().all()) for p in one.model.parameters())


@pytest.mark.parametrize(("parts", "subset"), [(2, None), (3, 3), (5, 3)])
def test_a_step_in_parts_is_the_whole_one_and_the_same_on_any_number_of_cores(
    monkeypatch: pytest.MonkeyPatch, parts: int, subset: int | None
) -> None:
    """Of windows of unlike lengths, so that parts have unlike numbers of targets."""
    items = torch.randint(N_ITEMS, (5, 7), generator=Generator().manual_seed(0))
    items[torch.arange(7) >= torch.tensor([[7], [2], [3], [7], [4]])] = NO_TARGET
    one = hard_batch(items).on_subset(N_ITEMS, subset, Generator().manual_seed(1))
    assert (one.scored is None) == (subset is None)
    recipe = Recipe(matrix_rate=0.01, warmup=0)

    def learner(dropout: float) -> Trainer:
        shape = replace(SHAPE, adapter=True, dropout=dropout)
        return Trainer(build_recommender(16, shape, Generator().manual_seed(0)), FEATURES, recipe, Generator())

    whole, divided = learner(0.0), learner(0.0)
    assert divided.step(one, parts) == pytest.approx(whole.step(one), rel=1e-5)
    gradients = [[each.grad for each in of.model.parameters()] for of in (whole, divided)]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-6)
    on = {}
    for cores in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        found = learner(0.3)
        losses = [found.step(one, parts) for _ in range(3)]
        on[cores] = losses, [each.detach().tolist() for each in found.model.parameters()]
    assert on["1"] == on["2"]


def test_training_takes_exactly_the_recipes_steps() -> None:
    assert len(list(train(trainer(Recipe(steps=7)), repeat(batch())))) == 7
    assert list(train(trainer(Recipe(steps=0)), repeat(batch()))) == []


def test_training_lowers_the_loss_on_what_it_sees() -> None:
    losses = list(train(trainer(Recipe(steps=60, learning_rate=1e-2)), repeat(batch())))
    assert losses[-1] < 0.2 * losses[0]


def test_rate_rises_over_the_warm_up_and_falls_to_nearly_nothing() -> None:
    recipe = Recipe(steps=100, learning_rate=1.0, warmup=10)
    rates = [recipe.pace(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9]
    assert rates[99] < 0.001
    assert recipe.pace(150) == recipe.pace(100) == 0
    assert Recipe(learning_rate=1.0, warmup=0, decay="constant").pace(10**9) == 1.0


@pytest.mark.parametrize("matrix_rate", [None, 0.05])
def test_a_restored_trainer_goes_on_bit_equal(matrix_rate: float | None) -> None:
    through, stopped, resumed = (trainer(Recipe(steps=9, matrix_rate=matrix_rate), seed) for seed in (0, 0, 7))
    expected = list(train(through, repeat(batch())))
    for _ in range(4):
        stopped.step(batch())
    resumed.restore(stopped.state())
    assert list(train(resumed, repeat(batch()))) == expected[4:]
    for a, b in zip(through.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_muon_moves_all_directions_of_a_matrix_alike_and_leaves_vectors_to_adam() -> None:
    before, after = (trainer(Recipe(matrix_rate=0.05, warmup=0)) for _ in range(2))
    after.step(batch())
    moved = {
        name: new - old
        for (name, old), new in zip(before.model.named_parameters(), after.model.parameters(), strict=True)
    }
    spectrum = torch.linalg.svdvals(moved["blocks.0.out.weight"].detach())
    # every direction that has a gradient at all: two positions give the update a rank of two
    assert spectrum[1] > 0.5 * spectrum[0] > 0.01
    assert float(moved["blocks.0.out.bias"].detach().abs().max()) == pytest.approx(Recipe().learning_rate, rel=0.01)


def test_a_draw_holds_users_once() -> None:
    sizes = [5, 2, 9, 3, 2, 7]
    log = Interactions(np.arange(sum(sizes)), np.cumsum([0, *sizes]), tuple("abcdef"))
    windows = RealWindows(log, 8, CPU)
    drawn = windows.draw(10, Generator().manual_seed(0))
    assert sorted(drawn.weights[..., 0].sum(1).tolist()) == [2, 2, 3, 5, 7, 8]
    assert sorted(set(drawn.items[:, 0, 0].tolist()) & {0, 5, 7}) == [0, 5, 7]
    some = [windows.draw(2, Generator().manual_seed(seed)) for seed in range(20)]
    assert len({each.target_ids.tolist()[-1] for each in some}) > 2


@pytest.mark.parametrize("backbone", ["sasrec", "gru4rec"])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("lengths", [[0, 0], [7, 7], [1], [3, 1, 7, 0, 2, 2, 5, 6, 1], [7, 0], [0, 1, 1]])
def test_states_are_those_of_the_sequences_read_whole(lengths: list[int], gaps: bool, backbone: str) -> None:
    """gaps: positions between others that nobody asks for."""
    draw = Generator().manual_seed(0)
    wanted = torch.arange(7) < torch.tensor(lengths).unsqueeze(1)
    if gaps:
        wanted &= torch.rand(wanted.shape, generator=draw) < 0.5
    table = torch.randn(9, 16, generator=draw)
    items = torch.randint(9, (len(lengths), 7, 2), generator=draw)
    weights = torch.rand(items.shape, generator=draw).requires_grad_()
    shape = RecommenderConfig(backbone=backbone, width=16, max_length=7)  # type: ignore[arg-type]
    model = build_recommender(8, shape, draw)
    whole = model(mix(table, items, weights))[wanted]
    found = states_at(model, table, items, weights, wanted)
    torch.testing.assert_close(found, whole)
    if not any(lengths):
        return
    leaves = [weights, *model.parameters()]
    slopes = [torch.autograd.grad(each.sum(), leaves, allow_unused=True) for each in (found, whole)]
    torch.testing.assert_close(*slopes, atol=1e-5, rtol=1e-4)


def test_a_step_on_short_histories_reads_no_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_recommender(8, RecommenderConfig(width=16, max_length=30), Generator().manual_seed(0))
    read: list[int] = []
    inside = model.encode_ragged
    monkeypatch.setattr(model, "encode_ragged", lambda x, *rest: read.append(len(x)) or inside(x, *rest))
    wanted = torch.arange(30) < torch.tensor([1, 30, 2, 0]).unsqueeze(1)
    states_at(model, torch.randn(5, 16), torch.zeros(4, 30, 1, dtype=torch.int64), torch.ones(4, 30, 1), wanted)
    assert read == [33]


def test_users_with_one_event_are_left_out_and_pairs_are_kept() -> None:
    windows = RealWindows(Interactions(np.array([5, 1, 2]), np.array([0, 1, 3]), ("a", "b")), 4, CPU)
    assert len(windows) == 1
    drawn = windows.draw(10, Generator().manual_seed(0))
    assert (drawn.items[0, 0, 0], drawn.targets[0].tolist()) == (1, [2, NO_TARGET, NO_TARGET, NO_TARGET])


def test_a_log_without_any_transition_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="no user has 4 events") as refused:
        RealWindows(cycle_log(length=3).leave_one_out().train, 4, CPU)
    assert "\n" not in str(refused.value)


def test_every_full_window_of_a_long_history_is_drawn_equally_often() -> None:
    windows = RealWindows(Interactions(np.arange(7), np.array([0, 7]), ("a",)), 3, CPU)
    draw = Generator().manual_seed(0)
    firsts = [int(windows.batch(torch.tensor([0]), draw).items[0, 0, 0]) for _ in range(800)]
    shares = np.bincount(firsts) / 800
    assert len(shares) == 4
    assert all(math.isclose(share, 0.25, abs_tol=0.06) for share in shares)


def test_with_gaps_about_that_share_of_events_is_blank_but_never_the_first_and_targets_stay() -> None:
    items = torch.arange(24).repeat(200, 1)
    plain = hard_batch(items)
    found = plain.with_gaps(0.3, Generator().manual_seed(0))
    assert torch.equal(found.items, plain.items)
    assert torch.equal(found.targets, plain.targets)
    assert bool((found.weights[:, 0] == 1).all())
    assert float((found.weights[:, 1:] == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(found.weights, plain.with_gaps(0.3, Generator().manual_seed(0)).weights)
    assert plain.with_gaps(None, Generator()) is plain


def test_a_student_of_sequences_with_gaps_still_learns_them() -> None:
    """Planted: the cycle, seen with three events of ten left out."""
    recipe = Recipe(steps=150, learning_rate=1e-2, matrix_rate=3e-2, event_dropout=0.3)
    sequences = (torch.arange(6) + 4 * torch.arange(6).unsqueeze(1)) % N_ITEMS
    student, same, without = (
        train_student(every_step(hard_batch(sequences)), FEATURES, SHAPE, each, seed=1)
        for each in (recipe, recipe, replace(recipe, event_dropout=None))
    )
    assert float(next_item_loss(student, FEATURES, hard_batch(sequences)).detach()) < 0.5 * math.log(N_ITEMS)
    parts = [tuple(each.parameters()) for each in (student, same, without)]
    assert all(map(torch.equal, parts[0], parts[1])), "one seed, one result"
    assert not all(map(torch.equal, parts[0], parts[2]))
