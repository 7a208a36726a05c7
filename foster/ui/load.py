"""Tables and reports of a run, cached by the file's own identity: path, size and time of change.

What comes back is a copy; a page may change it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from foster.runs import Run
from foster.ui.rows import Row, rows_of_result, rows_of_snapshot, without_history

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


def points(run: Run) -> pd.DataFrame | None:
    """The items of the map, one a row: item, item_id, title, category, popularity, mass, x_*, y_* of each view, and,
    but for runs of earlier versions, kept_* (`foster.map_facts`)."""
    places, items = table(run, "map"), table(run, "items")
    return None if places is None or items is None else places.merge(items, on="item", how="inner")


def snapshot(run: Run, step: int) -> pd.DataFrame | None:
    stamp = _stamp(run, f"snapshots/{step:06d}.parquet")
    return None if stamp is None else _snapshot(stamp, step, _run=run)


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    stamp = _stamp(run, "events.jsonl")
    return [] if stamp is None else [event for event in _events(stamp, _run=run) if event.get("kind") == kind]


@st.cache_resource(max_entries=32, show_spinner=False)
def _rows(stamps: tuple[Stamp | None, ...], step: int | None, _run: Run) -> list[Row]:
    stored, items = table(_run, "sequences"), table(_run, "items")
    pairs = [] if items is None else list(zip(items["item"].tolist(), items["item_id"], items["title"], strict=True))
    numbers = {item_id: item for item, item_id, _ in pairs}
    result = [] if stored is None else rows_of_result(stored, table(_run, "neighbours"), numbers)
    if step is None:
        return told(_run, result)
    shot = snapshot(_run, step)
    titles = {item: title for item, _, title in pairs}
    return [] if shot is None else told(_run, rows_of_snapshot(shot, titles, result))


def rows(run: Run, step: int | None) -> list[Row]:
    """The sequences as they stood at a step, None for the result. Shared between pages: not to be changed."""
    names = [*_FILES.values(), *([] if step is None else [f"snapshots/{step:06d}.parquet"])]
    return _rows(tuple(_stamp(run, name) for name in names), step, _run=run)


def mass(run: Run, step: int) -> dict[int, float]:
    """Item → how many positions it fills at a step, counted over the ten likeliest of each."""
    shot = snapshot(run, step)
    if shot is None:
        return {}
    items, weights = (np.concatenate(shot[name].to_list()) for name in ("items", "weights"))
    return dict(enumerate(np.bincount(items, weights).tolist()))


def told(run: Run, rows: list[Row]) -> list[Row]:
    """Rows as this run's recommender would tell them: without what was read, where nobody takes an item twice."""
    return without_history(rows) if (run.data() or {}).get("history_masked") else rows


def report(run: Run) -> dict[str, Any] | None:
    stamp = _stamp(run, "report.json")
    return None if stamp is None else _report(stamp, _run=run)
