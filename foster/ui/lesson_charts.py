"""Charts of the lessons, each with a sentence that says the same. No streamlit in here.

Blue circles are the method as it is, vermilion squares the method with something broken, grey what both are held
against. Titles are the toy world's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from foster.ui import palette, words
from foster.ui.charts import Chart

MARGIN = {"l": 8, "r": 8, "t": 30, "b": 8}
LEGEND = {"orientation": "h", "y": -0.2, "x": 0, "title_text": ""}


@dataclass(frozen=True)
class Kind:
    """How one kind of student is drawn."""

    colour: str
    symbol: str


WHOLE, BROKEN, CONTROL = Kind(palette.BLUE, "circle"), Kind(palette.VERMILION, "square"), Kind(palette.GREY, "diamond")


def next_books(titles: Sequence[str], truth: np.ndarray, whole: np.ndarray, broken: np.ndarray | None) -> Chart:
    """Probability of the next book: the truth, the model and the broken model [books]; the likeliest first."""
    order = np.argsort(-truth)[:8][::-1]
    names = [titles[each] for each in order]
    figure = go.Figure()
    series = [("the truth", truth, CONTROL, 11), ("learned", whole, WHOLE, 11), ("learned, broken", broken, BROKEN, 10)]
    for name, values, kind, size in series:
        if values is not None:
            figure.add_trace(_points(name, values[order], names, kind, size))
    figure.update_layout(height=370, margin=MARGIN, legend=LEGEND)
    figure.update_xaxes(title_text="probability to be next", rangemode="tozero", tickformat=".0%", nticks=6)
    figure.update_yaxes(automargin=True)
    said = ", ".join(
        f"{titles[each]} {words.share(truth[each])} in truth, {words.share(whole[each])} learned"
        + (f", {words.share(broken[each])} broken" if broken is not None else "")
        for each in order[::-1][:3]
    )
    return Chart(figure, f"The likeliest next books: {said}.")


def _points(name: str, x: Sequence[float] | np.ndarray, y: Sequence[str], kind: Kind, size: int) -> go.Scatter:
    marker = {"color": kind.colour, "symbol": kind.symbol, "size": size, "opacity": 0.9}
    return go.Scatter(x=x, y=y, name=name, mode="markers", marker=marker, hovertemplate="%{y}: %{x:.3f}")


def students(rows: Sequence[tuple[str, np.ndarray, Kind]], lines: Mapping[str, float]) -> Chart:
    """Recall@3 of every student as a point, a row for each kind; vertical lines for what needs no student."""
    figure, said = go.Figure(), []
    for name, values, kind in rows[::-1]:
        figure.add_trace(_points(name, values, [name] * len(values), kind, 12))
        said.append(f"{name} {words.score(float(np.mean(values)))}")
    for (name, value), dash in zip(lines.items(), ("dash", "dot"), strict=False):
        figure.add_vline(x=value, line={"color": palette.GREY, "dash": dash, "width": 2})
        figure.add_annotation(x=value, y=1, yref="paper", text=name, showarrow=False, yanchor="bottom", font_size=13)
        said.append(f"{name} {words.score(value)}")
    figure.update_layout(height=110 + 62 * len(rows), margin=MARGIN, showlegend=False)
    figure.update_xaxes(title_text="Recall@3 on new readers, one point a student", range=[0, 0.5], nticks=6)
    figure.update_yaxes(automargin=True)
    return Chart(figure, f"Recall@3 on average: {', '.join(said[::-1])}.")


def estimates(exact: float, whole: np.ndarray, broken: np.ndarray | None) -> Chart:
    """The loss as each random subset estimates it, beside the exact one."""
    figure = go.Figure()
    both = [("as it is", whole, palette.BLUE, ""), ("broken", broken, palette.VERMILION, "/")]
    top = max(float(values.max()) for _, values, _, _ in both if values is not None)
    bins = {"start": 0, "end": top + 0.04, "size": 0.04}
    said = []
    for name, values, colour, pattern in both:
        if values is not None:
            figure.add_trace(
                go.Histogram(
                    x=values,
                    xbins=bins,
                    name=name,
                    marker={"color": colour, "opacity": 0.65, "pattern_shape": pattern},
                    hovertemplate="%{y} subsets near %{x:.2f} nats",
                )
            )
            said.append(f"{name} {values.mean():.2f} ± {values.std():.2f} nats")
    figure.add_vline(x=exact, line={"color": palette.GREY, "dash": "dash", "width": 2})
    figure.add_annotation(x=exact, y=1, yref="paper", text="all books", showarrow=False, yanchor="bottom", font_size=13)
    figure.update_layout(height=350, margin=MARGIN, barmode="overlay", legend=LEGEND, showlegend=True)
    figure.update_xaxes(title_text="loss of one label, nats")
    figure.update_yaxes(title_text="random subsets", nticks=5)
    return Chart(figure, f"Estimates of a loss that is {exact:.2f} nats on all books: {', '.join(said)}.")


def gradients(
    memory: Mapping[int, tuple[int, int]],
    inner: int,
    agreement: Mapping[int, float],
    noisy: Mapping[int, float],
    at: int,
) -> Chart:
    """Left: bytes kept by inner steps, (first-order, exact). Right: cosine with the exact gradient by steps since the
    reset, and the same under dropout of its own (empty: not shown); `at` is where the loop stands."""
    figure = make_subplots(cols=2, horizontal_spacing=0.13, subplot_titles=("Memory, MB", "Agreement, cosine"))
    for name, which, kind, dash in (("first-order", 0, WHOLE, "solid"), ("exact", 1, CONTROL, "dot")):
        values = [each[which] / 1e6 for each in memory.values()]
        figure.add_trace(_line(name, list(memory), values, kind, dash), row=1, col=1)
    figure.add_vline(x=inner, line={"color": palette.GREY, "width": 1, "dash": "dash"}, row=1, col=1)
    figure.add_trace(
        _line("first-order", list(agreement), list(agreement.values()), WHOLE, "solid", False), row=1, col=2
    )
    if noisy:
        figure.add_trace(_line("each its own dropout", list(noisy), list(noisy.values()), BROKEN, "dash"), row=1, col=2)
    here = (noisy or agreement)[at]
    ring = {"symbol": "circle-open", "size": 20, "color": palette.VERMILION if at or noisy else palette.BLUE}
    figure.add_trace(
        go.Scatter(
            x=[at], y=[here], mode="markers", marker={**ring, "line_width": 3}, showlegend=False, hoverinfo="skip"
        ),
        row=1,
        col=2,
    )
    figure.update_layout(height=350, margin={**MARGIN, "t": 40}, legend={**LEGEND, "y": -0.28})
    figure.update_xaxes(title_text="inner steps K", row=1, col=1)
    figure.update_xaxes(title_text="steps since the reset", row=1, col=2)
    figure.update_yaxes(rangemode="tozero", row=1, col=1)
    figure.update_yaxes(range=[-0.1, 1.08], row=1, col=2)
    first, exact = (words.size(each) for each in memory[inner])
    by_reset = ", ".join(f"{value:.2f} after {steps} steps" for steps, value in agreement.items())
    return Chart(
        figure,
        f"At {inner} inner steps the first-order gradient keeps {first}, the exact one {exact}. "
        f"Their cosine by steps since the reset: {by_reset}; where the loop stands now it is {here:.2f}.",
    )


def _line(name: str, x: Sequence[float], y: Sequence[float], kind: Kind, dash: str, legend: bool = True) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        showlegend=legend,
        line={"color": kind.colour, "dash": dash, "width": 2},
        marker={"symbol": kind.symbol, "size": 9, "color": kind.colour},
        hovertemplate="%{y:.2f}",
    )


def together(titles: Sequence[str], panels: Sequence[tuple[str, np.ndarray]]) -> Chart:
    """Matrices of rows that sum to 1 [V, V] side by side, each entry as a multiple of its column's mean: what is left
    when popularity is taken out."""
    figure = make_subplots(
        cols=len(panels), horizontal_spacing=0.04, subplot_titles=[name for name, _ in panels], shared_yaxes=True
    )
    scale = [[0, "#F7F3EA"], [0.5, "#A9CCE3"], [0.75, "#3D8BBF"], [1, "#00365E"]]
    said = []
    for column, (name, matrix) in enumerate(panels, start=1):
        lift = matrix / matrix.mean(0)
        heat = go.Heatmap(
            z=lift,
            x=list(titles),
            y=list(titles),
            zmin=0,
            zmax=2,
            colorscale=scale,
            showscale=column == len(panels),
            colorbar={"title": "×", "thickness": 10, "tickvals": [0, 1, 2], "ticktext": ["0", "1", "≥ 2"]},
            hovertemplate="%{y} with %{x}: × %{z:.2f}<extra>" + name + "</extra>",
        )
        figure.add_trace(heat, row=1, col=column)
        often = float((np.abs(lift - 1) > 0.25).mean())
        said.append(f"{name}, {words.share(often)} of pairs differ from popularity by a quarter or more")
    figure.update_layout(height=360 if len(panels) < 3 else 290, margin={**MARGIN, "t": 40})
    figure.update_xaxes(showticklabels=False, showgrid=False, ticks="")
    figure.update_yaxes(showticklabels=False, autorange="reversed", showgrid=False, ticks="")
    return Chart(figure, f"Pairs of {len(titles)} books as multiples of what popularity gives: {'; '.join(said)}.")
