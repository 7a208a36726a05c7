"""The picture that moves: a wall of the log's titles, then the synthetic sequences step by step, then the result.

Plain HTML driven by one CSS clock (style.css): every word has the moments between which it shows, so nothing runs on
the server and there is no script. The last frame is what stays when motion is unwelcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foster.ui import words
from foster.ui.markup import Markup, plain, tag
from foster.ui.titles import Row

SEQUENCES, POSITIONS, FRAMES, WALL = 5, 6, 9, 84
FIRST, LAST = 3.0, 12.0  # on the clock, which runs from 0 to 16: the snapshots; before them the wall
END = 16.0


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
    ends = [*starts[1:], END + 1]
    first = scenes[0].rows[:SEQUENCES]
    grid = [
        tag(
            "div",
            tag("span", str(row.number + 1), class_="number"),
            *[_cell(scenes, starts, ends, line, column) for column in range(min(POSITIONS, len(row.places)))],
            class_="film-row",
        )
        for line, row in enumerate(first)
    ]
    bricks = [tag("bdi", plain(title, 44), style=_brick(number)) for number, title in enumerate(wall[:WALL])]
    captions = [
        _timed("p", log, -1, FIRST - 0.35),
        *[
            _timed("p", _caption(scene, len(scenes) - 1 == number, result), start, end)
            for number, (scene, start, end) in enumerate(zip(scenes, starts, ends, strict=True))
        ],
    ]
    picture = tag(
        "div",
        tag("div", *bricks, class_="film-wall"),
        tag("div", *grid, class_="film-grid"),
        tag("div", *captions, class_="film-caption"),
        tag("div", tag("b"), class_="film-clock"),
        class_="film-picture", role="img", aria_label=_alt(scenes, log, result),
    )  # fmt: skip
    pause = tag("label", tag("input", type="checkbox"), " Pause the picture", class_="film-pause")
    return tag("section", picture, pause, class_="film", aria_label=headline)


def _cell(scenes: Sequence[Scene], starts: Sequence[float], ends: Sequence[float], line: int, column: int) -> Markup:
    """The titles of one place over time; equal neighbours are one word that stays."""
    words_: list[tuple[str, float, float, float]] = []
    for scene, start, end in zip(scenes, starts, ends, strict=True):
        place = scene.rows[line].places[column]
        if words_ and words_[-1][0] == place.title:
            title, begun, _, sure = words_[-1]
            words_[-1] = (title, begun, end, max(sure, place.confidence))
        else:
            words_.append((place.title, start, end, place.confidence))
    return tag("div", *[_timed("bdi", plain(t, 60), a, b, f";--c:{c:.2f}") for t, a, b, c in words_], class_="film-cell")


def _timed(name: str, text: str, start: float, end: float, more: str = "") -> Markup:
    return tag(name, text, style=f"--a:{start:.2f};--b:{end:.2f}{more}")


def _brick(number: int) -> str:
    """A place on the wall and a moment to leave it, scattered but the same every time."""
    return f"--a:-1;--b:{1.6 + (number * 37 % 29) / 29 * 1.8:.2f};--d:{(number * 53 % 17) / 17:.2f}"


def _caption(scene: Scene, last: bool, result: str) -> str:
    if last:
        return result
    recall = f" · a fresh student's Recall@10 {words.score(scene.recall)}" if scene.recall is not None else ""
    return f"Distillation step {words.count(scene.step)}{recall}"


def _alt(scenes: Sequence[Scene], log: str, result: str) -> str:
    def titles(scene: Scene) -> str:
        return "; ".join(plain(place.title, 60) for place in scene.rows[0].places[:POSITIONS]) if scene.rows else ""

    return (
        f"{log} They condense in {words.plural(len(scenes), 'picture')}. "
        f"The first sequence starts as: {titles(scenes[0])}. It ends as: {titles(scenes[-1])}. {result}"
    )
