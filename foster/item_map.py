"""The item map: where co-occurrence puts the items, in the real log, in the synthetic set, and where their texts do.

Three views of the same items, laid out by UMAP; the second and third start from the first's layout, so that a point can
be followed from one to the other. V items, M sequences.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

from foster.interactions import Interactions

Layout = NDArray[np.float32]
MAX_ITEMS = 20_000


def real_profiles(train: Interactions, n_items: int, width: int = 32) -> Layout:
    """[V, width]: singular vectors of the positive pointwise mutual information of items that users share."""
    ones = np.ones(len(train.items), dtype=np.float32)
    taken = sparse.csr_matrix((ones, (train.users, train.items)), shape=(train.n_users, n_items))
    taken.data[:] = 1  # a repeat counts once
    # a user's pairs weigh 1 / (number of items), or the longest histories would draw the map alone
    weighted = sparse.diags_array(1 / np.maximum(1, taken.sum(1).A1 if hasattr(taken.sum(1), "A1") else taken.sum(1)))
    pairs = (taken.T @ weighted @ taken).tocoo()
    off = pairs.row != pairs.col
    row, col, data = pairs.row[off], pairs.col[off], pairs.data[off]
    totals = np.bincount(row, data, minlength=n_items)
    pmi = np.log(np.maximum(data * totals.sum() / np.maximum(totals[row] * totals[col], 1e-12), 1e-12))
    positive = pmi > 0
    matrix = sparse.csr_matrix((pmi[positive], (row[positive], col[positive])), shape=(n_items, n_items))
    rank = min(width, n_items - 2)
    if rank < 1 or matrix.nnz == 0:
        return np.zeros((n_items, width), dtype=np.float32)
    u, s, _ = svds(matrix.astype(np.float64), k=rank, v0=np.ones(n_items))
    return np.asarray(u * np.sqrt(s), dtype=np.float32)


def synthetic_profiles(totals: NDArray[np.float32]) -> Layout:
    """[V, M]: square root of each item's distribution over the sequences, from label mass totals [M, V].

    Soft co-occurrence factors over sequences, C ≈ totalsᵀ·totals, so items with equal profiles have equal conditional
    co-occurrence c(·|i), and the Euclidean distance here is the Hellinger distance between profiles.
    """
    share = totals / np.maximum(totals.sum(0, keepdims=True), 1e-12)
    return np.sqrt(share).T.astype(np.float32)


def layout(profiles: Layout, seed: int, start: Layout | None = None, metric: str = "cosine") -> Layout:
    """UMAP of profiles [V, width] to [V, 2], centred and scaled to about unit size. Fewer than 10 items: a circle."""
    n = len(profiles)
    if n < 10:
        angles = 2 * np.pi * np.arange(n) / max(1, n)
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba and umap warn of their own defaults
        import umap

        reducer = umap.UMAP(
            n_neighbors=min(15, n - 1),
            min_dist=0.1,
            metric=metric,
            init="random" if start is None else 10 * start,
            random_state=seed % 2**32,
            n_epochs=300 if n <= 5000 else 120,
        )
        points = np.asarray(reducer.fit_transform(profiles + 1e-6), dtype=np.float32)
    points = np.nan_to_num(points - np.nanmean(points, 0))
    return points / max(1e-6, float(np.abs(points).max()))


def item_map(
    train: Interactions, totals: NDArray[np.float32], features: NDArray[np.float32], seed: int
) -> pd.DataFrame:
    """x and y of the real, synthetic and text view for the most popular MAX_ITEMS items, and their synthetic mass.

    totals: label mass of every item in every sequence [M, V]; features: public text features [V, D_text].
    """
    n_items = totals.shape[1]
    popularity = np.bincount(train.items, minlength=n_items)
    shown = np.sort(np.argsort(-popularity, kind="stable")[:MAX_ITEMS])
    real = layout(real_profiles(train, n_items)[shown], seed)
    synthetic = layout(synthetic_profiles(totals)[shown], seed, real, metric="euclidean")
    text = layout(features[shown], seed, real)
    return pd.DataFrame(
        {
            "item": shown.astype(np.int32),
            "x_real": real[:, 0],
            "y_real": real[:, 1],
            "x_synthetic": synthetic[:, 0],
            "y_synthetic": synthetic[:, 1],
            "x_text": text[:, 0],
            "y_text": text[:, 1],
            "mass": totals.sum(0)[shown],
        }
    )
