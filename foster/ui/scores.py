"""A run's report in words and bars: what the distilled sequences are worth, beside everything and beside chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foster.ui import words
from foster.ui.markup import Markup, tag

METRIC = "recall@10"
NAMES = {
    "full": "Everything",
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
HEADLINE = ("full", "soft", "hard", "random")
HINTS = {
    "full": "trained on the whole log",
    "soft": "fresh students on the stored distributions",
    "hard": "fresh students on the plain item lists",
    "random": "as many real sequences, drawn at random",
}


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
    return said + "."


def bars(report: Mapping[str, Any], names: tuple[str, ...] = HEADLINE) -> Markup | None:
    """One bar a row with its spread over seeds; None if the report has none of the rows."""
    _, rows = split_of(report)
    found = [(name, rows[name][METRIC]) for name in names if METRIC in (rows.get(name) or {})]
    if not found:
        return None
    top = max(summary["mean"] + (summary.get("std") or 0) for _, summary in found) or 1.0
    lines = []
    for name, summary in found:
        mean, spread = summary["mean"], summary.get("std") or 0.0
        left, right = max(0.0, mean - spread) / top, (mean + spread) / top
        share = of_full(rows, name)
        lines.append(
            tag(
                "div",
                tag("dt", NAMES.get(name, name), tag("span", HINTS.get(name, ""), class_="hint")),
                tag(
                    "dd",
                    tag(
                        "span",
                        tag("b", style=f"width:{100 * mean / top:.1f}%"),
                        tag("i", style=f"left:{100 * left:.1f}%;width:{100 * (right - left):.1f}%") if spread else None,
                        class_="track",
                        aria_hidden="true",
                    ),
                    tag("span", words.measure(summary), class_="figure"),
                    tag("span", f"{words.share(share)} of everything", class_="hint")
                    if share is not None and name != "full"
                    else None,
                ),
                class_=f"score {name}",
            )
        )
    return tag("dl", *lines, class_="scores")


def table(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every row of the report for a table."""
    split, rows = split_of(report)
    return [
        {
            "Trained on": NAMES.get(name, name),
            f"Recall@10, {split}": words.measure(summary[METRIC]),
            f"NDCG@10, {split}": words.measure(summary["ndcg@10"]) if "ndcg@10" in summary else "",
            "Share of everything": share if (share := of_full(rows, name)) is not None else None,
        }
        for name, summary in rows.items()
        if METRIC in summary
    ]


def stored(report: Mapping[str, Any]) -> str:
    """How small the result is, as a sentence; '' if it is not known."""
    size = report.get("stored_bytes") or {}
    if not size.get("soft") or not size.get("log"):
        return ""
    return (
        f"The soft form takes {words.size(size['soft'])}, the hard form {words.size(size.get('hard') or 0)}; "
        f"the training log takes {words.size(size['log'])}."
    )
