"""The label basis of a synthetic set: labels softmax(q·Bᵀ) with B made of the public text features, and how both are
fitted to given labels.

N labels, V items, r numbers in a query q, w of a projection, h units of a lift, D_text text width.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from foster.muon import Muon
from foster.rounding import rounded
from foster.subset import draw_subset

FIT_STEPS, LARGE_FIT_STEPS = 400, 1200  # in which the label basis is fitted: many items take longer

Lift = tuple[Tensor, Tensor]
"""F [h, w] and G [h, r] of `label_basis`."""


def label_basis(features: Tensor, projection: Tensor, lift: Lift | None = None) -> Tensor:
    """B [V, r] = Z₁…ᵣ + gelu(Z Fᵀ) G, Z = √w·norm(X Pᵀ) [V, w], from the public features X [V, D_text], a projection P
    [w, D_text] and a lift, F [h, w] and G [h, r]; without one B = Z.

    Rows of Z have equal length and entries of size about one, so the entries of a query are of one size for all items.
    The lift is there because models tell items apart by more than linear functions of texts.
    """
    found = F.normalize(features @ projection.T, dim=-1) * projection.shape[0] ** 0.5
    if lift is None:
        return found
    hidden, out = lift
    return found[:, : out.shape[1]] + F.gelu(found @ hidden.T) @ out


def fit_queries(
    log_labels: Tensor, basis: Tensor, generator: Generator, steps: int = 150, rate: float = 0.1, subset: int = 2048
) -> Tensor:
    """Queries q [N, r] that minimise KL(p ‖ softmax(q·Bᵀ)) for label distributions log p [N, V].

    Convex for each row. Starts from the least-squares fit to the logits and descends with Adam; in a catalogue of more
    than 2·`subset` items on the likeliest items of the rows and uniform draws (`foster.subset`). N·V is held at once.
    """
    ridge = 1e-3 * len(basis) * torch.eye(basis.shape[1], device=basis.device)
    centred = log_labels - log_labels.mean(-1, keepdim=True)
    q = torch.linalg.solve(basis.T @ basis + ridge, basis.T @ centred.T).T.contiguous().requires_grad_()
    p, basis, correction = next(_subsets(log_labels, basis, generator, subset))
    optimizer = torch.optim.Adam([q], lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        # the gradient of the cross-entropy in closed form: no graph, two products of size N·U·r a step
        with torch.no_grad():
            q.grad = ((q @ basis.T - correction).softmax(-1) - p) @ basis
        optimizer.step()
    return q.detach()


def fit_basis(
    projection: Tensor,
    log_labels: Tensor,
    features: Tensor,
    generator: Generator,
    steps: int | None = None,
    rate: float = 0.1,
    matrix_rate: float = 0.05,
    subset: int = 2048,
    bits: int = 4,
    rank: int | None = None,
    hidden: int | None = None,
) -> tuple[Tensor, Lift]:
    """P [w, D_text] and a lift of h `hidden` units (None: 2r) that, with queries of r = `rank` numbers (None: w) of
    their own, bring labels log p [N, V] nearest to what is stored, in KL; from `projection` and a lift that adds
    nothing, both rounded to `bits` a number.

    Descends on queries by Adam and on matrices by Muon together, in a large catalogue on a subset as `fit_queries`
    does, but drawn anew in every step: what the lift makes of items that it never saw is anything. steps: None for
    FIT_STEPS, or LARGE_FIT_STEPS in such a catalogue.
    """
    if steps is None:
        steps = FIT_STEPS if len(features) <= 2 * subset else LARGE_FIT_STEPS
    width = len(projection)
    rank = width if rank is None else rank
    first = label_basis(features, projection)[:, :rank]
    q = fit_queries(log_labels, first, generator, 50, rate, subset).requires_grad_()
    learned = nn.Parameter(projection.clone())
    fresh = torch.randn(2 * rank if hidden is None else hidden, width, generator=generator).to(projection) / width**0.5
    lift = (nn.Parameter(fresh), nn.Parameter(fresh.new_zeros(len(fresh), rank)))
    wide = matrix_rate * float(projection.std()) * projection.shape[1] ** 0.5  # P is not of size one as the others are
    optimizers = (
        (torch.optim.Adam([q], lr=rate, betas=(0.9, 0.99)), rate),
        (Muon(lift, lr=matrix_rate), matrix_rate),
        (Muon([learned], lr=wide), wide),
    )
    draw = _subsets(log_labels, features, generator, subset)
    for step in range(steps):
        p, scored, correction = next(draw)
        for optimizer, peak in optimizers:
            optimizer.param_groups[0]["lr"] = peak * (1 - step / steps)
            optimizer.zero_grad()
        logits = q @ label_basis(scored, learned, lift).T - correction
        F.cross_entropy(logits, p).mul(len(q)).backward()
        for optimizer, _ in optimizers:
            optimizer.step()
    return rounded(learned.detach(), bits), (rounded(lift[0].detach(), bits), rounded(lift[1].detach(), bits))


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
        p = (log_labels.index_select(1, scored.items) - scored.log_inclusion).softmax(-1)
        yield p, rows[scored.items], scored.log_inclusion
