"""RecBole's atomic files: a folder with NAME.inter and NAME.item, tab-separated, with a typed header.

The header says `user_id:token`, `timestamp:float` and so on; every row of NAME.inter counts as one event. The title is
the column `title` or `name`, else the first whose name ends so (`movie_title`). Other token columns are text, unless
all their values are numbers; float columns are not. `class` is read as `genres`.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from foster.errors import UserError
from foster.formats.columns import read_delimited
from foster.formats.dataset import Dataset, assemble
from foster.formats.table import read_catalog, read_events

_TITLES = ("title", "name")


def matches(folder: Path) -> bool:
    """Whether the folder holds at least one file of this format."""
    return any(_named(folder, suffix) for suffix in (".inter", ".item"))


def load(folder: Path, name: str) -> Dataset:
    """Read such a folder. Raises UserError for a missing or malformed file."""
    log, items = _only(folder, ".inter"), _only(folder, ".item")
    events = read_events(_named_plainly(_read(log), ("token", "float")), log.name)
    texts = _titled(_named_plainly(_read(items), ("token", "token_seq")), items.name)
    catalog, mended = read_catalog(_genres(texts), items.name, typed=False)
    return assemble(name, catalog, events, mended)


def _read(path: Path) -> pa.Table:
    return read_delimited(path, delimiter="\t", quotes=False)


def _named_plainly(table: pa.Table, types: tuple[str, ...]) -> pa.Table:
    """The columns of these types under their plain names; a column without a type stays."""
    kept = [name for name in table.column_names if ":" not in name or name.rpartition(":")[2] in types]
    return table.select(kept).rename_columns([name.partition(":")[0] for name in kept])


def _titled(table: pa.Table, file: str) -> pa.Table:
    """With the column of titles named `title`."""
    names = table.column_names
    endings = [name for ending in _TITLES for name in names if name.endswith((f"_{ending}", f"-{ending}"))]
    found = next((name for name in (*_TITLES, *endings) if name in names), None)
    if found is None:
        raise UserError(f"{file} has no column of titles (title or name); foster needs text for each item")
    return table.rename_columns(["title" if name == found else name for name in names])


def _genres(table: pa.Table) -> pa.Table:
    """RecBole's MovieLens calls genres `class`, with blanks between them."""
    if "class" not in table.column_names or "genres" in table.column_names:
        return table
    joined = pc.replace_substring(pc.utf8_trim_whitespace(table["class"]), " ", "|")
    return table.drop_columns("class").append_column("genres", joined)


def _named(folder: Path, suffix: str) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix == suffix and path.is_file())


def _only(folder: Path, suffix: str) -> Path:
    found = _named(folder, suffix)
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{folder.name} holds {len(found)} {suffix} files; keep one of them")
    raise UserError(f"{folder.name} has no {suffix} file; RecBole's atomic files are NAME.inter with NAME.item")
