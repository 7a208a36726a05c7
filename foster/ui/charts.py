"""Values to Plotly figures, each with a sentence that says the same (its alternative text). No streamlit in here.

Fonts, text and grid colours are left to the page's theme; colours of data come from `palette`, always paired with a
dash or a marker. Texts that came with the data go through `hover_text`, because Plotly reads markup in text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from foster.ui import palette, words
from foster.ui.markup import plain

MAX_POINTS = 1_000  # a curve; more only slow the browser

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Chart:
    """A figure and what it says in words."""

    figure: go.Figure
    alt: str


@dataclass(frozen=True)
class Curve:
    key: str
    name: str
    colour: str
    dash: str
    symbol: str


# One panel a list: terms of one scale share it, all panels share the axis of steps. The synthetic terms are divergences
# from the labels, the real one is the cross-entropy of the next item.
_LOSSES = (
    Curve("synthetic_theta", "synthetic, at θ (follows the real data)", palette.BLUE, "solid", "circle"),
    Curve("synthetic_omega", "synthetic, at ω (follows the synthetic data)", palette.VERMILION, "dash", "square"),
    Curve("real", "real, at θ", palette.GREY, "dot", "diamond"),
)
_GAP = (Curve("gap", "gap, θ − ω", palette.PURPLE, "solid", "triangle-up"),)
_REGULARISER = (Curve("regulariser", "regulariser", palette.OCHRE, "dashdot", "x"),)
_VALID = Curve("recall@10", "fresh student, validation", palette.GREEN, "solid", "circle")


def hover_text(title: str, limit: int = 80) -> str:
    """A title for a Plotly hover label: Plotly reads <b>, <a>, entities and, where MathJax is loaded, $…$.

    >>> hover_text("<b>$x$</b>")
    '&#60;b&#62;&#36;x&#36;&#60;/b&#62;'
    """
    escaped = plain(title, limit).replace("&", "&#38;")
    for character in "<>$%{}":
        escaped = escaped.replace(character, f"&#{ord(character)};")
    return escaped


def thin(events: Sequence[Event], limit: int = MAX_POINTS) -> list[Event]:
    """At most `limit` events, evenly spaced, the first and the last among them."""
    if len(events) <= limit:
        return list(events)
    return [events[round(i * (len(events) - 1) / (limit - 1))] for i in range(limit)]


def losses(
    distil: Sequence[Event], valid: Sequence[Event], steps: int | None = None, marked: int | None = None
) -> Chart:
    """The terms of the distillation and the validation Recall@10 of fresh students, over one axis of steps.

    distil, valid: events of those kinds. steps: where the axis ends, if it is known. marked: a step that gets a
    line through all panels.
    """
    # without a weight the regulariser is not computed, and stands as 0, which it never is
    distil = [{name: value for name, value in event.items() if name != "regulariser" or value} for event in distil]
    shown, regularised = thin(distil), not distil or any("regulariser" in event for event in distil)
    panels: list[tuple[str, Sequence[Curve], Sequence[Event]]] = [
        ("Divergence and loss, nats", _LOSSES, shown),
        ("Gap", _GAP, shown),
        ("Regulariser" if regularised else "Regulariser: not computed at γ = 0", _REGULARISER, shown),
        ("Recall@10, validation", (_VALID,), thin(valid)),
    ]
    figure = make_subplots(
        rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.075, row_heights=[0.34, 0.18, 0.18, 0.30]
    )
    for row, (axis, curves, events) in enumerate(panels, start=1):
        for curve in curves:
            _draw(figure, curve, events, row)
        figure.update_yaxes(nticks=4, row=row, col=1)
        figure.add_annotation(
            text=axis,
            xref="x domain",
            yref="y domain",
            x=0,
            y=1.02,
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            row=row,
            col=1,
            font_size=13,
        )
    whole = {"dtick": 1} if steps and steps < 10 else {}  # there is no half a step
    figure.update_xaxes(range=[0, 1.015 * steps] if steps else None, zeroline=False, **whole)
    figure.update_xaxes(title_text="step", row=len(panels), col=1)
    if marked is not None:
        figure.add_vline(x=marked, line={"color": palette.GREY, "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            text=f"step {marked}",
            x=marked,
            y=0.04,
            yref="y domain",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            row=len(panels),
            col=1,
        )
    best = max((event["recall@10"] for event in valid), default=0.1)
    figure.update_yaxes(range=[0, 1.2 * best], row=len(panels), col=1)
    figure.update_layout(
        height=640,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.1, "x": 0, "title_text": ""},
        uirevision="losses",
    )
    said = _say_losses(distil, valid) + ("" if marked is None else f" A line marks step {marked}.")
    return Chart(figure, said)


def _draw(figure: go.Figure, curve: Curve, events: Sequence[Event], row: int) -> None:
    found = [event for event in events if event.get(curve.key) is not None]
    sparse = len(found) <= 15
    figure.add_trace(
        go.Scatter(
            x=[event["step"] for event in found],
            y=[event[curve.key] for event in found],
            name=curve.name,
            mode="lines+markers" if sparse else "lines",
            line={"color": curve.colour, "dash": curve.dash, "width": 2},
            marker={"symbol": curve.symbol, "size": 6, "color": curve.colour},
            cliponaxis=False,  # a first student stands on the axis
            hovertemplate="%{y:.3f}",
        ),
        row=row,
        col=1,
    )


def _say_losses(distil: Sequence[Event], valid: Sequence[Event]) -> str:
    if not distil and not valid:
        return "Loss curves; no step has been taken yet."
    parts = []
    if distil:
        first, last = distil[0], distil[-1]
        parts.append(f"Loss terms from step {first['step']} to step {last['step']}.")
        for curve in (*_LOSSES, *_GAP, *_REGULARISER):
            if first.get(curve.key) is not None and last.get(curve.key) is not None:
                parts.append(f"{curve.name}: {first[curve.key]:.3f} to {last[curve.key]:.3f}.")
    if valid:
        best = max(valid, key=lambda event: event["recall@10"])
        parts.append(
            f"A fresh student's validation Recall@10: {words.score(valid[0]['recall@10'])} first, "
            f"{words.score(valid[-1]['recall@10'])} last, best {words.score(best['recall@10'])} at step {best['step']}."
        )
    return " ".join(parts)


def experts(events: Sequence[Event]) -> Chart:
    """Validation NDCG@10 of each expert by its training step, while it learns from the full log."""
    figure = go.Figure()
    colours = (palette.BLUE, palette.VERMILION, palette.GREEN, palette.PURPLE, palette.OCHRE, palette.GREY)
    dashes = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
    said = []
    scored = [event for event in events if event.get("score") is not None]
    for number in sorted({event["expert"] for event in scored}):
        mine = [event for event in scored if event["expert"] == number]
        figure.add_trace(
            go.Scatter(
                x=[event["step"] for event in mine],
                y=[event["score"] for event in mine],
                name=f"expert {number + 1}",
                mode="lines+markers",
                line={"color": colours[number % 6], "dash": dashes[number % 6], "width": 2},
                hovertemplate="%{y:.3f}",
            )
        )
        said.append(f"expert {number + 1} is at {words.score(mine[-1]['score'])} after step {mine[-1]['step']}")
    figure.update_layout(
        height=280,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        hovermode="x unified",
        uirevision="experts",
        legend={"orientation": "h", "y": -0.25, "x": 0},
    )
    figure.update_xaxes(title_text="training step on the full log", rangemode="tozero")
    figure.update_yaxes(title_text="NDCG@10, validation", rangemode="tozero", nticks=5)
    return Chart(figure, f"Experts' validation NDCG@10 by training step: {'; '.join(said) or 'nothing yet'}.")
