"""UMAP: rows [V, D] → places in the plane [V, 2] that keep near rows near.

The layout is umap-learn's (McInnes, Healy and Melville, arXiv 1802.03426), given exact neighbours; the same rows give
the same places. Exact neighbours cost V², so of many rows some are laid out and `beside` puts the
others next to them. V rows, k neighbours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh

Rows = NDArray[np.float32]
Progress = Callable[[float], None]
"""Called with the share that is done, 0 to 1, often while neighbours are sought, not while UMAP is at work; what it
raises ends the layout."""

NEIGHBOURS = 15  # of a row, itself among them
BLOCK = 1 << 24  # similarities held at once
SOUGHT = 0.6  # share of the time when the neighbours of many rows are found


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
    found, distances = _nearest(rows, None, min(NEIGHBOURS, n) - 1, lambda share: progress(SOUGHT * share))
    progress(SOUGHT)
    first = principal(rows) if start is None else start
    apart = np.random.default_rng(seed).normal(0, 1e-3, (n, 2))  # equal rows must not start as one point
    places = _umap(rows, found, distances, np.asarray(first + apart, dtype=np.float32), seed)
    progress(1.0)
    return centred(places)


def _umap(rows: Rows, found: NDArray[np.int64], distances: Rows, start: Rows, seed: int) -> Rows:
    """umap-learn's places [V, 2], from each row's nearest others [V, k] and places to start from [V, 2]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap warns that new rows cannot be placed by what it is given
        import umap  # takes seconds

        itself = np.arange(len(rows))[:, None]  # umap counts a row as its own first neighbour
        neighbours = np.hstack([itself, found]), np.hstack([np.zeros_like(distances[:, :1]), distances]), None
        reducer = umap.UMAP(
            n_neighbors=neighbours[0].shape[1],
            precomputed_knn=neighbours,
            init=start,
            min_dist=0.1,
            n_epochs=200 if len(rows) <= 5_000 else 100,
            random_state=seed,
            n_jobs=1,
            learning_rate=0.5,  # with 1 the first epochs undo the start
        )
        return np.asarray(reducer.fit_transform(rows), dtype=np.float32)


def beside(rows: Rows, known: Rows, places: Rows, progress: Progress = none) -> Rows:
    """Places [n, 2] for rows [n, D]: the mean of their nearest `known` rows' [m, D] places [m, 2], nearer ones weigh
    more."""
    found, distances = _nearest(_unit(rows), _unit(known), min(5, len(known)), progress)
    weights = 1 / (distances + 1e-3)  # no division by 0 for a row that is known
    weights /= weights.sum(1, keepdims=True)
    return np.asarray((weights[..., None] * places[found]).sum(1), dtype=np.float32)


def neighbours(rows: Rows, k: int) -> NDArray[np.int64]:
    """Indices [V, k] of the k ≤ V − 1 nearest others by cosine of rows [V, D], the nearest first."""
    return _nearest(_unit(rows), None, k, none)[0]


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
