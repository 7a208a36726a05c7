"""The chart of a sweep as plain SVG: for every data set one panel of recall and one of co-occurrence or bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from foster.exporters.drawing import nice_ticks
from foster.markup import Markup, join, plain, tag

# (row, name, colour, dash): a curve differs in more than its colour
CURVES = (
    ("soft", "foster, soft", "#00639c", None),
    ("start_soft", "its start", "#56b4e9", "6 3"),
    ("teacher_uniform", "uniform items, teacher's labels", "#b35900", "2 3"),
    ("hard", "foster, hard", "#5b2a86", None),
    ("random", "random real sequences", "#6b7178", "8 3 2 3"),
)
PANEL, HIGH, LEFT, RIGHT, TOP, BASE = 420, 330, 52, 400, 52, 232
INK, SOFT, LINE, PAPER = "#1b1f24", "#555b61", "#dcded9", "#fcfcfb"
FONT = "system-ui, 'DejaVu Sans', sans-serif"

Pairs = Sequence[tuple[float, float]]


def drawn(found: dict[str, Any]) -> str:
    """found: of a complete `foster.bench.sweep`."""
    part = {"valid": "validation", "test": "test"}[found["part"]]
    names, rows = f"Recall@10 on {part} items", []
    budget = found["over"] == "sequences"
    for number, each in enumerate(found["sets"]):
        points, title = each["points"], plain(str(each["data"]).rstrip("/").rsplit("/", 1)[-1], 30)
        full = points[0]["rows"]["full"]["mean"]
        at = [point["value"] for point in points]
        recall = [
            (name, colour, dash, [(x, point["rows"][row]["mean"]) for x, point in zip(at, points, strict=True)])
            for row, name, colour, dash in CURVES
        ]
        left = _panel(f"{title}: {names}", recall, "sequences" if budget else "γ", full, ticks=at, log=budget)
        if budget:
            second = [
                (
                    name,
                    colour,
                    dash,
                    [(point["stored_bytes"][form] / 1000, point["rows"][form]["mean"]) for point in points],
                )
                for form, name, colour, dash in (CURVES[0], CURVES[3])
            ]
            right = _panel(f"{title}: the same by size", second, "stored kB", full, log=True)
        else:
            value = [
                ("regulariser", CURVES[0][2], None, [(x, p["regulariser"]) for x, p in zip(at, points, strict=True)])
            ]
            right = _panel(f"{title}: divergence of co-occurrence from similarity, nats", value, "γ", None, ticks=at)
        rows.append(
            tag(
                "g", left, tag("g", right, transform=f"translate({PANEL} 0)"), transform=f"translate(0 {number * HIGH})"
            )
        )
    width, height = 2 * PANEL, HIGH * len(rows)
    paper = tag("rect", width=width, height=height, fill=PAPER)
    return tag(
        "svg",
        paper,
        *rows,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
    )


def _panel(
    title: str,
    curves: Sequence[tuple[str, str, str | None, Pairs]],
    unit: str,
    full: float | None,
    *,
    ticks: Sequence[float] | None = None,
    log: bool = False,
) -> Markup:
    """One chart: axes, curves, key. log: the horizontal axis; without it, given ticks stand evenly apart."""
    x_of = _scale([x for *_, pairs in curves for x, _ in pairs], ticks, log)
    ys = [y for *_, pairs in curves for _, y in pairs] + ([] if full is None else [full])
    marks = nice_ticks(min(0.0, *ys) if full is not None else min(ys), max(ys), 4)
    low, high = marks[0], marks[-1]

    def y_of(value: float) -> float:
        return BASE - (BASE - TOP) * (value - low) / (high - low or 1.0)

    parts = [_text(title, 8, 22, INK, weight=600)]
    for mark in marks:
        parts.append(tag("path", d=f"M{LEFT} {y_of(mark):.1f}H{RIGHT}", stroke=LINE))
        parts.append(_text(f"{mark:g}", LEFT - 6, y_of(mark) + 4, SOFT, "end"))
    for mark in ticks or sorted({x for *_, pairs in curves for x, _ in pairs}):
        parts.append(tag("path", d=f"M{x_of(mark):.1f} {BASE}v4", stroke=SOFT))
        if ticks is not None:
            parts.append(_text(f"{mark:g}", x_of(mark), BASE + 18, SOFT, "middle"))
    if ticks is None:
        everything = [x for *_, pairs in curves for x, _ in pairs]
        for mark in (min(everything), max(everything)):
            parts.append(_text(f"{mark:,.3g}", x_of(mark), BASE + 18, SOFT, "middle"))
    parts.append(_text(unit, (LEFT + RIGHT) / 2, BASE + 34, SOFT, "middle"))
    if full is not None:
        level = f"M{LEFT} {y_of(full):.1f}H{RIGHT}"
        parts.append(tag("path", d=level, stroke=INK, stroke_width=1.5, stroke_dasharray="1 4"))
        parts.append(_text("full data", RIGHT, y_of(full) - 5, INK, "end"))
    for place, (name, colour, dash, pairs) in enumerate(curves):
        spots = [(x_of(x), y_of(y)) for x, y in pairs]
        line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
        parts.append(tag("path", d=line, stroke=colour, stroke_width=2, stroke_dasharray=dash, fill="none"))
        parts += [tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, fill=colour) for x, y in spots]
        if len(curves) > 1:
            column, row = LEFT + 220 * (place % 2), BASE + 54 + 16 * (place // 2)
            line = f"M{column} {row - 4}h24"
            parts.append(tag("path", d=line, stroke=colour, stroke_width=2, stroke_dasharray=dash))
            parts.append(_text(name, column + 30, row, SOFT))
    return tag("g", join(*parts), font_family=FONT, font_size=12)


def _scale(values: Sequence[float], ticks: Sequence[float] | None, log: bool) -> Callable[[float], float]:
    if ticks is not None and not log:
        step = (RIGHT - LEFT) / max(1, len(ticks) - 1)
        places = {value: LEFT + step * number for number, value in enumerate(ticks)}
        return lambda value: places[value]
    low, high = math.log(min(values)), math.log(max(values))
    return lambda value: LEFT + (RIGHT - LEFT) * (math.log(value) - low) / (high - low or 1.0)


def _text(said: str, x: float, y: float, colour: str, anchor: str | None = None, weight: int | None = None) -> Markup:
    return tag("text", said, x=f"{x:.1f}", y=f"{y:.1f}", fill=colour, text_anchor=anchor, font_weight=weight)
