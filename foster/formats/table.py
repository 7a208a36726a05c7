"""foster's own format: a folder with a table `items` and a table `interactions`, each .parquet, .csv, .tsv or .jsonl.

items: `item_id`, `title` and any more text columns. interactions: `user_id`, `item_id`, `timestamp`. An item's text is
all string columns but ids (`id`, `…_id`), title first; a CSV or TSV column is one if not all its non-empty values are
numbers. Other columns are ignored. Ids are read as strings, so "007" stays "007".
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa

from foster.catalog import Catalog
from foster.errors import UserError
from foster.formats.columns import ids, is_numeric, is_text, read_delimited, read_parquet, require, texts, times
from foster.formats.dataset import Dataset, assemble
from foster.formats.json_lines import read_json_lines

_STEMS = ("items", "interactions")
_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")
_UNTYPED = (".csv", ".tsv")


def matches(folder: Path) -> bool:
    """Whether the folder holds at least one file of this format."""
    return any(_files(folder, stem) for stem in _STEMS)


def load(folder: Path, name: str) -> Dataset:
    """Read such a folder. Raises UserError for what is missing, there twice, unreadable or out of place in it."""
    items, interactions = (_only_file(folder, stem) for stem in _STEMS)
    events = read_events(_read(interactions), interactions.name)
    catalog, mended = read_catalog(_read(items), items.name, typed=items.suffix not in _UNTYPED)
    return assemble(name, catalog, events, mended)


def read_events(table: pa.Table, file: str) -> pd.DataFrame:
    """user_id, item_id and timestamp as `assemble` takes them.

    Raises UserError for missing columns, no rows and values that are no ids or times.
    """
    require(table, ("user_id", "item_id", "timestamp"), file)
    return pd.DataFrame(
        {
            "user_id": ids(table, "user_id", file),
            "item_id": ids(table, "item_id", file),
            "timestamp": times(table, "timestamp", file),
        }
    )


def read_catalog(table: pa.Table, file: str, *, typed: bool = True) -> tuple[Catalog, Counter[str]]:
    """The catalogue in a table with `item_id` and `title`, and counts of what was left out or mended.

    typed: the columns' types mean something; where they do not, a string column that holds numbers only is no text.
    Raises UserError for missing columns, no usable row and ids that occur twice.
    """
    require(table, ("item_id", "title"), file)
    frame = pd.DataFrame({"item_id": ids(table, "item_id", file), "title": texts(table, "title", file)})
    for column in table.column_names:
        if column not in frame and column != "id" and not column.endswith("_id") and is_text(table.column(column)):
            frame[column] = texts(table, column, file)
            if not typed and is_numeric(frame[column]):
                del frame[column]
    mended = Counter({"items with a missing id": int(frame["item_id"].isna().sum())})
    frame = frame[frame["item_id"].notna()]
    if frame.empty:
        raise UserError(f"{file}: no row has an item_id; give each item one")
    twice = frame["item_id"][frame["item_id"].duplicated()].unique()
    if len(twice):
        named = ", ".join(repr(item[:40]) for item in twice[:3]) + (", …" if len(twice) > 3 else "")
        raise UserError(f"{file}: {len(twice)} item_id occur more than once ({named}); keep one row for each item")
    untitled = frame["title"] == ""
    mended["items without a title"] = int(untitled.sum())
    frame["title"] = frame["title"].mask(untitled, frame["item_id"])
    columns = {str(column): tuple(frame[column].tolist()) for column in frame}
    return Catalog(columns.pop("item_id"), columns.pop("title"), columns), mended


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return read_parquet(path)
    if path.suffix == ".jsonl":
        return read_json_lines(path)
    return read_delimited(path, delimiter="\t" if path.suffix == ".tsv" else ",")


def _files(folder: Path, stem: str) -> list[Path]:
    return [path for suffix in _SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()]


def _only_file(folder: Path, stem: str) -> Path:
    found = _files(folder, stem)
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{folder.name} holds both {found[0].name} and {found[1].name}; keep one of them")
    raise UserError(f"{folder.name} has no {stem}.parquet, .csv, .tsv or .jsonl; give one beside the other file")
