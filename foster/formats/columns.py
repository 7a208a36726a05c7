"""Files into columns and columns into ids, texts and times, with one clear error for each thing that can be wrong."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from foster.catalog import fold
from foster.errors import UserError

_TIMES = "a time is a number (seconds, or any number that orders the events) or an ISO 8601 date or date-time"
_NO_TIME = ("", "nan", "nat", "none", "null", "na", "n/a", "inf", "+inf", "-inf", "infinity", "-infinity")
_FEW = 0.05  # share of a column that may be left out as no times; where more are none, it is no column of times
_BLOCK = 1 << 26  # bytes; a row must fit in one


def read_parquet(path: Path) -> pa.Table:
    """The table in a Parquet file. Raises UserError if it is not one."""
    try:
        table = pyarrow.parquet.ParquetFile(path).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path.name} is not a readable Parquet file ({_brief(error)}); write it again") from None
    return table


def read_delimited(
    path: Path,
    *,
    delimiter: str = ",",
    names: Sequence[str] | None = None,
    encoding: str = "utf-8-sig",
    quotes: bool = True,
) -> pa.Table:
    """A text file as string columns, '' where a value is missing; names: the columns of a file without a header.

    Columns without a name are left out. Raises UserError for an empty file, another encoding and rows of unequal
    length.
    """
    data = path.read_bytes()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path.name}: line {line} is not UTF-8 text; save the file as UTF-8") from None
    if not text.strip():
        raise UserError(f"{path.name} is empty; give at least one row")
    try:
        header = names or next(filter(None, csv.reader(StringIO(text, newline=""), delimiter=delimiter)))
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text.encode() + b"\n"),  # a header alone needs its line end
            pyarrow.csv.ReadOptions(column_names=names, block_size=_BLOCK, use_threads=False),
            pyarrow.csv.ParseOptions(
                delimiter=delimiter, quote_char='"' if quotes else False, newlines_in_values=quotes
            ),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowException, csv.Error) as error:
        raise UserError(f"{path.name} is not a readable table ({_brief(error)}); mend that row") from None
    table = table.rename_columns([name.strip() for name in table.column_names])
    return table.select([place for place, name in enumerate(table.column_names) if name])


def require(table: pa.Table, columns: Sequence[str], file: str) -> None:
    """Raises UserError unless the table has these columns and at least one row, and no name stands for two columns."""
    given = table.column_names
    for name in columns:
        if name not in given:
            has = fold(", ".join(given))[:200]
            raise UserError(f"{file} has no column {name!r}; it needs {', '.join(columns)} and has {has or 'none'}")
    twice = [name for name in given if given.count(name) > 1]
    if twice:
        raise UserError(f"{file} has more than one column {twice[0]!r}; keep one of them")
    if not table.num_rows:
        raise UserError(f"{file} has no rows; give at least one")


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether an Arrow column holds strings, plain or dictionary-encoded."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_numeric(values: pd.Series) -> bool:
    """Whether every non-empty string reads as a number."""
    present = values[~values.str.lower().isin(("", "nan"))]
    return bool(pd.to_numeric(present, errors="coerce").notna().all())


def texts(table: pa.Table, name: str, file: str) -> pd.Series:
    """A column as folded strings, '' where missing. Raises UserError for a column of lists or other nested values."""
    values = _strings(table, name, file, "a text is a string")
    return pd.Series([fold(value) for value in values.to_pylist()], dtype="str")


def ids(table: pa.Table, name: str, file: str) -> pd.Series:
    """A column of ids as strings without outer blanks, missing where empty; whole numbers stay whole ("7", not "7.0").

    Raises UserError if it holds anything but strings and whole numbers.
    """
    allowed = "an id is a string or a whole number"
    kind = table.schema.field(name).type
    if pa.types.is_floating(kind):  # whole numbers with gaps are often stored so
        table = table.set_column(table.column_names.index(name), name, _whole(table.column(name), name, file, allowed))
    elif not (is_text(table.column(name)) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise UserError(f"{file}: column {name!r} holds {kind} values; {allowed}")
    values = pc.utf8_trim_whitespace(_strings(table, name, file, allowed))
    return pc.if_else(pc.equal(values, ""), None, values).to_pandas()


def times(table: pa.Table, name: str, file: str) -> pd.Series:
    """A column of times as float64, NaN where missing or not finite; dates become seconds since 1970 (UTC if bare).

    A column of texts holds numbers, or ISO 8601 dates and date-times; up to one value in twenty that is not of the kind
    of most is missing, too. Raises UserError, naming the first, where more are not.
    """
    column = table.column(name)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        microseconds = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        seconds = microseconds.cast(pa.float64(), safe=False).to_pandas() / 1e6
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        seconds = column.cast(pa.float64(), safe=False).to_pandas()
    elif is_text(column):
        seconds = _parse_times(pc.utf8_trim_whitespace(_strings(table, name, file, _TIMES)).to_pandas(), name, file)
    else:
        raise UserError(f"{file}: column {name!r} holds {kind} values; {_TIMES}")
    return seconds.astype("float64").where(np.isfinite)


def _parse_times(values: pd.Series, name: str, file: str) -> pd.Series:
    """Strings as numbers, or as ISO 8601 if more of them are that; NaN for few that are not."""
    present = values[~values.str.lower().isin(_NO_TIME)]
    found = pd.to_numeric(present, errors="coerce").astype("float64")
    if found.isna().any():
        dates = pd.to_datetime(present, format="ISO8601", utc=True, errors="coerce")
        if dates.notna().sum() > found.notna().sum():
            found = (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
        bad = found.index[found.isna()]
        if len(bad) > _FEW * len(present):
            row = int(bad[0])
            raise UserError(f"{file}: column {name!r}, row {row + 1}: {values[row][:40]!r} is not a time; {_TIMES}")
    return found.reindex(values.index)


def _strings(table: pa.Table, name: str, file: str, allowed: str) -> pa.ChunkedArray:
    """A column cast to strings, '' where missing."""
    column = table.column(name)
    try:
        return column.cast(pa.string()).fill_null("")
    except pa.ArrowException:
        raise UserError(f"{file}: column {name!r} holds {column.type} values; {allowed}") from None


def _whole(column: pa.ChunkedArray, name: str, file: str, allowed: str) -> pa.ChunkedArray:
    """Floats as int64, NaN as missing."""
    try:
        return pc.if_else(pc.is_nan(column), None, column).cast(pa.int64())
    except pa.ArrowException:
        raise UserError(f"{file}: column {name!r} holds numbers that are not whole; {allowed}") from None


def _brief(error: Exception) -> str:
    return fold(str(error))[:160]
