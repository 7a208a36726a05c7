"""The grid as a heat map that is a table: each cell says its number or its state in words and leads to its run.

Colours are mixed here, for both themes, with black or white text, whichever stands out: at least 4.5 to 1 on every
shade. No streamlit in here.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from foster.runs import RunState
from foster.ui import words
from foster.ui.grid import Cell, Grid, Place
from foster.ui.markup import Markup, tag

RGB = tuple[int, int, int]
LIGHT: tuple[RGB, RGB] = ((236, 240, 243), (0, 74, 117))
DARK: tuple[RGB, RGB] = ((38, 48, 57), (126, 203, 247))
LEAST_SPAN = 0.1  # shares nearer than this are not blown up to the whole scale of colours

STATES = {
    RunState.QUEUED: "queued",
    RunState.RUNNING: "running",
    RunState.DONE: "no score",
    RunState.FAILED: "failed",
    RunState.STOPPED: "stopped",
    RunState.LOST: "lost",
}
Link = Callable[[str], dict[str, str]]
"""run id → the address that opens it."""


def mixed(ends: tuple[RGB, RGB], depth: float) -> RGB:
    """depth 0 is the first colour, 1 the second."""
    low, high = ends
    r, g, b = (round(a + (z - a) * depth) for a, z in zip(low, high, strict=True))
    return r, g, b


def luminance(colour: RGB) -> float:
    """Relative luminance after WCAG 2.

    >>> luminance((255, 255, 255)), luminance((0, 0, 0))
    (1.0, 0.0)
    """
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink(colour: RGB) -> str:
    """The text colour that stands out more.

    >>> ink((255, 255, 255)), ink((0, 74, 117))
    ('#000000', '#ffffff')
    """
    shine = luminance(colour)
    return "#000000" if (shine + 0.05) / 0.05 >= 1.05 / (shine + 0.05) else "#ffffff"


def shade(depth: float) -> str:
    """A cell's colours as CSS, for a share at `depth` of the scale."""
    light, dark = mixed(LIGHT, depth), mixed(DARK, depth)
    return f"background:light-dark({_hex(light)},{_hex(dark)});color:light-dark({ink(light)},{ink(dark)})"


def _hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def scale(shown: Grid) -> tuple[float, float]:
    """The shares at which the colours begin and end."""
    shares = shown.shares.values()
    low, high = min(shares, default=0.0), max(shares, default=1.0)
    missing = max(0.0, LEAST_SPAN - (high - low))
    return max(0.0, low - missing / 2), high + missing / 2


def heat_map(shown: Grid, chosen: str | None, link: Link) -> Markup:
    """chosen: the run whose cell is marked."""
    span = scale(shown)
    corner = tag("td", tag("span", "sequences ↓", class_="axis"), tag("span", "γ →", class_="axis"), class_="corner")
    head = tag("tr", corner, *(tag("th", f"{weight:g}", scope="col") for weight in shown.weights))
    body = [
        tag(
            "tr",
            tag("th", words.count(count), scope="row"),
            *(_cell((count, weight), shown.cells.get((count, weight)), span, chosen, link) for weight in shown.weights),
        )
        for count in shown.sequences
    ]
    caption = tag(
        "caption",
        "Soft Recall@10 on validation items as a share of full data, by number of sequences and weight γ",
    )
    table = tag("table", caption, tag("thead", head), tag("tbody", *body), class_="heat")
    return tag("div", table, _legend(span) if shown.shares else None, class_="heat-frame")


def _cell(place: Place, cell: Cell | None, span: tuple[float, float], chosen: str | None, link: Link) -> Markup:
    if cell is None:
        return tag("td", tag("span", "no run", class_="state"), class_="none")
    told, more = tell(cell)
    name = f"{words.plural(place[0], 'sequence')}, γ {place[1]:g}: {told}{', ' + more if more else ''}; open this run"
    is_chosen = cell.run_id == chosen
    inside = [tag("span", told, class_="value" if cell.score else "state"), tag("span", more, class_="more")]
    if cell.state is RunState.RUNNING:
        bar = tag("b", style=f"width:{100 * min(1.0, cell.fraction):.0f}%")
        inside.append(tag("span", bar, class_="bar", aria_hidden="true"))
    style = None
    if cell.score and cell.score.share is not None:
        low, high = span
        style = shade((cell.score.share - low) / (high - low))
    opens = tag(
        "a",
        *inside,
        href="?" + urlencode(link(cell.run_id)),
        target="_self",
        aria_label=name,
        aria_current="true" if is_chosen else None,
        style=style,
    )
    return tag("td", opens, class_=" ".join(filter(None, (cell.state.value, "chosen" if is_chosen else ""))))


def tell(cell: Cell) -> tuple[str, str]:
    """What a cell says, and the small print under it."""
    if cell.score and cell.score.share is not None:
        spread = f"±\u00a0{100 * cell.score.share_std:.1f}, n\u00a0=\u00a0{cell.score.n}"
        return words.share(cell.score.share), spread if cell.score.n > 1 else "n\u00a0=\u00a01"
    if cell.state is RunState.RUNNING:
        return "paused" if cell.paused else "running", f"{words.share(cell.fraction)} done"
    return STATES[cell.state], ""


def _legend(span: tuple[float, float]) -> Markup:
    low, high = span
    steps = [tag("i", style=shade(number / 7)) for number in range(8)]
    return tag(
        "p",
        tag("span", words.share(low)),
        tag("span", *steps, class_="ramp", aria_hidden="true"),
        tag("span", f"{words.share(high)} of full data"),
        class_="heat-legend",
    )


def as_table(shown: Grid) -> list[dict[str, object]]:
    """The same in rows, with exact numbers, places without a run included."""
    rows: list[dict[str, object]] = []
    for count in shown.sequences:
        for weight in shown.weights:
            cell = shown.cells.get((count, weight))
            score = cell.score if cell else None
            rows.append(
                {
                    "Sequences": count,
                    "γ": weight,
                    "State": cell.state.value if cell else "no run",
                    "Done": cell.fraction if cell else None,
                    "Share of full data": score.share if score else None,
                    "± (share)": score.share_std if score and score.n > 1 else None,
                    "Recall@10, validation": score.mean if score else None,
                    "n": score.n if score else None,
                    "Run": cell.run_id if cell else None,
                }
            )
    return rows
