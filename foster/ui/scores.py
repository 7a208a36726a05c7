"""A report as bars and as a table: what the distilled sequences are worth, beside everything and beside chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foster.ui import words
from foster.ui.markup import Markup, tag
from foster.verdict import METRIC, NAMES, of_full, sentence, split_of, stored

__all__ = ["HEADLINE", "HINTS", "METRIC", "NAMES", "bars", "of_full", "sentence", "split_of", "stored", "table"]

HEADLINE = ("full", "soft", "hard", "random")
HINTS = {
    "full": "trained on the whole log",
    "soft": "fresh students on the stored distributions",
    "hard": "fresh students on the plain item lists",
    "random": "as many real sequences, drawn at random",
}


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
