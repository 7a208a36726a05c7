"""Amazon reviews as released in 2018: CATEGORY_5.json (or CATEGORY.json) with meta_CATEGORY.json, gzipped or not.

Every review counts as one event; of reviews only reviewer, product and time are read. The catalogue is the products
that were reviewed: title, category path ("Games > PC") and brand. Upstream's texts hold HTML: entities are decoded,
tags are taken out, and a title that was nothing else counts as none.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa

from foster.catalog import fold
from foster.errors import UserError
from foster.formats.columns import require
from foster.formats.dataset import Dataset, assemble
from foster.formats.json_lines import JOIN, read_json_lines
from foster.formats.table import read_catalog, read_events

_SUFFIXES = (".json", ".json.gz")
_TAG = re.compile(r"</?[A-Za-z][^>]*(?:>|$)")


def matches(folder: Path) -> bool:
    """Whether the folder holds at least one file of this format."""
    return bool(_find(folder, "meta_*") or _find(folder, "*_5"))


def load(folder: Path, name: str) -> Dataset:
    """Read such a folder. Raises UserError for a missing or malformed file."""
    metas = _find(folder, "meta_*")
    if len(metas) != 1:
        raise UserError(
            f"{folder.name} has {len(metas)} files meta_CATEGORY.json(.gz); give one, beside CATEGORY_5.json(.gz)"
        )
    category = metas[0].name.removeprefix("meta_").partition(".json")[0]
    reviews = _find(folder, f"{category}_5") or _find(folder, category)
    if len(reviews) != 1:
        raise UserError(
            f"{folder.name} has {len(reviews)} files of reviews for {metas[0].name}; give one {category}_5.json(.gz)"
        )
    log = read_json_lines(reviews[0], ("reviewerID", "asin", "unixReviewTime"))
    require(log, ("reviewerID", "asin", "unixReviewTime"), reviews[0].name)
    renamed = {"reviewerID": "user_id", "asin": "item_id", "unixReviewTime": "timestamp"}
    events = read_events(log.rename_columns([renamed[name] for name in log.column_names]), reviews[0].name)
    items, mended = _products(metas[0], set(events["item_id"].dropna()))
    catalog, more = read_catalog(items, metas[0].name)
    return assemble(name, catalog, events, mended + more)


def _products(path: Path, reviewed: set[str]) -> tuple[pa.Table, Counter[str]]:
    """The reviewed products' texts, one row each, and counts of what was left out or mended."""
    table = read_json_lines(path, ("asin", "title", "category", "brand"))
    require(table, ("asin", "title"), path.name)
    products = table.to_pandas().fillna("").astype("str")
    products = products[products["asin"].isin(reviewed)]
    if products.empty:
        raise UserError(f"{path.name} describes none of the reviewed products; give the metadata of the same category")
    clean = products.drop(columns="asin").map(_plain)
    if "category" in clean:
        clean["category"] = clean["category"].str.replace(JOIN, " > ", regex=False)
    clean.insert(0, "item_id", products["asin"])
    # Of repeated rows the first with a title tells most.
    first = clean.sort_values("title", key=lambda titles: titles == "", kind="stable").drop_duplicates("item_id")
    clean = clean.loc[first.index.sort_values()]
    mended = Counter(
        {
            "titles that held HTML": int((clean["title"] != products["title"].map(fold)[clean.index]).sum()),
            "repeated rows of an item": len(products) - len(clean),
        }
    )
    return pa.table({str(column): pa.array(clean[column].tolist(), pa.string()) for column in clean}), mended


def _plain(text: str) -> str:
    """
    >>> _plain("Arts &amp; Crafts <b>new</b>"), _plain('<span class="a"')
    ('Arts & Crafts new', '')
    """
    return fold(html.unescape(_TAG.sub("", text)))


def _find(folder: Path, stem: str) -> list[Path]:
    return sorted(path for suffix in _SUFFIXES for path in folder.glob(f"{stem}{suffix}") if path.is_file())
