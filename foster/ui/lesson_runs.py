"""Runs shipped beside the demo to show what a setting is worth, and toy experiments on the like; no streamlit here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foster.ui import words
from foster.ui.lineup import SOFT, Entrant, Metric, differences, groups, shared_part
from foster.ui.reasons import HARMLESS, beyond_chance, points, used_otherwise


@dataclass(frozen=True)
class Lesson:
    """run_id: of the shipped run. toy: what the address of Learn asks for; toy_text: what one sees there."""

    run_id: str
    name: str
    toy_text: str
    toy: Mapping[str, str] = field(default_factory=dict)


LESSONS = (
    Lesson(
        "lesson-tiny-budget",
        "A tiny budget",
        "One sequence of eight books instead of 400 readers.",
        {"lesson": "2", "dial": "1"},
    ),
    Lesson(
        "lesson-no-regulariser",
        "No regulariser",
        "Nothing asks books of like meaning to stand together.",
        {"lesson": "5", "broken": "off"},
    ),
    Lesson(
        "lesson-too-many-steps",
        "Too many steps",
        "Students that take step after step and never go back to their anchor.",
        {"lesson": "4", "broken": "reset"},
    ),
)


def beside_demo(lesson: Entrant, demo: Entrant) -> str:
    """What was done otherwise than in the demo run, and what came of it, both as their reports have it."""
    if len(groups([lesson, demo])) > 1:
        return "It is of other data than the demo run, so their scores say nothing about each other."
    part = shared_part([lesson, demo])
    changed = [each for each in differences([lesson, demo]) if each.field not in {*HARMLESS, "version"}]
    used = used_otherwise(lesson, demo, changed)
    said = f"It {used}." if used else "It was asked for the same as the demo run."
    mine, its = (entrant.score(SOFT, Metric.RECALL, part) for entrant in (lesson, demo))
    if mine is None or its is None or mine.share is None or its.share is None:
        return f"{said} How its soft set compares with the demo's was not measured."
    gap = mine.share - its.share
    versions = {words.version(each.report) for each in (lesson, demo)}
    otherwise = " They were made by different versions of foster." if len(versions) > 1 else ""
    return (
        f"{said} Its soft set reaches {words.share(mine.share)} of full data, {points(mine.share, its.share)} "
        f"{'more' if gap >= 0 else 'less'} than the demo's {words.share(its.share)}: {beyond_chance(gap, mine, its)}."
        f"{otherwise}"
    )
