"""The basis of stored labels: what it tells apart, and that it is fitted to given ones."""

from __future__ import annotations

import pytest
import torch
from cycle_world import N_ITEMS, random_features
from planted_sets import planted_set
from torch import Generator, Tensor

from foster.condensers import label_projection
from foster.label_basis import LabelBasis, axes, fit_basis, fit_queries
from foster.recommender import RecommenderConfig, build_recommender
from foster.rounding import rounded

FEATURES = random_features()


def test_basis_tells_items_apart_as_the_teacher_does() -> None:
    """At the teacher's own width the projection loses nothing: cosines of basis rows are those of its item table."""
    teacher = build_recommender(16, RecommenderConfig(width=8), Generator().manual_seed(0))
    basis = LabelBasis.linear(label_projection(teacher, FEATURES, 8), 8).rows(FEATURES)
    table = teacher.item_table(FEATURES).detach()
    assert basis.shape == (N_ITEMS, 8)
    assert torch.allclose(basis @ basis.T / 8, table @ table.T, atol=1e-4)
    assert torch.allclose(basis.norm(dim=-1), torch.full((N_ITEMS,), 8**0.5))


def test_planted_queries_are_recovered_as_distributions() -> None:
    basis = linear(random_features(60, 16), planted_set().maps.projection)
    planted = torch.randn(10, 8, generator=Generator().manual_seed(1))
    target = (planted @ basis.T).log_softmax(-1)
    fitted = (fit_queries(target, basis, Generator()) @ basis.T).log_softmax(-1)
    assert float((target.exp() * (target - fitted)).sum(-1).max()) < 1e-3


def test_queries_fitted_on_a_subset_lie_between_least_squares_and_those_fitted_on_everything() -> None:
    """The labels are not of the factorised form, so that the least-squares start is not the answer."""
    draw = Generator().manual_seed(1)
    basis = linear(random_features(1000, 16), torch.randn(8, 16, generator=draw))
    noise = 0.5 * torch.randn(6, 1000, generator=draw)
    target = (torch.randn(6, 8, generator=draw) @ basis.T + noise).log_softmax(-1)

    def error(**kwargs: int) -> float:
        fitted = (fit_queries(target, basis, Generator().manual_seed(0), **kwargs) @ basis.T).log_softmax(-1)
        return float((target.exp() * (target - fitted)).sum(-1).mean())

    assert error() < error(subset=400) < error(steps=0)


def linear(features: Tensor, projection: Tensor) -> Tensor:
    return LabelBasis.linear(projection, len(projection)).rows(features)


def labels_of(basis: Tensor, count: int, draw: Generator) -> Tensor:
    return (2 * torch.randn(count, basis.shape[1], generator=draw) @ basis.T).log_softmax(-1)


def divergence(log_labels: Tensor, basis: Tensor) -> float:
    """Mean KL of what can be stored of labels on a basis."""
    found = (fit_queries(log_labels, basis, Generator().manual_seed(0)) @ basis.T).log_softmax(-1)
    return float((log_labels.exp() * (log_labels - found)).sum(-1).mean())


@pytest.mark.parametrize("subset", [2048, 60])
def test_a_fitted_projection_finds_the_directions_that_the_labels_need(subset: int) -> None:
    """Planted: labels of rank 4 on directions that no leading direction of the features is among."""
    draw = Generator().manual_seed(1)
    features = random_features(200, 16)
    planted = linear(features, torch.randn(4, 16, generator=draw))
    seen, unseen = labels_of(planted, 80, draw), labels_of(planted, 80, draw)
    begin = torch.eye(16)[:4]
    found = fit_basis(begin, seen, features, 4, 8, Generator().manual_seed(0), steps=600, subset=subset)
    assert divergence(unseen, found.rows(features)) < 0.25 * divergence(unseen, linear(features, begin))
    for matrix in found.matrices:
        torch.testing.assert_close(matrix, rounded(matrix), msg="what is stored")
    assert torch.equal(begin, torch.eye(16)[:4]), "the given one is left as it was"
    again = fit_basis(begin, seen, features, 4, 8, Generator().manual_seed(0), steps=600, subset=subset)
    assert all(torch.equal(*each) for each in zip(found.matrices, again.matrices, strict=True))


@pytest.mark.parametrize(("n_items", "subset"), [(300, 2048), (3000, 200)])
def test_a_lift_says_what_no_projection_can(n_items: int, subset: int) -> None:
    """Planted: labels on products of two features; a lift that adds nothing is where fitting begins."""
    draw = Generator().manual_seed(1)
    features = random_features(n_items, 8)
    squares = 12 * features[:, :4] * features[:, 4:]
    seen, unseen = labels_of(squares, 150, draw), labels_of(squares, 80, draw)
    begin = torch.eye(8)
    made = fit_basis(begin, seen, features, 8, 16, Generator().manual_seed(0), subset=subset)
    before = divergence(unseen, linear(features, begin))
    assert divergence(unseen, made.rows(features)) < 0.1 * before, "also of items that a step seldom sees"
    nothing = fit_basis(begin, seen, features, 8, 16, Generator().manual_seed(0), steps=0)
    assert not bool(nothing.out.any())
    assert divergence(unseen, nothing.rows(features)) == pytest.approx(before, rel=0.02), "turned, no more"


def test_a_wide_basis_says_what_a_narrow_one_cannot() -> None:
    """Planted: labels on three products of two features each, on queries of three numbers."""
    draw = Generator().manual_seed(1)
    features = random_features(300, 8)
    squares = 12 * features[:, :3] * features[:, 4:7]
    seen, unseen = labels_of(squares, 150, draw), labels_of(squares, 80, draw)
    lost = []
    for width, hidden in ((3, 6), (8, 24)):
        begin = torch.eye(8)[:width]
        basis = fit_basis(begin, seen, features, 3, hidden, Generator().manual_seed(0)).rows(features)
        assert basis.shape == (300, 3)
        lost.append(divergence(unseen, basis))
    assert lost[1] < 0.2 * lost[0]


def test_a_single_label_can_be_fitted() -> None:
    features = random_features(30, 16)
    one = torch.randn(1, 30, generator=Generator().manual_seed(2)).log_softmax(-1)
    found = fit_basis(torch.eye(16)[:2], one, features, 2, 4, Generator())
    assert all(bool(matrix.isfinite().all()) for matrix in found.matrices)


def test_axes_make_a_change_of_any_number_of_a_query_cost_the_same() -> None:
    """A literal mean Fisher matrix on the turned basis is the identity, and its queries are uncorrelated."""
    draw = Generator().manual_seed(3)
    basis, queries = (
        torch.randn(40, 5, generator=draw) * torch.tensor([9.0, 3, 1, 0.3, 0.1]),
        torch.randn(30, 5, generator=draw) * torch.tensor([0.1, 0.3, 1, 3, 9]),
    )
    turn = axes(queries, basis)
    turned, own = basis @ turn, torch.linalg.solve(turn, queries.T).T
    torch.testing.assert_close(own @ turned.T, queries @ basis.T, atol=1e-4, rtol=1e-4, msg="the labels stay")
    fisher = torch.zeros(5, 5)
    for q in own:
        p = (turned @ q).softmax(0)
        fisher += turned.T @ (torch.diag(p) - torch.outer(p, p)) @ turned / len(own)
    torch.testing.assert_close(fisher, torch.eye(5), atol=1e-3, rtol=0)
    covariance = torch.cov(own.T)
    spread = covariance.diagonal()
    assert bool((covariance - torch.diag(spread)).abs().max() < 1e-3 * spread.max())
    assert spread.tolist() == sorted(spread.tolist(), reverse=True)


def test_a_solver_that_flips_its_vectors_gives_the_same_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    features, solve = random_features(40), torch.linalg.eigh
    teacher = build_recommender(16, RecommenderConfig(width=8), Generator().manual_seed(0))
    found = label_projection(teacher, features, 6)

    def flipped(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, vectors = solve(matrix)
        return values, -vectors

    monkeypatch.setattr(torch.linalg, "eigh", flipped)
    assert torch.equal(label_projection(teacher, features, 6), found)


def test_planted_queries_come_back_themselves_up_to_half_precision() -> None:
    basis = linear(random_features(80, 16), planted_set().maps.projection)
    planted = 0.7 * torch.randn(6, 8, generator=Generator().manual_seed(1))
    fitted = fit_queries((planted @ basis.T).log_softmax(-1), basis, Generator())
    assert torch.allclose(fitted, planted, atol=0.05)


def test_fitting_is_never_worse_than_uniform_labels_even_for_peaked_ones() -> None:
    basis = linear(random_features(80, 16), planted_set().maps.projection)
    target = torch.full((3, 80), 1e-30).log()
    target[torch.arange(3), torch.tensor([4, 50, 79])] = 0.0
    fitted = (fit_queries(target, basis, Generator()) @ basis.T).log_softmax(-1)
    assert bool(fitted.isfinite().all())
    assert float(-(target.exp() * fitted).sum(-1).max()) < float(torch.tensor(80.0).log())


def test_labels_of_two_items_are_fitted_on_a_basis_that_the_ridge_hardly_holds_up() -> None:
    basis = torch.ones(2, 4) * torch.tensor([[1e3], [-1e3]])
    found = fit_queries(torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log(), basis, Generator())
    torch.testing.assert_close((found @ basis.T).softmax(-1)[1], torch.tensor([0.5, 0.5]))
    assert found.isfinite().all()
