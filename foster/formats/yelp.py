"""Yelp's open data set: NAME_business.json and NAME_review.json, one object a line.

Every review counts as one event; of reviews only user, business and date are read. The catalogue is the businesses that
were reviewed: name, categories and city.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from foster.errors import UserError
from foster.formats.columns import require
from foster.formats.dataset import Dataset, assemble
from foster.formats.json_lines import read_json_lines
from foster.formats.table import read_catalog, read_events

_STEMS = ("business", "review")


def matches(folder: Path) -> bool:
    """Whether the folder holds at least one file of this format."""
    return any(_find(folder, stem) for stem in _STEMS)


def load(folder: Path, name: str) -> Dataset:
    """Read such a folder. Raises UserError for a missing or malformed file."""
    businesses, reviews = (_only(folder, stem) for stem in _STEMS)
    log = _read(reviews, {"user_id": "user_id", "business_id": "item_id", "date": "timestamp"})
    items = _read(businesses, {"business_id": "item_id", "name": "title"}, {"categories": "category", "city": "city"})
    reviewed = items.filter(pc.is_in(items["item_id"], value_set=pc.unique(log["item_id"])))
    if not reviewed.num_rows:
        raise UserError(f"{businesses.name} lists none of the reviewed businesses; give both files of one release")
    catalog, mended = read_catalog(reviewed, businesses.name)
    return assemble(name, catalog, read_events(log, reviews.name), mended)


def _read(path: Path, needed: dict[str, str], more: dict[str, str] | None = None) -> pa.Table:
    """The named fields under foster's names."""
    names = {**needed, **(more or {})}
    table = read_json_lines(path, tuple(names))
    require(table, tuple(needed), path.name)
    ordered = [name for name in names if name in table.column_names]
    return table.select(ordered).rename_columns([names[name] for name in ordered])


def _find(folder: Path, stem: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{stem}.json") if path.is_file())


def _only(folder: Path, stem: str) -> Path:
    found = _find(folder, stem)
    if len(found) != 1:
        raise UserError(f"{folder.name} has {len(found)} files *{stem}.json; Yelp's data set has one")
    return found[0]
