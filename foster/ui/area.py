"""An area that somebody drew on the map: a box or a lasso in one view, short enough to stand in the address.

Written as the view and its corners' coordinates, `real_0.1_-0.4_0.55_0.2`: two corners are a box, three or more the
outline of a lasso. No streamlit in here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from foster.errors import UserError
from foster.ui.maps import View

MOST_CORNERS = 32  # of a lasso; a longer outline is thinned
BETWEEN = "_"
FARTHEST = 1e6  # of a coordinate; layouts lie in ± 1


@dataclass(frozen=True)
class Area:
    """corners: (x, y) in the view's own coordinates, at least two."""

    view: View
    corners: tuple[tuple[float, float], ...]

    @classmethod
    def parse(cls, text: str) -> Area:
        """The inverse of `str`. Raises UserError for what is no area.

        >>> str(Area.parse("text_0.1_-0.4_0.55_0.2"))
        'text_0.1_-0.4_0.55_0.2'
        """
        name, *written = text.split(BETWEEN)
        try:
            numbers = [float(each) for each in written]
            view = View(name)
        except ValueError:
            numbers, view = [], View.REAL
        if (
            not 4 <= len(numbers) <= 2 * MOST_CORNERS
            or len(numbers) % 2
            or not all(abs(n) <= FARTHEST for n in numbers)
        ):
            raise UserError(f"the address asks for an area {text[:40]!r}, which is none; draw one on the map")
        return cls(view, tuple(zip(numbers[::2], numbers[1::2], strict=True)))

    @classmethod
    def drawn(cls, selection: Mapping[str, Sequence[Mapping[str, Any]]], views: Sequence[View]) -> Area | None:
        """The last box or lasso of a chart's selection, None if it holds none; views: those of the chart's panels."""
        outlines = [*selection.get("box", ()), *selection.get("lasso", ())]
        if not outlines:
            return None
        last = outlines[-1]
        panel = int(str(last["xref"]).removeprefix("x") or 1) - 1
        corners = list(zip(map(float, last["x"]), map(float, last["y"]), strict=True))
        if panel >= len(views) or len(corners) < 2:
            return None
        wanted = np.linspace(0, len(corners), min(MOST_CORNERS, len(corners)), endpoint=False).astype(int)
        return cls(views[panel], tuple(corners[place] for place in wanted))

    def __str__(self) -> str:
        return BETWEEN.join([self.view, *(_short(number) for corner in self.corners for number in corner)])

    @property
    def is_box(self) -> bool:
        return len(self.corners) == 2

    def holds(self, points: pd.DataFrame) -> np.ndarray:
        """Which rows of points (with x_<view>, y_<view>) lie inside, bool [rows]."""
        x, y = points[f"x_{self.view}"].to_numpy(dtype=float), points[f"y_{self.view}"].to_numpy(dtype=float)
        corners = np.array(self.corners)
        if self.is_box:
            low, high = corners.min(0), corners.max(0)
            return (low[0] <= x) & (x <= high[0]) & (low[1] <= y) & (y <= high[1])
        inside = np.zeros(len(points), dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 != y1:  # a ray to the right crosses this side
                inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return inside


def _short(number: float) -> str:
    """At most three decimals, without the zeros that say nothing.

    >>> _short(0.5), _short(-0.00001), _short(3.14159)
    ('0.5', '0', '3.142')
    """
    return f"{round(number, 3) + 0.0:.3f}".rstrip("0").rstrip(".")
