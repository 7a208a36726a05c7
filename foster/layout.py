"""UMAP: rows [V, D] → places in the plane [V, 2] that keep near rows near.

After McInnes, Healy and Melville (arXiv 1802.03426, min_dist 0.1, spread 1), in array operations over whole epochs
instead of one edge after the other, with exact neighbours: nothing is compiled at import, it says how far it is, and
the same rows give the same places. Exact neighbours cost V², so of many rows some are laid out and `beside` puts the
others next to them. V rows, k neighbours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import eigsh

Rows = NDArray[np.float32]
Progress = Callable[[float], None]
"""Called with the share that is done, 0 to 1, some twenty times or more; what it raises ends the layout."""

NEIGHBOURS, NEGATIVES, RATE = 15, 5, 0.5
A, B = 1.577, 0.895  # nearness in the plane, 1 / (1 + A d^2B), is about 1 up to min_dist and e^-(d - 0.1) beyond
EXTENT = 10.0  # the places a layout starts from lie in ± EXTENT
PULL = 4.0  # no single force moves a point further, times the rate
BLOCK = 1 << 24  # similarities held at once
REPORT_EVERY = 10  # epochs


def none(share: float) -> None:
    """No report of progress."""


def layout(rows: Rows, start: Rows | None = None, seed: int = 0, progress: Progress = none) -> Rows:
    """UMAP by cosine of rows [V, D], centred and scaled to ± 1. Fewer than 10 rows: a circle.

    start: places [V, 2] in ± 1 to begin from, else the first two principal components.
    """
    n = len(rows)
    if n < 10:
        angles = 2 * np.pi * np.arange(n) / max(1, n)
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    rows = _unit(rows)
    found, distances = _nearest(rows, None, min(NEIGHBOURS, n - 1), lambda share: progress(0.4 * share))
    random = np.random.default_rng(seed)
    first = principal(rows) if start is None else start
    places = EXTENT * first + random.normal(0, 1e-2, (n, 2))  # equal rows must not start as one point
    edges = fuzzy_graph(found, memberships(distances))
    epochs = 200 if n <= 5_000 else 100
    return centred(_settle(edges, places, epochs, random, lambda share: progress(0.4 + 0.6 * share)))


def beside(rows: Rows, known: Rows, places: Rows, progress: Progress = none) -> Rows:
    """Places [n, 2] for rows [n, D]: the mean of their nearest `known` rows' [m, D] places [m, 2], nearer ones weigh
    more."""
    found, distances = _nearest(_unit(rows), _unit(known), min(5, len(known)), progress)
    weights = memberships(distances)
    weights /= weights.sum(1, keepdims=True)
    return np.asarray((weights[..., None] * places[found]).sum(1), dtype=np.float32)


def aligned(places: Rows, onto: Rows) -> Rows:
    """`places` turned and mirrored, not bent, so that each point lies as near as can be to its own in `onto`."""
    moved, fixed = places - places.mean(0), onto - onto.mean(0)
    u, _, vt = np.linalg.svd(moved.T.astype(np.float64) @ fixed)  # Procrustes
    return centred(moved @ (u @ vt))


def centred(places: NDArray[np.floating]) -> Rows:
    """Mean 0, the farthest coordinate ± 1."""
    moved = places - places.mean(0)
    return np.asarray(moved / max(1e-6, float(np.abs(moved).max())), dtype=np.float32)


def principal(rows: Rows) -> Rows:
    """The first two principal components [V, 2] of rows [V, D ≥ 3], in ± 1, each with its largest weight positive."""
    moved = rows - rows.mean(0)
    if not moved.any():
        return np.zeros((len(rows), 2), dtype=np.float32)
    _, axes = eigsh((moved.T @ moved).astype(np.float64), k=2, v0=np.linspace(1, 2, rows.shape[1]))
    axes = axes[:, ::-1] * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])[::-1]
    return centred(moved @ axes)


def memberships(distances: Rows) -> NDArray[np.float64]:
    """exp(-(d - ρ) / σ) [V, k] from distances [V, k]: ρ is the row's least, σ such that the row sums to log2(k + 1)."""
    gaps = (distances - distances.min(1, keepdims=True)).astype(np.float64)
    target = np.log2(distances.shape[1] + 1)
    low, high = np.zeros((len(gaps), 1)), np.full((len(gaps), 1), np.inf)
    sigma = np.ones_like(low)
    for _ in range(48):
        much = np.exp(-gaps / sigma).sum(1, keepdims=True) > target
        high, low = np.where(much, sigma, high), np.where(much, low, sigma)
        sigma = np.where(np.isinf(high), 2 * sigma, (low + high) / 2)
    return np.exp(-gaps / np.maximum(sigma, max(1e-3 * float(distances.mean()), 1e-12)))


def fuzzy_graph(found: NDArray[np.int64], weights: NDArray[np.float64]) -> sparse.coo_array:
    """w + wᵀ − w ∘ wᵀ [V, V]: two rows are near if the one is a neighbour of the other, or the other of the one."""
    n, k = found.shape
    one = sparse.csr_array((weights.ravel(), found.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    other = one.T.tocsr()
    return (one + other - one * other).tocoo()


def _settle(
    edges: sparse.coo_array,
    places: NDArray[np.float64],
    epochs: int,
    random: np.random.Generator,
    progress: Progress,
) -> NDArray[np.float64]:
    """Edges pull their ends together as often as they weigh, and each end pushes NEGATIVES points drawn at random."""
    n, often = len(places), edges.data / edges.data.max()
    head, tail = edges.coords
    phase = random.random(len(often))
    for epoch in range(epochs):
        rate = RATE * (1 - epoch / epochs)
        due = np.flatnonzero(np.floor(often * (epoch + 1) + phase) > np.floor(often * epoch + phase))
        one, other = head[due], tail[due]
        apart = places[one] - places[other]
        together = _force(pull(_square(apart)), apart)
        pushing = np.repeat(one, NEGATIVES)
        apart = places[pushing] - places[random.integers(0, n, len(pushing))]
        asunder = _force(push(_square(apart)), apart)
        moved, forces = np.concatenate([one, other, pushing]), np.concatenate([together, -together, asunder])
        for axis in (0, 1):
            places[:, axis] += rate * np.bincount(moved, forces[:, axis], minlength=n)
        if epoch % REPORT_EVERY == 0:
            progress(epoch / epochs)
    return places


def pull(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """What an edge's difference of places is multiplied by: the slope of ln φ, φ = 1 / (1 + A d^2B), square = d²."""
    square = np.maximum(square, 1e-9)
    return -2 * A * B * square ** (B - 1) / (1 + A * square**B)


def push(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same for a drawn point: the slope of ln (1 − φ), damped near 0, where it has no bound."""
    return 2 * B / ((1e-3 + square) * (1 + A * square**B))


def _square(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(apart[:, 0] ** 2 + apart[:, 1] ** 2)  # several times as fast as a sum over the short axis


def _force(size: NDArray[np.float64], apart: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(size[:, None] * apart, -PULL, PULL)


def _unit(rows: Rows) -> Rows:
    """Unit length. Rows of nothing share a direction of their own, so that they stand together and away from others."""
    rows = np.concatenate([rows, np.full((len(rows), 1), 1e-6)], axis=1, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _nearest(rows: Rows, known: Rows | None, k: int, progress: Progress) -> tuple[NDArray[np.int64], Rows]:
    """Indices and distances [n, k] of the k nearest `known` rows, or of the k nearest others; all rows unit length."""
    ours, theirs = torch.from_numpy(rows), torch.from_numpy(rows if known is None else known)
    step = max(1, BLOCK // len(theirs))
    found, cosines = [], []
    for start in range(0, len(ours), step):
        progress(start / len(ours))
        similar = ours[start : start + step] @ theirs.T
        if known is None:
            similar[range(len(similar)), range(start, start + len(similar))] = -torch.inf
        top = similar.topk(k)
        found.append(top.indices)
        cosines.append(top.values)
    distances = (2 - 2 * torch.cat(cosines)).clamp(min=0).sqrt()
    return torch.cat(found).numpy(), distances.numpy()
