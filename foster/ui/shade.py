"""The shade of a large map: where the items lie that are not drawn as points of their own. No streamlit in here."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

CELLS = 160  # a side
INK = "rgba(128, 128, 128, {})"  # between the light and the dark ground


def shade(x: np.ndarray, y: np.ndarray) -> go.Heatmap:
    """How many of the places (x, y) fall into each cell, logarithmic; the pointer passes through it."""
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=CELLS)
    return go.Heatmap(
        x=(x_edges[:-1] + x_edges[1:]) / 2,
        y=(y_edges[:-1] + y_edges[1:]) / 2,
        z=np.log1p(counts.T).astype(np.float32),
        zmin=0,
        colorscale=[[0, INK.format(0)], [0.01, INK.format(0.12)], [1, INK.format(0.6)]],
        showscale=False,
        hoverinfo="skip",
        zsmooth="fast",
        name="not drawn as points",
    )
