"""What a run's report says: the names of its rows, and sentences computed from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot
from typing import Any

from foster import words

METRIC = "recall@10"
NAMES = {
    "full": "Everything",
    "ensemble": "Everything, the teachers together",
    "soft": "Distilled, soft",
    "hard": "Distilled, hard",
    "random": "Random real sequences",
    "teacher_random": "Random real sequences, a teacher's labels",
    "teacher_uniform": "Uniform items, a teacher's labels",
    "start_soft": "Before distillation, soft",
    "start_hard": "Before distillation, hard",
    "bigram": "Last-item bigram, all events",
    "popular": "Most popular, no training",
    "zero_shot": "Text similarity, no training",
    "untrained": "Untrained model",
}
# Other ways to spend the same bytes, or none; random real sequences are told apart from them.
CONTROLS = ("teacher_random", "teacher_uniform", "bigram", "popular", "zero_shot", "untrained")


def split_of(report: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """(name of the split, its rows): test when the run was asked for it, else validation."""
    if report.get("test"):
        return "test", report["test"]
    return "validation", report.get("valid") or {}


def of_full(rows: Mapping[str, Any], name: str) -> float | None:
    """The mean of a row as a share of the full-data model's."""
    try:
        return float(rows[name][METRIC]["mean"]) / float(rows["full"][METRIC]["mean"])
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def sentence(report: Mapping[str, Any]) -> str:
    """What the numbers say, computed from them."""
    _, rows = split_of(report)
    budget = report.get("budget") or {}
    many = words.plural(int(budget.get("sequences", 0)), "synthetic sequence")
    soft, random = of_full(rows, "soft"), of_full(rows, "random")
    if soft is None:
        return "This run has no comparison with the full log yet."
    said = f"A recommender trained on {many} reaches {words.share(soft)} of what the whole log teaches"
    if random is not None:
        said += f"; as many real sequences drawn at random reach {words.share(random)}"
    said += "."
    if (start := of_full(rows, "start_soft")) is not None:
        said += f" Before the first step of the distillation it was {words.share(start)}{_unclear(rows)}."
    others = {name: share for name in CONTROLS if (share := of_full(rows, name)) is not None}
    if others:
        best = max(others, key=others.__getitem__)
        said += f" The best control, “{NAMES[best]}”, reaches {words.share(others[best])}."
    return said


def _unclear(rows: Mapping[str, Any]) -> str:
    """What is added where soft students are within their spread of those of the start; '' where single students have
    none."""
    soft, start = rows["soft"][METRIC], rows["start_soft"][METRIC]
    spreads = [each.get("std") for each in (soft, start) if each.get("n", 1) > 1]
    if len(spreads) < 2 or None in spreads or abs(soft["mean"] - start["mean"]) > hypot(*spreads):
        return ""
    untaught = [of_full(rows, name) or 0 for name in ("untrained", "zero_shot", "popular", "bigram")]
    does = ": the labels that it begins with do the work" if (of_full(rows, "soft") or 0) > max(untaught) else ""
    return f", which is no clear difference{does}"


def stored(report: Mapping[str, Any]) -> str:
    """How small the result is, as a sentence; '' if it is not known."""
    size = report.get("stored_bytes") or {}
    if not size.get("soft") or not size.get("log"):
        return ""
    return (
        f"The soft form takes {words.size(size['soft'])}, the hard form {words.size(size.get('hard') or 0)}; "
        f"the training log takes {words.size(size['log'])}."
    )
