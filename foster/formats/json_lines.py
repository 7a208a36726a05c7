"""JSON lines into columns: one object a line, or one array of objects; plain or gzipped."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from foster.errors import UserError

JOIN = "|"  # between the strings of a list
MAX_FIELDS = 500


def read_json_lines(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The objects' fields as columns, null where an object has none; columns: read these only, where there are any.

    Strings stay strings and numbers stay numbers; a field that is both becomes strings, a list of strings is joined by
    "|", any other nested value is left out. Raises UserError for an empty file, another encoding, a line that is no
    JSON object and more than 500 different fields.
    """
    wanted = None if columns is None else frozenset(columns)
    found: dict[str, list[Any]] = {}
    rows = 0
    for number, record in _records(path):
        if not isinstance(record, dict):
            raise UserError(f"{path.name}: entry {number} is no JSON object; write one object a line")
        for name, value in record.items():
            if wanted is not None and name not in wanted:
                continue
            if name not in found and len(found) == MAX_FIELDS:
                raise UserError(f"{path.name} has more than {MAX_FIELDS} different fields; give a file with fewer")
            column = found.setdefault(name, [])
            column.extend([None] * (rows - len(column)))
            column.append(value)
        rows += 1
    if not rows:
        raise UserError(f"{path.name} is empty; give at least one line")
    built = {name.strip(): _column(values + [None] * (rows - len(values))) for name, values in found.items()}
    return pa.table({name: column for name, column in built.items() if name and column is not None})


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """(number of the line or entry, value)."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from _parsed(file, path.name)  # type: ignore[arg-type]  # gzip's file reads bytes like any other
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UserError(f"{path.name} is no complete gzip file; copy it again") from None


def _parsed(file: IO[bytes], name: str) -> Iterator[tuple[int, Any]]:
    number = 0
    for number, line in enumerate(file, start=1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        if line.lstrip().startswith(b"["):  # one array, perhaps over many lines
            values = _value(line + file.read(), f"{name} begins like a JSON array, but")
            yield from enumerate(values, start=1)
            return
        yield number, _value(line, f"{name}: line {number}")


def _value(text: bytes, where: str) -> Any:
    try:
        return json.loads(text.decode())
    except UnicodeDecodeError:
        raise UserError(f"{where} is not UTF-8 text; save the file as UTF-8") from None
    except (ValueError, RecursionError):
        raise UserError(f"{where} is not valid JSON; write one object a line") from None


def _column(values: list[Any]) -> pa.Array | None:
    """None for a field of nested values."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {list, str} and kinds != {str}:
        lists = [value for value in values if isinstance(value, list)]
        if not all(isinstance(each, str) for value in lists for each in value):
            return None
        return _strings([JOIN.join(value) if isinstance(value, list) else value for value in values])
    if kinds <= {str}:
        return _strings(values)
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {int, float}:
        try:
            return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
        except (pa.ArrowException, OverflowError):
            kinds.add(str)
    if kinds <= {str, int, float}:
        return _strings([None if value is None else str(value) for value in values])
    return None


def _strings(values: list[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair, as "\ud800" writes it
        whole = (None if value is None else value.encode("utf-8", "replace").decode() for value in values)
        return pa.array(list(whole), pa.string())
