"""The item map: where co-occurrence puts the items, in the real log, in the synthetic set, and where their texts do.

Three views of the same items. Those of the log and of the texts say nothing of a run's result: they are laid out once
and kept by content. The synthetic and the text view start from the real one and are turned onto it, so that a point can
be followed from one to the other. Of many items the LAID_OUT most popular are laid out and the others stand beside the
most like of them; MAX_ITEMS are on the map. V items, M sequences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
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
from foster.map_facts import JUDGED, NEAR
from foster.run_files import replace_file

MAX_ITEMS = 100_000
LAID_OUT = 20_000
VERSION = 3  # of how a layout is made; another one does not find what this one kept

Near = NDArray[np.int32]
Report = Callable[[float, str], None]
"""Called with the share of the map that is done, 0 to 1, and which view is laid out; may raise to end it."""


@dataclass(frozen=True)
class View:
    """places [n, 2] of the items, the most popular first; near: of JUDGED of them, as `near`."""

    places: Rows
    near: Near


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

    def view(profiles: Callable[[], Rows], name: str, number: int, onto: View | None = None) -> View:
        def progress(share: float) -> None:
            report((number + share) / 3, name)

        progress(0.0)
        rows = profiles()[ranked]
        return View(_places(rows, None if onto is None else onto.places, progress), near(rows[:JUDGED]))

    real = _once(real_file, len(ranked), lambda: view(lambda: real_profiles(train, n_items), "real", 0))
    text = _once(text_file, len(ranked), lambda: view(lambda: features, "text", 1, real))
    synthetic = view(lambda: synthetic_profiles(totals), "synthetic", 2, real)
    columns: dict[str, np.ndarray] = {"item": ranked.astype(np.int32)}
    for name, each in (("real", real), ("synthetic", synthetic), ("text", text)):
        columns |= {f"x_{name}": each.places[:, 0], f"y_{name}": each.places[:, 1]}
    for name, each in (("synthetic", synthetic), ("text", text)):
        share = kept(real.near, each.near)
        columns[f"kept_{name}"] = np.pad(share, (0, len(ranked) - len(share)), constant_values=np.nan)
    table = pd.DataFrame({**columns, "mass": totals.sum(0)[ranked]})
    return table.sort_values("item", ignore_index=True)


def near(profiles: Rows) -> Near:
    """The NEAR nearest others [n, NEAR] of every profile [n, D], the nearest first: −1 for a profile of nothing, and
    for all where no two differ. Of few items, where many are neighbours by chance, none [n, 0]."""
    if len(profiles) <= 2 * NEAR:
        return np.zeros((len(profiles), 0), dtype=np.int32)
    told = profiles.any(1, keepdims=True) & bool(np.ptp(profiles, axis=0).any())
    return np.where(told, neighbours(profiles, NEAR), -1).astype(np.int32)


def kept(real: Near, other: Near) -> Rows:
    """Share of each item's neighbours in the log that another view has, too [n], of `near`; NaN where unknown."""
    if not real.shape[1]:
        return np.full(len(real), np.nan, dtype=np.float32)
    both = np.sort(np.concatenate([real, other], axis=1), axis=1)
    share = (both[:, 1:] == both[:, :-1]).sum(1) / NEAR
    return np.where((real[:, 0] < 0) | (other[:, 0] < 0), np.nan, share).astype(np.float32)


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


def _once(file: Path, n_items: int, make: Callable[[], View]) -> View:
    """The view kept in `file`; made and kept if there is none that can be read."""
    try:
        found = load_file(file)
        view = View(found["places"], found["near"])
        if view.places.shape == (n_items, 2) and len(view.near) == min(n_items, JUDGED):
            return view
    except (OSError, KeyError, SafetensorError):
        pass
    view = make()
    tensors = {name: np.ascontiguousarray(rows) for name, rows in asdict(view).items()}
    replace_file(file, lambda temporary: save_file(tensors, temporary))
    return view
