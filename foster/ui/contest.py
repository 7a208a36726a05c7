"""Runs against each other as figures: standings with error bars, the budget curve, where the time went. No streamlit
in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import log10

import plotly.graph_objects as go

from foster.spec import RunSpec
from foster.ui import palette, words
from foster.ui.charts import Chart, hover_text
from foster.ui.costs import STAGES
from foster.ui.lineup import (
    HARD,
    METRIC_NAMES,
    PART_NAMES,
    SOFT,
    Entrant,
    Metric,
    Part,
    Score,
    row_name,
    row_order,
)

COLOURS = (palette.BLUE, palette.VERMILION, palette.GREEN, palette.PURPLE, palette.OCHRE, palette.GREY)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
DASHES = ("solid", "dash", "dot")
PATTERNS = ("", ".", "", "/", "", "\\")
STAGE_COLOURS = ("#83878C", "#B8860B", "#1F7FBF", "#D55E00", "#0B9970", "#C06597")
WRAP_AT = 22


class Scale(StrEnum):
    SHARE = "share"
    SCORE = "score"


class Budget(StrEnum):
    SEQUENCES = "sequences"
    BYTES = "bytes"


@dataclass(frozen=True)
class Curve:
    row: str
    symbol: str
    colour: str


CURVES = (
    Curve(SOFT, "circle", palette.BLUE),
    Curve(HARD, "diamond", palette.VERMILION),
    Curve("random", "square", palette.GREY),
)


def standings(entrants: Sequence[Entrant], metric: Metric, part: Part, scale: Scale) -> Chart:
    """Every row of every report as a point with the spread of its students."""
    rows = row_order(entrants, metric, part)
    figure = go.Figure()
    said = []
    for number, entrant in enumerate(entrants):
        found = [(place, row, score) for place, row in enumerate(rows) if (score := entrant.score(row, metric, part))]
        found = [each for each in found if scale is Scale.SCORE or each[2].share is not None]
        shift = 0.0 if len(entrants) == 1 else 0.6 * (number / (len(entrants) - 1) - 0.5)
        figure.add_trace(
            go.Scatter(
                x=[_value(score, scale) for _, _, score in found],
                y=[place + shift for place, _, _ in found],
                error_x={"type": "data", "array": [_spread(score, scale) for _, _, score in found], "thickness": 1.5},
                mode="markers",
                name=entrant.letter,
                marker={"color": COLOURS[number], "symbol": SYMBOLS[number], "size": 11},
                customdata=[[hover_text(row_name(row)), _told(score)] for _, row, score in found],
                hovertemplate=f"{entrant.letter} · %{{customdata[0]}}<br>%{{customdata[1]}}<extra></extra>",
            )
        )
        told = "; ".join(f"{row_name(row)} {_told(score)}" for _, row, score in found)
        said.append(f"{entrant.letter}: {told or 'not measured'}.")
    labels = [_wrapped(row_name(row)) for row in rows]
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=labels, range=[len(rows) - 0.4, -0.6], automargin=True, zeroline=False
    )
    if len(entrants) > 1:  # a row is a band then: its points stand beside its middle
        figure.update_yaxes(showgrid=False)
        for place in range(0, len(rows), 2):
            figure.add_hrect(place - 0.5, place + 0.5, line_width=0, fillcolor=palette.GREY, opacity=0.1, layer="below")
    title = f"{METRIC_NAMES[metric]}, {PART_NAMES[part].lower()}"
    if scale is Scale.SHARE:
        figure.update_xaxes(title_text=f"{title},<br>share of the run's full-data model", tickformat=".0%")
        figure.add_vline(x=1, line={"color": palette.GREY, "width": 1.5, "dash": "dot"})
    else:
        figure.update_xaxes(title_text=title)
    figure.update_xaxes(rangemode="tozero", automargin=True)
    figure.update_layout(
        height=110 + (34 + 9 * (len(entrants) - 1)) * len(rows),
        margin={"l": 8, "r": 16, "t": 34, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        showlegend=len(entrants) > 1,
        hovermode="closest",
        uirevision="standings",
    )
    return Chart(figure, f"{title} of every row, with the spread over students. {' '.join(said)}")


def _value(score: Score, scale: Scale) -> float | None:
    return score.share if scale is Scale.SHARE else score.mean


def _spread(score: Score, scale: Scale) -> float:
    return score.share_std if scale is Scale.SHARE else score.std


def _told(score: Score) -> str:
    return score.text if score.share is None else f"{score.text}, {words.share(score.share)} of full data"


def _wrapped(name: str) -> str:
    """A label in lines of about WRAP_AT characters; only our own line breaks are markup."""
    lines = [""]
    for word in name.split():
        if lines[-1] and len(lines[-1]) + len(word) > WRAP_AT:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(hover_text(line) for line in lines)


def budget_curve(entrants: Sequence[Entrant], metric: Metric, part: Part, axis: Budget) -> Chart:
    """Share of full data by budget: one point a run and form, runs that differ in the budget alone joined by a line."""
    figure = go.Figure()
    said = []
    for curve in CURVES:
        for dash, family in zip(DASHES * len(entrants), _families(entrants), strict=False):
            found = sorted(
                (x, score.share, score.share_std, each.letter)
                for each in family
                if (score := each.score(curve.row, metric, part)) and score.share is not None
                and (x := _budget(each, curve.row, axis))
            )  # fmt: skip
            if not found:
                continue
            xs, shares, spreads, letters = zip(*found, strict=True)
            figure.add_trace(
                go.Scatter(
                    x=xs,
                    y=shares,
                    error_y={"type": "data", "array": spreads, "thickness": 1.5},
                    mode="lines+markers",
                    name=row_name(curve.row),
                    legendgroup=curve.row,
                    showlegend=not any(trace.legendgroup == curve.row for trace in figure.data),
                    line={"color": curve.colour, "width": 2, "dash": dash},
                    marker={"symbol": curve.symbol, "size": 9, "color": curve.colour},
                    customdata=[[letter, _amount(x, axis)] for letter, x in zip(letters, xs, strict=True)],
                    hovertemplate="%{customdata[0]} · %{y:.0%} with %{customdata[1]}<extra></extra>",
                )
            )
            said += [
                f"{row_name(curve.row)} {words.share(share)} with {_amount(x, axis)} ({letter})"
                for x, share, _, letter in found
            ]
    figure.add_hline(y=1, line={"color": palette.GREY, "width": 1.5, "dash": "dot"})
    ticks = sorted({x for trace in figure.data for x in trace.x})
    title = "sequences" if axis is Budget.SEQUENCES else "stored bytes"
    figure.update_xaxes(type="log", title_text=f"{title}, logarithmic")
    if axis is Budget.SEQUENCES:
        figure.update_xaxes(tickvals=ticks, ticktext=[words.count(x) for x in ticks])
    if ticks:  # a single point stands in the middle, not on an axis that spans nothing
        figure.update_xaxes(range=[log10(ticks[0]) - 0.15, log10(ticks[-1]) + 0.15])
    figure.update_yaxes(title_text=f"{METRIC_NAMES[metric]}, share of full data", tickformat=".0%", rangemode="tozero")
    figure.update_layout(
        height=360,
        margin={"l": 8, "r": 16, "t": 34, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        hovermode="closest",
        uirevision=f"budget-{axis}",
    )
    return Chart(figure, f"Share of full data by {title}: {'; '.join(said) or 'nothing measured'}.")


def _families(entrants: Sequence[Entrant]) -> list[list[Entrant]]:
    """Runs that differ in the number of sequences alone."""
    found: dict[RunSpec, list[Entrant]] = {}
    for each in entrants:
        found.setdefault(replace(each.spec, sequences=1, report_test=False), []).append(each)
    return list(found.values())


def _budget(entrant: Entrant, row: str, axis: Budget) -> int | None:
    """Random real sequences are stored like the hard form: as lists of ids."""
    if axis is Budget.SEQUENCES:
        return entrant.spec.sequences
    return entrant.stored.get(SOFT if row == SOFT else HARD)


def _amount(x: float, axis: Budget) -> str:
    return words.plural(int(x), "sequence") if axis is Budget.SEQUENCES else words.size(x)


def seconds(entrants: Sequence[Entrant]) -> Chart:
    """Where each run's time went, stage after stage."""
    stages = list(dict.fromkeys([*STAGES, *(stage for each in entrants for stage in each.seconds)]))
    figure = go.Figure()
    for number, stage in enumerate(stages):
        spent = [each.seconds.get(stage, 0.0) for each in entrants]
        if not any(spent):
            continue
        figure.add_trace(
            go.Bar(
                y=[each.letter for each in entrants],
                x=spent,
                orientation="h",
                name=hover_text(STAGES.get(stage, stage), 40),
                marker={
                    "color": STAGE_COLOURS[number % len(STAGE_COLOURS)],
                    "pattern": {
                        "shape": PATTERNS[number % len(PATTERNS)],
                        "fillmode": "overlay",
                        "fgcolor": "rgba(255,255,255,.6)",
                        "size": 7,
                        "solidity": 0.2,
                    },
                },
                customdata=[words.duration(value) for value in spent],
                hovertemplate="%{y} · %{fullData.name}: %{customdata}<extra></extra>",
            )
        )
    figure.update_layout(
        barmode="stack",
        height=210 + 38 * len(entrants),  # a legend, six lines on a phone, takes at most half of it
        margin={"l": 8, "r": 16, "t": 64, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        uirevision="seconds",
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title_text="seconds", automargin=True)
    told = "; ".join(
        f"{each.letter} {words.duration(sum(each.seconds.values()))}, of which "
        + ", ".join(f"{STAGES.get(stage, stage)} {words.duration(spent)}" for stage, spent in each.seconds.items())
        for each in entrants
        if each.seconds
    )
    return Chart(figure, f"Seconds of each run by stage: {told or 'not measured'}.")
