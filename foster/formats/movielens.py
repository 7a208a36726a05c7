"""MovieLens-100K's own folder: `u.data` (user, item, rating, time; tabs) and `u.item` (Latin-1, '|', 19 genre flags).

Every rating counts as one event. The title keeps its year; the one text field is `genres`, joined by '|', named after
`u.genre` if that file is there.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from foster.errors import UserError
from foster.formats.columns import read_delimited, texts
from foster.formats.dataset import Dataset, assemble
from foster.formats.table import read_catalog, read_events

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_LOG = ("user_id", "item_id", "rating", "timestamp")
_MOVIE = ("item_id", "title", "released", "released on video", "url")


def matches(folder: Path) -> bool:
    """Whether the folder holds at least one file of this format."""
    return (folder / "u.data").is_file() or (folder / "u.item").is_file()


def load(folder: Path, name: str) -> Dataset:
    """Read such a folder. Raises UserError for a missing or malformed file."""
    for file, other in (("u.data", "u.item"), ("u.item", "u.data")):
        if not (folder / file).is_file():
            raise UserError(f"{folder.name} has {other} but no {file}; MovieLens-100K needs both")
    log = read_delimited(folder / "u.data", delimiter="\t", names=_LOG, quotes=False)
    catalog, mended = read_catalog(_read_items(folder), "u.item")
    return assemble(name, catalog, read_events(log, "u.data"), mended)


def _read_items(folder: Path) -> pa.Table:
    """item_id, title and genres."""
    genres = _genre_names(folder)
    columns = (*_MOVIE, *(f"flag {number}" for number in range(len(genres))))
    movies = read_delimited(folder / "u.item", delimiter="|", names=columns, encoding="latin-1", quotes=False)
    flags = pd.DataFrame({genre: texts(movies, f"flag {number}", "u.item") for number, genre in enumerate(genres)})
    if not flags.isin(("0", "1")).all(axis=None):
        row = int((~flags.isin(("0", "1"))).any(axis=1).to_numpy().argmax())
        raise UserError(
            f"u.item: row {row + 1} has a genre flag other than 0 and 1; take the file as MovieLens gives it"
        )
    joined = ["|".join(flags.columns[row]) for row in (flags == "1").to_numpy()]
    return pa.table({"item_id": movies["item_id"], "title": movies["title"], "genres": pa.array(joined, pa.string())})


def _genre_names(folder: Path) -> tuple[str, ...]:
    path = folder / "u.genre"
    if not path.is_file():
        return GENRES
    table = read_delimited(path, delimiter="|", names=("name", "index"), encoding="latin-1", quotes=False)
    names = texts(table, "name", "u.genre")
    distinct = set(names) - {""}
    if not len(names) == len(distinct) == len(GENRES):
        raise UserError(f"u.genre names {len(distinct)} genres; MovieLens-100K has {len(GENRES)}")
    return tuple(names.tolist())
