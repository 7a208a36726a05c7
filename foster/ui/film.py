"""The picture that moves: a wall of the log's titles, then the synthetic sequences step by step, then the result.

Plain HTML driven by one CSS clock (style.css): every word has the moments between which it shows, so nothing runs on
the server and there is no script. It plays three times; the last frame is what stays, and all there is when motion is
unwelcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foster.ui import words
from foster.ui.markup import Markup, plain, tag
from foster.ui.rows import Place, Row

SEQUENCES, POSITIONS, FRAMES, WALL = 5, 6, 9, 78
FIRST, LAST = 3.0, 12.0  # on the clock, which runs from 0 to 16: the snapshots; before them the wall
END = 16.0
LEGEND = "Small: the title a student reads at a position. Large: what it is taught to recommend next, with its weight."
LEGEND_WITHOUT_LABELS = "The likeliest title at each position, with its weight."


@dataclass(frozen=True)
class Scene:
    """step: of the snapshot; rows: the sequences at that step; recall: a fresh student's, if known."""

    step: int
    rows: Sequence[Row]
    recall: float | None = None


def pick_steps(steps: Sequence[int], frames: int = FRAMES) -> list[int]:
    """At most `frames` of the snapshots' steps, evenly by rank (they are log-spaced), first and last included.

    >>> pick_steps([0, 1, 2, 4, 8, 16], 3)
    [0, 2, 16]
    """
    if len(steps) <= frames:
        return list(steps)
    return [steps[round(i * (len(steps) - 1) / (frames - 1))] for i in range(frames)]


def film(scenes: Sequence[Scene], wall: Sequence[str], log: str, result: str, headline: str) -> Markup:
    """scenes: at least one, in order of steps. wall: titles of the log. log, result: what the captions say of them."""
    starts = [FIRST + (LAST - FIRST) * number / len(scenes) for number in range(len(scenes))]
    times = list(zip(starts, [*starts[1:], END + 1], strict=True))
    taught = all(place.labels for scene in scenes for row in scene.rows for place in row.places[:POSITIONS])
    largest = (
        max((place.shown.weight for scene in scenes for row in scene.rows for place in row.places), default=1.0) or 1.0
    )
    grid = []
    for line, row in enumerate(scenes[0].rows[:SEQUENCES]):
        over_time = zip(*(scene.rows[line].places[:POSITIONS] for scene in scenes), strict=True)
        cells = [_cell(places, times, largest) for places in over_time]
        grid.append(tag("div", tag("span", str(row.number + 1), class_="number"), *cells, class_="film-row"))
    fitting = WALL * len(grid) // SEQUENCES  # of a few sequences the stage is low
    bricks = [tag("bdi", plain(title, 44), style=_brick(number)) for number, title in enumerate(wall[:fitting])]
    columns = max((len(row.places[:POSITIONS]) for row in scenes[0].rows), default=POSITIONS)
    said = [_caption(scene, scene is scenes[-1], result) for scene in scenes]
    captions = [_timed("p", span.value, span) for span in [Span(log, -1, FIRST - 0.35), *_spans(said, times)]]
    picture = tag(
        "div",
        tag(
            "div",
            tag("div", *bricks, class_="film-wall"),
            tag("div", *grid, class_="film-grid", style=f"--columns:{columns}"),
            class_="film-stage",
        ),
        tag("div", *captions, class_="film-caption"),
        tag("div", tag("b"), class_="film-clock"),
        class_="film-picture",
        role="img",
        aria_label=_alt(scenes, log, result),
    )
    pause = tag("label", tag("input", type="checkbox"), " Pause the picture", class_="film-pause")
    legend = tag("span", LEGEND if taught else LEGEND_WITHOUT_LABELS, class_="hint")
    return tag("section", picture, tag("div", pause, legend, class_="film-foot"), class_="film", aria_label=headline)


def _cell(places: Sequence[Place], times: Sequence[tuple[float, float]], largest: float) -> Markup:
    """One place over time: what is read there, small, and what is taught to follow, large, with its weight as a bar.

    Without labels the title read is the large one. Equal neighbours are one word, or one bar, that stays.
    """
    large = [place.shown for place in places]
    both = all(place.labels and place.read for place in places)
    read = _spans([place.read[0].title for place in places], times) if both else []
    words_ = _spans([option.title for option in large], times)
    bars = _spans([f"{option.weight / largest:.1f}" for option in large], times)
    return tag(
        "div",
        tag("div", *[_timed("bdi", plain(span.value, 40), span) for span in read], class_="read") if both else None,
        tag("div", *[_timed("bdi", plain(span.value, 60), span) for span in words_]),
        *[_timed("i", "", span, f";--c:{span.value}") for span in bars],
        class_="film-cell",
    )


@dataclass(frozen=True)
class Span:
    """A value and the time on the clock between which it shows."""

    value: str
    start: float
    end: float


def _spans(values: Sequence[str], times: Sequence[tuple[float, float]]) -> list[Span]:
    """A value that stays is one span.

    >>> _spans(["a", "a", "b"], [(0, 1), (1, 2), (2, 3)])
    [Span(value='a', start=0, end=2), Span(value='b', start=2, end=3)]
    """
    spans: list[Span] = []
    for value, (start, end) in zip(values, times, strict=True):
        if spans and spans[-1].value == value:
            spans[-1] = Span(value, spans[-1].start, end)
        else:
            spans.append(Span(value, start, end))
    return spans


def _timed(name: str, text: str, span: Span, more: str = "") -> Markup:
    return tag(name, text, style=f"--a:{span.start:.2f};--b:{span.end:.2f}{more}")


def _brick(number: int) -> str:
    """A place on the wall and a moment to leave it, scattered but the same every time."""
    return f"--a:-1;--b:{1.6 + (number * 37 % 29) / 29 * 1.8:.2f};--d:{(number * 53 % 17) / 17:.2f}"


def _caption(scene: Scene, last: bool, result: str) -> str:
    if last:
        return result
    recall = (
        f" · a fresh student's Recall@10 {words.score(scene.recall)} on validation" if scene.recall is not None else ""
    )
    return f"Distillation step {words.count(scene.step)}{recall}"


def _alt(scenes: Sequence[Scene], log: str, result: str) -> str:
    def titles(scene: Scene) -> str:
        return "; ".join(map(_say, scene.rows[0].places[:POSITIONS])) if scene.rows else ""

    return (
        f"{log} They condense in {words.plural(len(scenes), 'picture')}. "
        f"The first sequence starts as: {titles(scenes[0])}. It ends as: {titles(scenes[-1])}. {result}"
    )


def _say(place: Place) -> str:
    title = plain(place.shown.title, 60)
    return f"after {plain(place.read[0].title, 60)} comes {title}" if place.read and place.labels else title
