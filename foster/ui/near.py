"""Neighbours on the map: which items lie next to one in a view. No streamlit in here."""

from __future__ import annotations

import numpy as np
import pandas as pd

from foster.ui.maps import View


def nearest(points: pd.DataFrame, row: int, view: View, count: int) -> list[int]:
    """Rows of the `count` items nearest to that of `row` in a view, the nearest first. points: x_<view>, y_<view>."""
    places = points[[f"x_{view}", f"y_{view}"]].to_numpy(dtype=float)
    distances = np.square(places - places[row]).sum(1)
    distances[row] = np.inf
    return np.argsort(distances, kind="stable")[: min(count, len(points) - 1)].tolist()
