"""Plain flat tables: Parquet with exact texts for programs, CSV twins for spreadsheets, the run itself as JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foster.exporters.finished import FinishedRun
from foster.run_files import to_json

# What a spreadsheet takes for a formula at the start of a cell; the wide forms are read as the narrow ones.
FORMULA = frozenset("=+-@\t\r\n＝＋－＠")

_TYPES = {
    "sequence": pa.int32(),
    "position": pa.int32(),
    "session": pa.int32(),
    "rank": pa.int32(),
    "item": pa.int32(),
    "popularity": pa.int64(),
    "confidence": pa.float64(),
    "weight": pa.float64(),
    "overlap": pa.float64(),
    "repetition": pa.float64(),
    "diversity": pa.float64(),
}


def tables(run: FinishedRun) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, table in (
        ("sequences", hard_events(run)),
        ("recommendations", recommendations(run)),
        ("items", run.items),
        ("nearness", run.nearness),
    ):
        if table is not None and len(table):
            files[f"{name}.parquet"] = parquet(table)
            files[f"{name}.csv"] = spreadsheet(table)
    files["run.json"] = _description(run)
    return files


def hard_events(run: FinishedRun) -> pd.DataFrame:
    """The hard form: sequence, position, item_id, title, one row an event, in order."""
    rows = run.sequences
    names = {"hard_item_id": "item_id", "hard_title": "title"}
    if set(names) <= set(rows.columns):
        rows = rows[["sequence", "position", *names]].rename(columns=names)
    return rows[["sequence", "position", "item_id", "title"]].dropna(subset="item_id").reset_index(drop=True)


def recommendations(run: FinishedRun) -> pd.DataFrame | None:
    """The soft form as far as it is kept readable: what each position reads, that of its first reading first, and
    what the first reading teaches there, the likeliest first.

    Columns: sequence, position, session (where there are several, from 0), role ("read" or "recommend"), rank from 1,
    item_id, title, weight.
    """
    columns = {"read": "alternatives", "recommend": "labels"}
    if not set(columns.values()) <= set(run.sequences.columns):
        return None
    rows = run.sequences
    sessions = rows["session"] if "session" in rows and rows["session"].any() else None
    session_of = {} if sessions is None else dict(zip(rows["position"], sessions, strict=True))
    records = [
        {"sequence": int(sequence), "position": int(position)}
        | ({"session": int(session_of[position])} if session_of else {})
        | {"role": role, "rank": rank}
        | {name: option[name] for name in ("item_id", "title", "weight")}
        for role, column in columns.items()
        for sequence, position, options in zip(
            run.sequences["sequence"], run.sequences["position"], run.sequences[column], strict=True
        )
        for rank, option in enumerate([] if options is None or isinstance(options, float) else options, start=1)
    ]
    table = pd.DataFrame.from_records(records)
    return table.sort_values(["sequence", "position", "role", "rank"], ignore_index=True) if records else None


def parquet(table: pd.DataFrame) -> bytes:
    """One plain column a column, without an index and without what only pandas reads."""
    columns = {}
    for name in table.columns:
        kind = _TYPES.get(str(name), pa.string())
        values = [None if pd.isna(value) else value for value in table[name].tolist()]
        columns[str(name)] = pa.array(values if kind != pa.string() else [_text(value) for value in values], kind)
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def spreadsheet(table: pd.DataFrame) -> bytes:
    """CSV in UTF-8 with the mark that spreadsheets want; every text is quoted, and none can be taken for a formula."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow([guarded(str(name)) for name in table.columns])
    for row in table.itertuples(index=False, name=None):
        writer.writerow(
            [guarded(value) if isinstance(value, str) else "" if pd.isna(value) else value for value in row]
        )
    return buffer.getvalue().encode("utf-8-sig", "replace")


def guarded(text: str) -> str:
    """A text that no spreadsheet computes: one that begins like a formula gets an apostrophe before it.

    >>> guarded("=1+1"), guarded("  @x"), guarded("1-1")
    ("'=1+1", "'  @x", '1-1')
    """
    first = text.lstrip(" \u00a0\u3000\ufeff\x00")[:1]
    return f"'{text}" if first in FORMULA and first else text


def _cell(value: Any) -> Any:
    return guarded(value) if isinstance(value, str) else "" if pd.isna(value) else value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _description(run: FinishedRun) -> bytes:
    """Settings, data and every number of the report; the data's place on this machine is left out."""
    data = "sample" if run.spec.data == "sample" else run.source
    spec = {**run.spec.to_json(), "data": data, "encoder": run.encoder}
    value = {"schema": 1, "run_id": run.id, "name": run.label.name, "spec": spec, "data": run.data}
    exact = json.loads(to_json({**value, "report": run.report}))
    return (json.dumps(exact, indent=2, ensure_ascii=False) + "\n").encode()
