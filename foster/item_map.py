"""The item map: where co-occurrence puts the items, in the real log, in the synthetic set, and where their texts do.

Three views of the same items. Those of the log and of the texts say nothing of a run's result: they are laid out once
and kept by content. The synthetic and the text view start from the real one and are turned onto it, so that a point can
be followed from one to the other. Of many items the LAID_OUT most popular are laid out and the others stand beside the
most like of them; MAX_ITEMS are on the map. V items, M sequences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse
from scipy.sparse.linalg import eigsh

from foster.interactions import Interactions
from foster.layout import Rows, aligned, beside, layout, neighbours
from foster.run_files import replace_file

MAX_ITEMS = 100_000
LAID_OUT = 20_000
NEAR, JUDGED = 10, 5_000  # neighbours that a view should keep, of so many items, the most popular
VERSION = 2  # of how a layout is made; another one does not find what this one kept

Report = Callable[[float, str], None]
"""Called with the share of the map that is done, 0 to 1, and which view is laid out; may raise to end it."""


def silent(share: float, view: str) -> None:
    """No report of progress."""


def real_profiles(train: Interactions, n_items: int, width: int = 32) -> Rows:
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
    # The matrix is symmetric: its singular vectors are eigenvectors. Those of groups of like size are told apart
    # only by many more iterations, and the map does not need it: hence the tolerance.
    strength, vectors = eigsh(matrix.astype(np.float64), k=rank, v0=np.ones(n_items), tol=1e-2)
    return np.asarray(vectors * np.sqrt(np.abs(strength)), dtype=np.float32)


def synthetic_profiles(totals: NDArray[np.float32]) -> Rows:
    """[V, M]: square root of each item's distribution over the sequences, from label mass totals [M, V].

    Soft co-occurrence factors over sequences, C ≈ totalsᵀ·totals, so items with equal profiles have equal conditional
    co-occurrence c(·|i), and the Euclidean distance here is the Hellinger distance between profiles.
    """
    share = totals / np.maximum(totals.sum(0, keepdims=True), 1e-12)
    return np.sqrt(share).T.astype(np.float32)


def item_map(
    train: Interactions,
    totals: NDArray[np.float32],
    features: NDArray[np.float32],
    cache: Path,
    report: Report = silent,
) -> pd.DataFrame:
    """x and y of the real, synthetic and text view for the most popular MAX_ITEMS items, their synthetic mass, and for
    JUDGED of them which share of their NEAR neighbours in the log the synthetic sequences and the texts keep (`kept`).

    totals: label mass of every item in every sequence [M, V]; features: public text features [V, D_text]; cache: folder
    in which `kept_layouts` lie, read and written.
    """
    n_items = totals.shape[1]
    ranked = np.argsort(-np.bincount(train.items, minlength=n_items), kind="stable")[:MAX_ITEMS]
    real_file, text_file = kept_layouts(train, features, cache)

    def view(profiles: Callable[[], Rows], name: str, number: int, onto: Rows | None = None) -> Rows:
        def progress(share: float) -> None:
            report((number + share) / 3, name)

        progress(0.0)
        return _places(profiles()[ranked], onto, progress)

    real = _once(real_file, len(ranked), lambda: view(lambda: real_profiles(train, n_items), "real", 0))
    text = _once(text_file, len(ranked), lambda: view(lambda: features, "text", 1, real))
    synthetic = view(lambda: synthetic_profiles(totals), "synthetic", 2, real)
    columns: dict[str, np.ndarray] = {"item": ranked.astype(np.int32)}
    for name, places in (("real", real), ("synthetic", synthetic), ("text", text)):
        columns |= {f"x_{name}": places[:, 0], f"y_{name}": places[:, 1]}
    judged = ranked[:JUDGED]
    others = {"synthetic": synthetic_profiles(totals), "text": features}
    shares = kept(real_profiles(train, n_items)[judged], {name: rows[judged] for name, rows in others.items()})
    for name, share in shares.items():
        columns[f"kept_{name}"] = np.pad(share, (0, len(ranked) - len(judged)), constant_values=np.nan)
    table = pd.DataFrame({**columns, "mass": totals.sum(0)[ranked]})
    return table.sort_values("item", ignore_index=True)


def kept(real: Rows, others: Mapping[str, Rows]) -> dict[str, Rows]:
    """Of each item's NEAR nearest by its real profile [n, D], the share that is among its NEAR nearest by each of the
    others [n, D'], too: [n], of profiles themselves, as a layout loses some. NaN for items that stand with no other in
    the log, and for all of few items, of which many are neighbours by chance."""
    if len(real) <= 2 * NEAR:
        return {name: np.full(len(real), np.nan, dtype=np.float32) for name in others}
    near, alone = neighbours(real, NEAR), ~real.any(1)
    found = {}
    for name, rows in others.items():
        both = np.concatenate([near, neighbours(rows, NEAR)], axis=1)
        both.sort(axis=1)
        share = ((both[:, 1:] == both[:, :-1]).sum(1) / NEAR).astype(np.float32)
        found[name] = np.where(alone, np.nan, share).astype(np.float32)
    return found


def kept_layouts(train: Interactions, features: NDArray[np.float32], cache: Path) -> tuple[Path, Path]:
    """Where the real and the text layout are kept, named by the hash of what they are made of; they may not exist."""
    real = hashlib.sha256(f"{VERSION}/{LAID_OUT}/{MAX_ITEMS}/{features.shape}".encode())
    real.update(np.ascontiguousarray(train.items).tobytes() + np.ascontiguousarray(train.offsets).tobytes())
    text = real.copy()  # it starts from the real layout
    text.update(np.ascontiguousarray(features).tobytes())
    folder = cache / "layouts"
    first, second = (folder / f"{digest.hexdigest()[:32]}.safetensors" for digest in (real, text))
    return first, second


def _places(profiles: Rows, onto: Rows | None, progress: Callable[[float], None]) -> Rows:
    """Places [n, 2] of profiles [n, D], the most popular first, in line with the places `onto` [n, 2] if given."""
    most = profiles[:LAID_OUT]
    rest = profiles[LAID_OUT:]
    share = 0.5 if len(rest) else 1.0
    start = None if onto is None else onto[:LAID_OUT]
    places = layout(most, start, progress=lambda done: progress(share * done))
    if start is not None:
        places = aligned(places, start)
    if len(rest):
        others = beside(rest, most, places, lambda done: progress(share + (1 - share) * done))
        places = np.concatenate([places, others])
    return places


def _once(file: Path, n_items: int, make: Callable[[], Rows]) -> Rows:
    """The layout kept in `file`; made and kept if there is none that can be read."""
    try:
        places = load_file(file)["places"]
        if places.shape == (n_items, 2):
            return places
    except (OSError, KeyError, SafetensorError):
        pass
    places = np.ascontiguousarray(make())
    replace_file(file, lambda temporary: save_file({"places": places}, temporary))
    return places
