"""A log as two figures: how long histories are, and how unequal items. No streamlit in here."""

from __future__ import annotations

import plotly.graph_objects as go

from foster.ui import palette, words
from foster.ui.charts import Chart
from foster.ui.log_facts import LogFacts, say_lengths, say_popularity

_MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}
HEIGHT = 270


def lengths(log: LogFacts) -> Chart:
    """Users by the number of their events, as bars of one width; the last one holds the longest."""
    names = [_span(low, high) for low, high, _ in log.length_bins]
    low, high, _ = log.length_bins[-1]
    if len(names) > 1 and high - low > log.length_bins[0][1] - log.length_bins[0][0]:
        names[-1] = f"{words.count(low)} and more"
    figure = go.Figure(
        go.Bar(
            x=names,
            y=[users for _, _, users in log.length_bins],
            marker={"color": palette.BLUE, "line_width": 0},
            hovertemplate="%{x} events: %{y:,} users<extra></extra>",
        )
    )
    figure.update_layout(height=HEIGHT, margin=_MARGIN, bargap=0.12, showlegend=False, uirevision="lengths")
    figure.update_xaxes(title_text="events of a user", type="category", nticks=9, tickangle=0)
    figure.update_yaxes(title_text="users", nticks=5, rangemode="tozero")
    return Chart(figure, f"Histogram of history lengths over {words.plural(log.users, 'user')}. {say_lengths(log)}")


def _span(low: int, high: int) -> str:
    return words.count(low) if low == high else f"{words.count(low)}–{words.count(high)}"


def popularity(log: LogFacts) -> Chart:
    """Events of an item by its rank, both axes logarithmic."""
    figure = go.Figure(
        go.Scatter(
            x=[rank for rank, _ in log.curve],
            y=[events for _, events in log.curve],
            mode="lines+markers" if len(log.curve) <= 15 else "lines",
            line={"color": palette.BLUE, "width": 2.5},
            hovertemplate="number %{x:,}: %{y:,} events<extra></extra>",
        )
    )
    figure.update_layout(height=HEIGHT, margin=_MARGIN, showlegend=False, uirevision="popularity")
    figure.update_xaxes(title_text="items, the most popular first", type="log", dtick=1, tickformat=",")
    figure.update_yaxes(title_text="events of the item", type="log", dtick=1, tickformat=",")
    return Chart(
        figure, f"Popularity curve over {words.plural(log.items, 'item')}, both axes logarithmic. {say_popularity(log)}"
    )
