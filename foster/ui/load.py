"""Tables and reports of a run, cached by the file's own identity: path, size and time of change.

What comes back is a copy; a page may change it.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from foster.runs import Run
from foster.ui.rows import Row, without_history

_FILES = {
    "items": "items.parquet",
    "sequences": "sequences.parquet",
    "neighbours": "neighbours.parquet",
    "map": "map.parquet",
}
Stamp = tuple[str, int, int]


def _stamp(run: Run, name: str) -> Stamp | None:
    try:
        found = (run.path / name).stat()
    except OSError:
        return None
    return str(run.path / name), found.st_mtime_ns, found.st_size


@st.cache_data(max_entries=32, show_spinner=False)
def _table(stamp: Stamp, name: str, _run: Run) -> pd.DataFrame | None:
    return getattr(_run, name)()


@st.cache_data(max_entries=64, show_spinner=False)
def _snapshot(stamp: Stamp, step: int, _run: Run) -> pd.DataFrame:
    return _run.snapshot(step)


@st.cache_data(max_entries=16, show_spinner=False)
def _events(stamp: Stamp, _run: Run) -> list[dict[str, Any]]:
    return _run.events()


@st.cache_data(max_entries=128, show_spinner=False)
def _report(stamp: Stamp, _run: Run) -> dict[str, Any] | None:
    return _run.report()


def table(run: Run, name: str) -> pd.DataFrame | None:
    """items, sequences, neighbours or map; None while it is not written yet. Raises UserError if it is damaged."""
    stamp = _stamp(run, _FILES[name])
    return None if stamp is None else _table(stamp, name, _run=run)


def snapshot(run: Run, step: int) -> pd.DataFrame | None:
    stamp = _stamp(run, f"snapshots/{step:06d}.parquet")
    return None if stamp is None else _snapshot(stamp, step, _run=run)


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    stamp = _stamp(run, "events.jsonl")
    return [] if stamp is None else [event for event in _events(stamp, _run=run) if event.get("kind") == kind]


def told(run: Run, rows: list[Row]) -> list[Row]:
    """Rows as this run's recommender would tell them: without what was read, where nobody takes an item twice."""
    return without_history(rows) if (run.data() or {}).get("history_masked") else rows


def report(run: Run) -> dict[str, Any] | None:
    stamp = _stamp(run, "report.json")
    return None if stamp is None else _report(stamp, _run=run)
