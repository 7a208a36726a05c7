"""Neighbours on the map: which items lie next to one in a view. No streamlit in here."""

from __future__ import annotations

import numpy as np
import pandas as pd

from foster.ui.maps import View

NEAR = 10  # as in `foster.item_map`, which takes too long to import for a page


def kept(points: pd.DataFrame) -> tuple[float, float, float] | None:
    """Of an item's NEAR neighbours in the log, how many the synthetic sequences, the texts and chance keep, as means;
    None for a map that does not tell. points: kept_synthetic and kept_text, shares [rows], NaN where not judged."""
    if not {"kept_synthetic", "kept_text"} <= {*points.columns}:
        return None
    told = points["kept_synthetic"].notna()
    if not told.any():
        return None
    by_sequences, by_texts = (float(points.loc[told, f"kept_{view}"].mean()) for view in ("synthetic", "text"))
    return NEAR * by_sequences, NEAR * by_texts, NEAR * NEAR / (int(told.sum()) - 1)


def nearest(points: pd.DataFrame, row: int, view: View, count: int) -> list[int]:
    """Rows of the `count` items nearest to that of `row` in a view, the nearest first. points: x_<view>, y_<view>."""
    places = points[[f"x_{view}", f"y_{view}"]].to_numpy(dtype=float)
    distances = np.square(places - places[row]).sum(1)
    distances[row] = np.inf
    return np.argsort(distances, kind="stable")[: min(count, len(points) - 1)].tolist()
