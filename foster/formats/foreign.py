"""A person's own file: read it whatever its dialect, guess which column is which, and make foster's two tables of it.

Nothing here is written to disk. What comes out is what `table` reads from a folder, so that a file looked at and a
folder saved from it give the same data set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from foster.catalog import fold
from foster.errors import UserError
from foster.formats.columns import ids, is_numeric, is_text, read_delimited, read_parquet, require, texts, times
from foster.formats.dataset import Dataset, assemble
from foster.formats.json_lines import read_json_lines
from foster.formats.table import read_catalog, read_events

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
MAX_EVENTS, MAX_ITEMS = 2_000_000, 50_000  # what two CPU cores can be asked to do; folders on the server have no limit
MAX_UNPACKED = 1 << 30  # bytes of a Parquet file, unpacked
ELSEWHERE = "a folder on the server has no such limit: foster app --data FOLDER"

# The names that columns go by, in small letters and digits only, the usual ones first.
USERS = ("userid", "user", "uid", "reviewerid", "customerid", "customer", "memberid", "accountid", "visitorid", "who",
         "sessionid", "session", "reader", "readerid", "listener")  # fmt: skip
ITEMS = ("itemid", "item", "iid", "productid", "product", "asin", "parentasin", "movieid", "movie", "filmid", "film",
         "bookid", "isbn", "book", "businessid", "business", "trackid", "track", "artistid", "artist", "songid", "song",
         "gameid", "game", "articleid", "article", "stockcode", "sku", "what", "id")  # fmt: skip
TIMES = ("timestamp", "time", "datetime", "date", "unixreviewtime", "unixtime", "ts", "createdat", "eventtime",
         "invoicedate", "orderdate", "ratedat", "when", "day")  # fmt: skip
TITLES = ("title", "name", "itemtitle", "itemname", "producttitle", "productname", "movietitle", "booktitle",
          "trackname", "artistname", "description")  # fmt: skip
KINDS = ("author", "artist", "brand", "category", "categories", "genre", "genres", "subject", "subjects", "series",
         "maker", "publisher", "tags")  # fmt: skip


@dataclass(frozen=True)
class Roles:
    """Which column stands for what. time None: the rows are in their order; item_key: the column of ids in the file of
    items, None where there is no such file, and then title and more are columns of the log."""

    user: str
    item: str
    time: str | None
    title: str
    item_key: str | None = None
    more: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        chosen = [name for name in (self.user, self.item, self.time) if name is not None]
        if len(set(chosen)) < len(chosen):
            raise UserError("users, items and times need a column each; choose different ones")


def read_foreign(path: Path) -> pa.Table:
    """The table in a CSV, TSV, Parquet or JSON lines file. Raises UserError for any other and for one too large."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path.name} is no {', '.join(SUFFIXES)} file; save it as one of these")
    if suffix == ".parquet":
        _require_small(path)
        table = read_parquet(path)
    elif suffix in (".csv", ".tsv"):
        table = read_delimited(path, delimiter=delimiter(path))
    else:
        table = read_json_lines(path)
    if table.num_rows > MAX_EVENTS:
        raise UserError(f"{path.name} has {table.num_rows:,} rows; an upload takes {MAX_EVENTS:,} at most; {ELSEWHERE}")
    require(table, (), path.name)
    return table


def delimiter(path: Path) -> str:
    """What separates the columns, by the first line: the most frequent of comma, tab, semicolon and bar."""
    with path.open("rb") as file:
        lines = (line for line in file if line.strip())
        head = next(lines, b"")[:100_000]
    return max(",\t;|", key=lambda sign: head.count(sign.encode()))


def guess(names: Sequence[str], known: Sequence[str]) -> str | None:
    """The column that goes by the most usual of the known names, else one whose name ends so; None if there is none.

    >>> guess(["Customer ID", "StockCode", "InvoiceDate"], USERS)
    'Customer ID'
    >>> guess(["userId:token", "first_movie_title"], TITLES)
    'first_movie_title'
    """
    plain = {re.sub(r"[^a-z0-9]", "", name.partition(":")[0].lower()): name for name in reversed(names)}
    exact = (plain[name] for name in known if name in plain)
    ending = (column for name in known if len(name) > 3 for key, column in plain.items() if key.endswith(name))
    return next(exact, None) or next(ending, None)


def text_columns(table: pa.Table, taken: Collection[str | None] = ()) -> list[str]:
    """The columns that may describe an item: strings, but no ids, numbers, addresses or long prose, and none of those
    that stand for something else already."""
    found = []
    for name in table.column_names:
        column = table.column(name)
        if name in taken or name == "id" or name.endswith("_id") or not is_text(column):
            continue
        head = pd.Series([fold(value or "") for value in column.slice(0, 500).to_pylist()], dtype="str")
        web = head.str.startswith(("http://", "https://")).any()
        if head.any() and not web and not is_numeric(head) and head.str.len().mean() <= 300:
            found.append(name)
    return found


def described_by(texts: Iterable[str], own_file: bool) -> tuple[str, ...]:
    """Which of the further text columns to begin with: all of a file of items, only the usual kinds of a log."""
    return tuple(name for name in texts if own_file or re.sub(r"[^a-z0-9]", "", name.lower()) in KINDS)


def convert(log: pa.Table, items: pa.Table | None, roles: Roles) -> tuple[pa.Table, pa.Table, Counter[str]]:
    """(items, interactions) as foster's own tables, and counts of what was left out or mended on the way.

    Every row of the log is kept, with a missing id or time where it has none: `build` leaves out and counts. Raises
    UserError for a column that is not there and for values that are no ids, times or texts.
    """
    file = "the file of interactions"
    require(log, [name for name in (roles.user, roles.item, roles.time) if name], file)
    when = np.arange(log.num_rows, dtype=float) if roles.time is None else times(log, roles.time, file)
    item_ids = ids(log, roles.item, file)
    events = pa.table(
        {
            "user_id": pa.array(ids(log, roles.user, file), pa.string(), from_pandas=True),
            "item_id": pa.array(item_ids, pa.string(), from_pandas=True),
            "timestamp": pa.array(when, pa.float64(), from_pandas=True),
        }
    )
    mended: Counter[str] = Counter()
    if items is None:
        described = pd.DataFrame({"item_id": item_ids, **_texts(log, roles, file)})
        described = described[described["item_id"].notna()]
        titled = described[described["title"] != ""].groupby("item_id")["title"].nunique()
        mended["items with more than one title"] = int((titled > 1).sum())
        # The first text that is not empty stands for the item.
        described = described.replace("", None).groupby("item_id", sort=False, as_index=False).first().fillna("")
    else:
        file = "the file of items"
        require(items, [name for name in (roles.item_key, roles.title) if name], file)
        described = pd.DataFrame({"item_id": ids(items, roles.item_key or "", file), **_texts(items, roles, file)})
    if len(described) > MAX_ITEMS:
        raise UserError(f"there are {len(described):,} items; an upload takes {MAX_ITEMS:,} at most; {ELSEWHERE}")
    columns = {name: pa.array(described[name], pa.string(), from_pandas=True) for name in described}
    return pa.table(columns), events, mended


def build(name: str, items: pa.Table, events: pa.Table, mended: Counter[str]) -> Dataset:
    """The data set that a folder with these two tables gives. Raises UserError as reading that folder does."""
    catalog, more = read_catalog(items, "items")
    return assemble(name, catalog, read_events(events, "interactions"), mended + more)


def _texts(table: pa.Table, roles: Roles, file: str) -> dict[str, pd.Series]:
    """title and the further texts, under names of their own."""
    found = {"title": texts(table, roles.title, file)}
    for name in roles.more:
        if name != roles.title:
            found[_free(fold(name)[:60] or "text", ("item_id", *found))] = texts(table, name, file)
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    """A column ending in _id would be taken for an id when the folder is read."""
    name = name.removesuffix("_id") or "text"
    while name in taken or name == "id":
        name += " (text)"
    return name


def _require_small(path: Path) -> None:
    """A small Parquet file can unpack to any size."""
    try:
        described = pyarrow.parquet.read_metadata(path)
    except (pa.ArrowException, OSError, ValueError):
        return  # reading it says what is wrong
    unpacked = sum(described.row_group(number).total_byte_size for number in range(described.num_row_groups))
    if described.num_rows > MAX_EVENTS or unpacked > MAX_UNPACKED:
        raise UserError(
            f"{path.name} unpacks to {described.num_rows:,} rows and {unpacked / 1e6:,.0f} MB; an upload takes "
            f"{MAX_EVENTS:,} rows and {MAX_UNPACKED / 1e6:,.0f} MB at most; {ELSEWHERE}"
        )
