"""The item map as a figure: one point an item, the same item at its place in each view. No streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from foster.ui import palette, words
from foster.ui.charts import Chart, hover_text
from foster.ui.markup import plain
from foster.ui.shade import shade

MAX_POINTS = 20_000
WEBGL_FROM = 1_500  # fewer points are crisper, and need no WebGL, as SVG
FEW = 100  # found items stand out by size
CROWDED = 2_000  # of more points each is smaller and has no rim
TOOLBAR = 34  # pixels of plotly's tools above the titles
GROUPS = 7  # the largest categories get a colour and a marker each, the others share the last


class View(StrEnum):
    REAL = "real"
    SYNTHETIC = "synthetic"
    TEXT = "text"


VIEW_TITLES = {
    View.REAL: "Real",
    View.SYNTHETIC: "Synthetic",
    View.TEXT: "Text similarity",
}
VIEW_MEANING = {
    View.REAL: "which items the same users took",
    View.SYNTHETIC: "which items the synthetic sequences put together",
    View.TEXT: "similarity of their texts",
}


class Drag(StrEnum):
    """What dragging on the map does."""

    LASSO = "lasso"
    BOX = "box"
    MOVE = "move"


_DRAG_MODES = {Drag.LASSO: "lasso", Drag.BOX: "select", Drag.MOVE: "pan"}


@dataclass(frozen=True)
class Drawn:
    """A sequence on the map: `course`, the items that it leads through, in order, and `reads`, what a student reads."""

    course: Sequence[int] = ()
    reads: Sequence[int] = ()


class Colour(StrEnum):
    CATEGORY = "category"
    POPULARITY = "popularity"
    MASS = "synthetic mass"


def sample(points: pd.DataFrame, keep: Sequence[int] = ()) -> pd.DataFrame:
    """At most MAX_POINTS rows: those of `keep` (positions, the first count most) and the most popular."""
    if len(points) <= MAX_POINTS:
        return points
    wanted = points["popularity"].rank(method="first", ascending=False).to_numpy(copy=True)
    wanted[list(keep)[:MAX_POINTS]] = 0
    return points.iloc[np.sort(np.argsort(wanted, kind="stable")[:MAX_POINTS])]


def groups(points: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    """Category → rows (bool mask), the largest first; beyond GROUPS they are 'other'."""
    sizes = points["category"].value_counts()
    largest = [str(name) for name in sizes.index if name != "other"][:GROUPS]
    category = points["category"].astype(str).to_numpy()
    found = [(name, category == name) for name in largest]
    rest = ~np.isin(category, largest)
    return [*found, ("other", rest)] if rest.any() else found


def item_map(
    points: pd.DataFrame,
    views: Sequence[View],
    colour: Colour,
    matches: np.ndarray,
    drawn: Drawn | None = None,
    outline: tuple[View, Sequence[tuple[float, float]]] | None = None,
    drag: Drag = Drag.LASSO,
    shaded: pd.DataFrame | None = None,
) -> Chart:
    """One panel a view.

    points: item, title, category, popularity, mass and x_*, y_* of each view, one row an item. matches: bool [rows],
    the chosen items; they get a double ring and the others fade. drawn: a synthetic sequence; its course is joined by
    a line. outline: an area in one view, by two corners of a box or more of a lasso. shaded: places of items that are
    too many for points; they are a shade behind them.
    """
    drawn = drawn or Drawn()
    figure = make_subplots(
        rows=1, cols=len(views), horizontal_spacing=0.03, subplot_titles=[VIEW_TITLES[view] for view in views]
    )
    scatter = go.Scattergl if len(points) >= WEBGL_FROM else go.Scatter
    titles = np.array([hover_text(title) for title in points["title"]], dtype=object)
    categories = {str(name): hover_text(str(name), 40) for name in points["category"].unique()}
    facts = np.stack(
        [
            titles,
            points["category"].astype(str).map(categories).to_numpy(dtype=object),
            points["popularity"].to_numpy(dtype=object),
            points["mass"].round(2).to_numpy(dtype=object),
            points["item"].to_numpy(dtype=object),
        ],
        axis=1,
    )
    where = {int(item): row for row, item in enumerate(points["item"])}
    steps, reads = ([where[item] for item in items if item in where] for items in (drawn.course, drawn.reads))
    opacity = np.full(len(points), 0.45 if steps else 0.85)
    if matches.any():
        opacity = np.where(matches, 0.95, 0.2)
    for column, view in enumerate(views, start=1):
        x, y = points[f"x_{view}"].to_numpy(), points[f"y_{view}"].to_numpy()
        if shaded is not None and len(shaded):
            figure.add_trace(shade(shaded[f"x_{view}"].to_numpy(), shaded[f"y_{view}"].to_numpy()), row=1, col=column)
        first = column == 1
        for number, (marker, rows, name) in enumerate(_layers(points, colour, view, first)):
            figure.add_trace(
                scatter(
                    x=x[rows],
                    y=y[rows],
                    mode="markers",
                    name=hover_text(name, 24),
                    legendgroup=str(number),
                    showlegend=first and colour is Colour.CATEGORY,
                    customdata=facts[rows],
                    hovertemplate=(
                        "%{customdata[0]}<br>%{customdata[1]} · %{customdata[2]} events · "
                        "synthetic mass %{customdata[3]}<extra></extra>"
                    ),
                    marker={**marker, "opacity": opacity[rows]},
                ),
                row=1,
                col=column,
            )
        if outline is not None and outline[0] is view:
            for line in _OUTLINE:
                figure.add_shape(**_shape(outline[1]), line=line, row=1, col=column)
        chosen = np.flatnonzero(matches)
        outer, inner = _rings(len(chosen))
        for name, marked, kind, says, marker in (
            ("around the chosen", chosen, scatter, "", outer),
            ("chosen", chosen, scatter, "%{customdata[1]}", inner),
            ("read by the sequence", np.array(reads, dtype=int), go.Scatter, "read by the sequence", _READ),
        ):
            if len(marked):
                places = {"name": name, "x": x[marked], "y": y[marked], "customdata": facts[marked]}
                _marks(figure, kind, places, column, says, marker)
        if steps:
            _path(figure, x[steps], y[steps], titles[steps], column)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.update_layout(
        height=560 + TOOLBAR,
        margin={"l": 0, "r": 0, "t": 36 + TOOLBAR, "b": 0},  # the titles stand below the toolbar, next to the points
        hoverlabel={"align": "left"},
        dragmode=_DRAG_MODES[drag],
        newselection={"line": {"width": 2, "dash": "dot"}},  # black or white, as the page asks for
        legend={"orientation": "h", "y": -0.02, "yanchor": "top", "x": 0, "itemsizing": "constant"},
        uirevision=f"map-{'-'.join(views)}",
    )
    said = _say(points, views, colour, matches, len(steps))
    if shaded is not None and len(shaded):
        said += f" {words.plural(len(shaded), 'more item')} are a grey shade behind the points."
    return Chart(figure, said)


def _layers(points: pd.DataFrame, colour: Colour, view: View, scale: bool) -> list[tuple[dict, np.ndarray, str]]:
    """(marker, rows, name) of each trace. Where colour tells the category, size tells what is much: events, or in the
    synthetic view synthetic mass."""
    rim: dict = {"line": {"width": 0}} if len(points) > CROWDED else {}
    if colour is Colour.CATEGORY:
        size = _size(points["mass" if view is View.SYNTHETIC else "popularity"].to_numpy(dtype=float))
        return [
            (
                {
                    "color": palette.CATEGORY_COLOURS[-1 if name == "other" else number],
                    "symbol": palette.CATEGORY_SYMBOLS[-1 if name == "other" else number],
                    "size": size[rows],
                    **({} if name == "other" else rim),  # an open circle is all rim
                },
                rows,
                name,
            )
            for number, (name, rows) in enumerate(groups(points))
        ]
    amount = points["popularity" if colour is Colour.POPULARITY else "mass"].to_numpy(dtype=float)
    unit = "training events" if colour is Colour.POPULARITY else "synthetic mass"
    top = float(amount.max(initial=0.0))
    ticks = [v for v in (0, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000) if v <= top]
    marker = {
        "color": np.log1p(amount),
        "colorscale": [list(stop) for stop in palette.SEQUENTIAL],
        "size": _size(amount),
        **rim,
        "showscale": scale,
        "colorbar": {
            "title": {"text": unit, "side": "right"},
            "thickness": 10,
            "len": 0.7,
            "outlinewidth": 0,
            "tickvals": [float(np.log1p(v)) for v in ticks],
            "ticktext": [f"{v:g}" for v in ticks],
        },
    }
    return [(marker, np.ones(len(points), dtype=bool), unit)]


def _size(amount: np.ndarray) -> np.ndarray:
    """Diameters in pixels, 4 for nothing and 15 for the most; less where points are so many that they would cover
    each other."""
    grown = np.log1p(amount)
    room = min(1.0, (CROWDED / max(1, len(amount))) ** 0.4)
    return (4 + 11 * grown / max(float(grown.max(initial=0.0)), 1e-9)) * room


_OUTLINE = (
    {"color": palette.AROUND_CHOSEN, "width": 3.5},
    {"color": palette.CHOSEN, "width": 2, "dash": "dash"},
)


def _shape(corners: Sequence[tuple[float, float]]) -> dict:
    """A box by two corners, a lasso by more, as a plotly shape."""
    if len(corners) == 2:
        (x0, y0), (x1, y1) = corners
        return {"type": "rect", "x0": x0, "y0": y0, "x1": x1, "y1": y1}
    return {"type": "path", "path": "M" + "L".join(f"{x:.4f},{y:.4f}" for x, y in corners) + "Z"}


def _marks(figure: go.Figure, scatter: type, places: dict, column: int, says: str, marker: dict) -> None:
    """Items that stand out by an open shape around each. places: name, x, y, customdata; says: shown on hover, if it
    is not ''."""
    hover = {"hovertemplate": f"%{{customdata[0]}}<br>{says}<extra></extra>"} if says else {"hoverinfo": "skip"}
    trace = scatter(**places, mode="markers", showlegend=False, marker=marker, **hover)
    figure.add_trace(trace, row=1, col=column)


def _rings(count: int) -> tuple[dict, dict]:
    """Around chosen items, a broad light one under a dark one: thinner where they are many."""
    few = count <= 30
    ring = {"size": 16 if few else 12, "symbol": "circle-open"}
    broad, narrow = {"width": 5 if few else 3.4}, {"width": 2.2 if few else 1.4}
    return {**ring, "color": palette.AROUND_CHOSEN, "line": broad}, {**ring, "color": palette.CHOSEN, "line": narrow}


_READ = {"size": 9, "symbol": "square-open", "color": palette.PURPLE, "line": {"width": 1.5}}


def _path(figure: go.Figure, x: np.ndarray, y: np.ndarray, titles: np.ndarray, column: int) -> None:
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="lines+markers",
            name="the open sequence",
            showlegend=False,
            line={"color": palette.PURPLE, "width": 1.3, "shape": "spline", "smoothing": 0.6},
            marker={
                "size": [16] + [8] * (len(x) - 1),
                "symbol": ["star"] + ["circle"] * (len(x) - 1),
                "color": palette.PURPLE,
                "line": {"width": 1, "color": "#FFFFFF"},
            },
            customdata=np.stack([titles, np.arange(1, len(x) + 1)], axis=1),
            hovertemplate="%{customdata[1]}. %{customdata[0]}<extra></extra>",
        ),
        row=1,
        col=column,
    )


def _say(points: pd.DataFrame, views: Sequence[View], colour: Colour, matches: np.ndarray, steps: int) -> str:
    placed = " and by ".join(VIEW_MEANING[view] for view in views)
    said = [f"{words.plural(len(points), 'item')} as points, placed by {placed}."]
    if colour is Colour.CATEGORY:
        counts = ", ".join(f"{plain(name, 40)} {int(rows.sum())}" for name, rows in groups(points))
        said.append(f"Colour and marker by category: {counts}.")
    else:
        said.append(f"Colour and size by {colour.value}: small and grey is little, large and orange is much.")
    if matches.any():
        said.append(f"{words.plural(int(matches.sum()), 'chosen item')} in a double ring, and listed beside and below.")
    if steps:
        said.append(f"A line joins the {steps} items that the drawn sequence leads through, from the star on.")
    said.append("The table below lists the same items.")
    return " ".join(said)
