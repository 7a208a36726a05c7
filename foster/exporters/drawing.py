"""Charts as plain SVG without a script: bars with spread, curves over steps, the item map. Classes are in report.css.

Every mark differs in more than its colour: bars carry their numbers, curves their dash and their name, points their
shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from foster import words
from foster.markup import Markup, join, plain, tag
from foster.verdict import METRIC, NAMES

WIDTH = 560
MOST_POINTS = 4_000  # of the map; more only make the file large
MOST_STEPS = 300  # of a curve
GROUPS = 7
LABELS = 10

VALID = "validation"
# (title, its curves: key of the event, name, class); terms of one scale share a panel
PANELS = (
    (
        "Divergence and loss, nats",
        (
            ("synthetic_theta", "synthetic at θ", "a"),
            ("synthetic_omega", "synthetic at ω", "b"),
            ("real", "real at θ", "c"),
        ),
    ),
    ("Gap between θ and ω, nats", (("gap", "gap", "d"),)),
    ("Regulariser", (("regulariser", "regulariser", "e"),)),
    (f"Recall@10 of a fresh student, {VALID}", ((METRIC, "recall", "f"),)),
)

Event = Mapping[str, Any]


def bars(rows: Mapping[str, Any], split: str) -> Markup | None:
    """Recall@10 of every row as a bar, ± one standard deviation as a line over its end."""
    found = [(NAMES.get(name, name), name, row[METRIC]) for name, row in rows.items() if METRIC in (row or {})]
    if not found:
        return None
    top = max(each["mean"] + (each.get("std") or 0) for _, _, each in found) or 1.0
    step, room = 44, WIDTH - 4
    lines = []
    for number, (label, name, each) in enumerate(found):
        y, end, spread = number * step, room * each["mean"] / top, room * (each.get("std") or 0.0) / top
        lines += [
            tag("text", plain(label, 48), x=0, y=y + 14, class_="name"),
            tag("text", words.measure(each), x=WIDTH, y=y + 14, class_="figure"),
            tag("rect", x=0, y=y + 20, width=room, height=11, rx=3, class_="track"),
            tag("rect", x=0, y=y + 20, width=f"{end:.1f}", height=11, rx=3, class_=f"bar {_known(name)}"),
        ]
        if spread:
            left, right = max(0.0, end - spread), end + spread
            lines.append(
                tag(
                    "path",
                    d=f"M{left:.1f} {y + 25.5}H{right:.1f}M{left:.1f} {y + 21}v9M{right:.1f} {y + 21}v9",
                    class_="spread",
                )
            )
    said = "; ".join(f"{label} {words.measure(each)}" for label, _, each in found)
    return _svg(join(*lines), WIDTH, step * len(found), f"Recall@10 on {split} items: {said}", "bars")


def curves(distil: Sequence[Event], valid: Sequence[Event]) -> Markup | None:
    """The terms of the distillation over its steps, a panel for each scale; None where nothing was recorded."""
    panels = [(title, terms, valid if title.endswith(VALID) else distil) for title, terms in PANELS]
    drawn = [(title, terms, _thin(events)) for title, terms, events in panels if _values(events, terms[0][0])]
    if not drawn:
        return None
    last = max(float(event["step"]) for _, _, events in drawn for event in events) or 1.0
    high, parts, said = 150, [], []
    for number, (title, terms, events) in enumerate(drawn):
        panel, words_of = _panel(title, terms, events, last, bottom=number == len(drawn) - 1)
        parts.append(tag("g", panel, transform=f"translate(0 {number * high})"))
        said.append(words_of)
    return _svg(
        join(*parts), WIDTH, high * len(drawn) + 24, "Over the steps of the distillation. " + " ".join(said), "curves"
    )


def _panel(
    title: str, terms: Sequence[tuple[str, str, str]], events: Sequence[Event], last: float, bottom: bool
) -> tuple[Markup, str]:
    found = [(name, kind, values) for key, name, kind in terms if (values := _values(events, key))]
    everything = [value for _, _, values in found for _, value in values]
    ticks = nice_ticks(min(everything), max(everything), 3)
    low, high = min(ticks[0], *everything), max(ticks[-1], *everything)
    left, right, top, base = 46, 448, 30, 136

    def at(step: float, value: float) -> tuple[float, float]:
        return left + (right - left) * step / last, base - (base - top) * (value - low) / (high - low or 1.0)

    parts = [tag("text", title, x=0, y=16, class_="name")]
    for tick in ticks:
        _, y = at(0, tick)
        parts += [
            tag("path", d=f"M{left} {y:.1f}H{right}", class_="grid"),
            tag("text", f"{tick:g}", x=left - 6, y=f"{y + 4:.1f}", class_="tick end"),
        ]
    if bottom:
        for tick in nice_ticks(0, last, 4):
            if tick <= last:
                parts.append(
                    tag("text", words.count(tick), x=f"{at(tick, low)[0]:.1f}", y=base + 18, class_="tick middle")
                )
        parts.append(tag("text", "step", x=right + 10, y=base + 18, class_="tick"))
    ends = _apart([at(*values[-1])[1] for _, _, values in found], 14)
    said = []
    for (name, kind, values), end in zip(found, ends, strict=True):
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*pair) for pair in values))
        parts.append(tag("path", d=path, class_=f"curve {kind}"))
        if len(values) <= 12:
            parts += [
                tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, class_=f"dot {kind}")
                for x, y in (at(*p) for p in values)
            ]
        parts.append(tag("text", name, x=right + 10, y=f"{end + 4:.1f}", class_=f"tick {kind}"))
        said.append(f"{name} from {values[0][1]:.3g} to {values[-1][1]:.3g}")
    return join(*parts), f"{title}: {', '.join(said)}."


def item_map(points: Any, view: str, name: str) -> Markup:
    """One point an item. points: a table with x_{view}, y_{view}, category, title and mass, the weightiest first."""
    size, pad = 420, 12
    shown = points.iloc[:MOST_POINTS]
    x, y = (_scaled(shown[f"{axis}_{view}"].to_numpy(dtype=float), pad, size - pad) for axis in "xy")
    category = shown["category"].astype(str).to_numpy()
    names = groups(points)
    parts = []
    for number, group in enumerate([*names, None]):
        inside = category == group if group is not None else ~np.isin(category, names)
        if inside.any():
            shapes = "".join(shape(number, px, size - py) for px, py in zip(x[inside], y[inside], strict=True))
            parts.append(tag("path", d=shapes, class_=f"points c{number}"))
    parts += _labels(list(zip(x, size - y, shown["title"], strict=True)), size)
    said = f"{name}: {words.plural(len(shown), 'item')} as points, coloured and shaped by category"
    return _svg(join(*parts), size, size, said, "map")


def groups(points: Any) -> list[str]:
    """The largest categories, each with a colour and a shape; all others share the last."""
    return [str(name) for name in points["category"].value_counts().index if str(name) != "other"][:GROUPS]


def key(number: int) -> Markup:
    """The mark of a group, for a legend."""
    return tag(
        "svg", tag("path", d=shape(number, 6, 6), class_=f"points c{number}"), viewBox="0 0 12 12", aria_hidden="true"
    )


def shape(number: int, x: float, y: float) -> str:
    """Path data of one point: eight shapes, told apart without colour."""
    spot = f"M{x:.1f} {y:.1f}"
    return (
        spot
        + (
            "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
            "m-2.6-2.6h5.2v5.2h-5.2z",
            "m0-3.6l3.6 3.6l-3.6 3.6l-3.6-3.6z",
            "m-1-3.4h2v2.4h2.4v2h-2.4v2.4h-2v-2.4h-2.4v-2h2.4z",
            "m0-3.4l3.3 5.8h-6.6z",
            "m-3.2-2l1.2-1.2l2 2l2-2l1.2 1.2l-2 2l2 2l-1.2 1.2l-2-2l-2 2l-1.2-1.2l2-2z",
            "m0 3.4l3.3-5.8h-6.6z",
            "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0m1.2 0a1.8 1.8 0 1 1 3.6 0a1.8 1.8 0 1 1-3.6 0",
        )[number % 8]
    )


def nice_ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers that cover the range.

    >>> nice_ticks(0.12, 0.47, 3)
    [0.0, 0.2, 0.4, 0.6]
    """
    span = high - low or abs(high) or 1.0
    rough = span / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _labels(spots: Sequence[tuple[float, float, str]], size: int) -> list[Markup]:
    """The titles of the weightiest items, as many as do not cover each other."""
    placed: list[tuple[float, float, float, float]] = []
    parts: list[Markup] = []
    for x, y, title in spots[: 6 * LABELS]:
        text = plain(title, 24)
        wide, left = 5.6 * len(text), x < size / 2
        box = (x + 6 if left else x - 6 - wide, y - 7, x + 6 + wide if left else x - 6, y + 5)
        inside = box[0] >= 0 and box[2] <= size and box[1] >= 0 and box[3] <= size
        if not inside or any(a < box[2] and box[0] < c and b < box[3] and box[1] < d for a, b, c, d in placed):
            continue
        placed.append(box)
        parts.append(tag("text", text, x=f"{x + 6 if left else x - 6:.1f}", y=f"{y + 4:.1f}",
                         class_="label" if left else "label end"))  # fmt: skip
        if len(parts) == LABELS:
            break
    return parts


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """The same places, moved down where two are nearer than `gap`; in the order given."""
    moved, before = list(places), -math.inf
    for index in sorted(range(len(places)), key=places.__getitem__):
        before = moved[index] = max(places[index], before + gap)
    return moved


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    values = np.nan_to_num(values)
    span = float(np.ptp(values)) or 1.0
    return low + (high - low) * (values - values.min()) / span


def _values(events: Iterable[Event], term: str) -> list[tuple[float, float]]:
    pairs = ((event.get("step"), event.get(term)) for event in events)
    return [
        (float(step), float(value))
        for step, value in pairs
        if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value)
    ]


def _thin(events: Sequence[Event]) -> list[Event]:
    """Evenly spaced, the first and the last among them."""
    if len(events) <= MOST_STEPS:
        return list(events)
    return [events[round(k * (len(events) - 1) / (MOST_STEPS - 1))] for k in range(MOST_STEPS)]


def _known(name: str) -> str:
    return name if name in ("soft", "hard", "full") else ""


def _svg(inside: Markup, width: int, height: int, said: str, kind: str) -> Markup:
    return tag("svg", inside, viewBox=f"0 0 {width} {height}", role="img", aria_label=said, class_=f"chart {kind}")
