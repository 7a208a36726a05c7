"""Text for a terminal: titles are untrusted, so nothing that could steer the terminal gets through."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from foster.disk import taken_bytes
from foster.run_label import read_label
from foster.run_status import RunState, RunStatus
from foster.runs import Run, Survey
from foster.words import size


def plain(text: object, width: int = 1000) -> str:
    """One line of at most `width` printable characters.

    White space is folded; control and format characters (escape codes, text direction) show as a replacement sign.
    """
    folded = " ".join(str(text).split())
    safe = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in folded)
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def say(text: object) -> None:
    """One line on stderr, where progress and errors go."""
    print(plain(text), file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[int] = ()) -> str:
    """Aligned columns, two spaces apart; those in `numbers` to the right."""
    right = set(numbers)
    cells = [list(head), *([plain(cell, 64) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Progress:
    """Called with every status; says a line on stderr at each new stage, each tenth, and each pause."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] | None = None

    def __call__(self, status: RunStatus) -> None:
        key = (status.state, status.stage, int(status.fraction * 10), status.paused)
        if key == self._last or status.is_terminal:
            return
        self._last = key
        if status.state is RunState.QUEUED:
            say("queued, waits for its turn")
            return
        parts = [f"{status.fraction:.0%}", status.stage or "starting", status.message]
        if status.paused:
            parts.append("paused")
        elif status.eta_s is not None:
            parts.append(f"about {duration(status.eta_s)} left")
        say(" · ".join(part for part in parts if part))


def runs_table(survey: Survey) -> str:
    """One line a run; the column of names is there once a run has one."""
    names = [read_label(run).name for run, _ in survey[0]]
    named = any(names)
    rows = [
        (
            run.id,
            *([name] if named else []),
            "paused" if status.paused else status.state,
            f"{status.fraction:.0%}",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(status.created)),
            f"{run.spec.sequences} × {run.spec.length}",
            run.spec.data,
            size(taken_bytes(run.path)),
            status.error or ("shipped with the sample" if run.read_only else status.stage),
        )
        for (run, status), name in zip(survey[0], names, strict=True)
    ]
    head = ("run", *(["name"] if named else []), "state", "done", "created", "budget", "data", "size", "note")
    return table(head, rows, numbers=(head.index("done"), head.index("size")))


def report_table(report: Mapping[str, Any]) -> str:
    """Methods × metrics (mean ± standard deviation over the students), then bytes and seconds."""
    parts = [part for part in ("valid", "test") if report.get(part)]
    metrics = ("recall@10", "ndcg@10")
    names = list(dict.fromkeys(name for part in parts for name in report[part]))
    rows = [
        (name, *(_spread(report[part].get(name, {}).get(metric)) for part in parts for metric in metrics))
        for name in names
    ]
    columns = [f"{part} {metric}" for part in parts for metric in metrics]
    lines = [table(("trained on", *columns), rows, numbers=range(1, len(columns) + 1)), ""]
    if stored := report.get("stored_bytes"):
        lines.append("bytes    " + ", ".join(f"{name} {int(size):,}" for name, size in stored.items()))
    if seconds := report.get("seconds"):
        lines.append("seconds  " + ", ".join(f"{stage} {float(value):.1f}" for stage, value in seconds.items()))
    return "\n".join(lines)


def sequences_text(run: Run, rows: Sequence[Mapping[str, Any]]) -> str:
    """Every synthetic sequence: the titles of its first reading, their share of all readings there, and what it
    recommends after each."""
    lines = [f"run {run.id}: {run.spec.sequences} × {run.spec.length} from {plain(run.spec.data)}"]
    sequences: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        sequences.setdefault(int(row["sequence"]), []).append(row)
    for sequence, positions in sequences.items():
        cells = []
        for row in positions:
            label = row.get("label_title")
            shown = (plain(label, 48), f"{row['label_confidence']:.2f}") if isinstance(label, str) else ("", "")
            cells.append((row["position"], plain(row["title"], 48), f"{row['confidence']:.2f}", *shown))
        positions.sort(key=lambda row: int(row["position"]))
        ends = [a for a, b in pairwise(positions) if a.get("session", 0) != b.get("session", 0)]
        opens = ", ".join(str(int(row["position"]) + 1) for row in ends)  # "at" counts from 0
        lines += ["", f"sequence {sequence}" + (f", read anew from {opens}" if opens else "")]
        lines.append(table(("at", "title", "share", "then recommend", "confidence"), cells, numbers=(0, 2, 4)))
    return "\n".join(lines)


def _spread(value: Mapping[str, Any] | None) -> str:
    if not value or value.get("mean") is None:
        return "–"
    return f"{value['mean']:.4f} ± {value['std']:.4f}" if value.get("std") is not None else f"{value['mean']:.4f}"
