"""The label basis of a synthetic set: labels softmax(q·Bᵀ) with B made of the public text features, and how both are
fitted to given labels.

N labels, V items, r numbers in a query q, w of a projection, h units of a lift, D_text text width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from foster.muon import Muon
from foster.rounding import rounded
from foster.subset import draw_subset

FIT_STEPS, LARGE_FIT_STEPS = 400, 1200  # in which the label basis is fitted: many items take longer


@dataclass(frozen=True)
class LabelBasis:
    """What makes B [V, r] of the public features X [V, D_text]:

        B = Z A + gelu(Z Fᵀ) G,    Z = √w · norm(X Pᵀ) [V, w]

    projection: P [w, D_text]; straight: A [w, r]; units: F [h, w] and out: G [h, r], the lift. Rows of Z have equal
    length and entries of size about one. The lift is there because models tell items apart by more than linear
    functions of texts.
    """

    projection: Tensor
    straight: Tensor
    units: Tensor
    out: Tensor

    def rows(self, features: Tensor) -> Tensor:
        """B [V, r], differentiable in the matrices."""
        found = F.normalize(features @ self.projection.T, dim=-1) * self.projection.shape[0] ** 0.5
        return found @ self.straight + F.gelu(found @ self.units.T) @ self.out

    @classmethod
    def linear(cls, projection: Tensor, rank: int, hidden: int = 0) -> LabelBasis:
        """The first `rank` numbers of Z alone, with a lift of so many units that adds nothing."""
        width = len(projection)
        straight = torch.eye(width, rank).to(projection)
        return cls(projection, straight, projection.new_zeros(hidden, width), projection.new_zeros(hidden, rank))

    def turned(self, axes: Tensor) -> LabelBasis:
        """Of B `axes` [r, r] in the place of B."""
        return LabelBasis(self.projection, self.straight @ axes, self.units, self.out @ axes)

    def rounded(self, bits: int) -> LabelBasis:
        """As it is stored in so many bits a number."""
        return LabelBasis(*(rounded(matrix.detach(), bits) for matrix in self.matrices))

    @property
    def matrices(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.projection, self.straight, self.units, self.out

    def to(self, device: torch.device) -> LabelBasis:
        return LabelBasis(*(matrix.to(device) for matrix in self.matrices))


def fit_queries(
    log_labels: Tensor,
    basis: Tensor,
    generator: Generator,
    steps: int = 60,
    rate: float = 0.1,
    subset: int = 2048,
    each_step: Callable[[], None] = lambda: None,
) -> Tensor:
    """Queries q [N, r] that minimise KL(p ‖ softmax(q·Bᵀ)) for label distributions log p [N, V].

    Convex for each row. Starts from the least-squares fit to the logits and descends with Adam; in a catalogue of more
    than 2·`subset` items on the likeliest items of the rows and uniform draws (`foster.subset`). N·V is held at once.
    each_step is called after each step and may raise to stop.
    """
    # in double: a basis of very few items may have columns a thousand times as large as what the ridge holds up
    exact = basis.double()
    ridge = 1e-3 * len(basis) * torch.eye(basis.shape[1], dtype=exact.dtype, device=basis.device)
    centred = log_labels - log_labels.mean(-1, keepdim=True)
    fit = torch.linalg.solve(exact.T @ exact + ridge, (basis.T @ centred.T).double())
    q = fit.T.to(basis).contiguous().requires_grad_()
    p, basis, correction = next(_subsets(log_labels, basis, generator, subset))
    optimizer = torch.optim.Adam([q], lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        with torch.no_grad():
            q.grad = _error(q, basis, p, correction) @ basis
        optimizer.step()
        each_step()
    return q.detach()


def fit_basis(
    projection: Tensor,
    log_labels: Tensor,
    features: Tensor,
    rank: int,
    hidden: int,
    generator: Generator,
    steps: int | None = None,
    rate: float = 0.1,
    matrix_rate: float = 0.05,
    subset: int = 2048,
    bits: int = 8,
    each_step: Callable[[], None] = lambda: None,
) -> LabelBasis:
    """The basis of queries of r = `rank` numbers and h `hidden` units that brings labels log p [N, V], with queries of
    their own, nearest to what is stored, in KL; from `projection` [w, D_text], w ≥ r, and a lift that adds nothing.

    Descends on queries by Adam and on matrices by Muon together, in a large catalogue on a subset as `fit_queries`
    does, but drawn anew in every step: what the lift makes of items that it never saw is anything. In the end it is
    turned to the `axes` of the labels and rounded to `bits` a number. steps: None for FIT_STEPS, or LARGE_FIT_STEPS in
    such a catalogue; each_step is called after each and may raise to stop.
    """
    if steps is None:
        steps = FIT_STEPS if len(features) <= 2 * subset else LARGE_FIT_STEPS
    width = len(projection)
    begin = LabelBasis.linear(projection, rank, hidden)
    q = fit_queries(log_labels, begin.rows(features), generator, 50, rate, subset, each_step).requires_grad_()
    fresh = torch.randn(hidden, width, generator=generator).to(projection) / width**0.5
    matrices = [nn.Parameter(matrix.clone()) for matrix in (projection, fresh, begin.out)]
    learned = LabelBasis(matrices[0], begin.straight, *matrices[1:])
    wide = matrix_rate * float(projection.std()) * projection.shape[1] ** 0.5  # P is not of size one as the others are
    optimizers = (
        (torch.optim.Adam([q], lr=rate, betas=(0.9, 0.99)), rate),
        (Muon(matrices[1:], lr=matrix_rate), matrix_rate),
        (Muon(matrices[:1], lr=wide), wide),
    )
    draw = _subsets(log_labels, features, generator, subset)
    for step in range(steps):
        p, scored, correction = next(draw)
        for optimizer, peak in optimizers:
            optimizer.param_groups[0]["lr"] = peak * (1 - step / steps)
            optimizer.zero_grad()
        rows = learned.rows(scored)
        with torch.no_grad():
            error = _error(q, rows, p, correction)
            q.grad = error @ rows
        rows.backward(error.T @ q.detach())
        for optimizer, _ in optimizers:
            optimizer.step()
        each_step()
    with torch.no_grad():
        return learned.turned(axes(q, learned.rows(features))).rounded(bits)


def axes(queries: Tensor, basis: Tensor) -> Tensor:
    """T [r, r] that turns a basis B [V, r], to B T, such that one size of rounding suits all numbers of a query.

    A change δ of a query q costs ½ δᵀ H δ nats, to second order, with H = Bᵀ (diag p − p pᵀ) B the Fisher matrix of
    p = softmax(B q). T makes its mean over the labels of `queries` [N, r] the identity, but where labels feel next to
    nothing, and their covariance diagonal, largest first (the Karhunen–Loève transform).
    """
    basis = basis.double()
    total, means = torch.zeros_like(basis[:, 0]), []
    for block in queries.double().split(256):
        p = (block @ basis.T).softmax(-1)
        total += p.sum(0)
        means.append(p @ basis)
    mean = torch.cat(means)
    fisher = (basis.T @ (total.unsqueeze(1) * basis) - mean.T @ mean) / len(queries)
    sizes, directions = torch.linalg.eigh(fisher.cpu())
    roots = sizes.clamp(min=max(1e-4 * float(sizes[-1]), 1e-6)).sqrt()  # what labels do not feel is not blown up
    centred = (queries - queries.mean(0)).double().cpu() @ (directions * roots)
    _, turns = torch.linalg.eigh(centred.T @ centred)  # ascending
    turns = turns.flip(1)
    # an eigenvector's sign is anyone's choice: its largest entry is positive
    turns = turns * turns.gather(0, turns.abs().argmax(0, keepdim=True)).sign()
    return ((directions / roots) @ turns).to(queries)


def _error(queries: Tensor, basis: Tensor, labels: Tensor, correction: Tensor | float) -> Tensor:
    """softmax(q·Bᵀ − correction) − p [N, U], what the summed cross-entropy's gradient at the logits is: in closed form,
    so that no graph and one array of that size is held."""
    logits = (queries @ basis.T).sub_(correction)
    return torch.softmax(logits, -1, out=logits).sub_(labels)


def _subsets(
    log_labels: Tensor, rows: Tensor, generator: Generator, subset: int
) -> Iterator[tuple[Tensor, Tensor, Tensor | float]]:
    """Again and again: labels p [N, U], the items' rows [U, …] and the correction of their logits; U is everything, or
    in a catalogue of more than 2·`subset` items the likeliest of the labels and uniform draws."""
    if len(rows) <= 2 * subset:
        whole = log_labels.softmax(-1)
        while True:
            yield whole, rows, 0.0
    likeliest = log_labels.topk(max(1, subset // (2 * len(log_labels)))).indices.flatten()
    while True:
        scored = draw_subset(len(rows), likeliest, subset, generator)
        known = log_labels.index_select(1, scored.items).sub_(scored.log_inclusion)
        yield torch.softmax(known, -1, out=known), rows[scored.items], scored.log_inclusion
