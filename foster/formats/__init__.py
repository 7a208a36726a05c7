"""Reading data: each upstream format becomes one `Dataset`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from foster.bundle import bundled_path
from foster.errors import UserError
from foster.formats import amazon, movielens, recbole, table, yelp
from foster.formats.dataset import Dataset

__all__ = ["SAMPLE", "Dataset", "bundled", "find_format", "load_dataset"]

SAMPLE = "sample"
FORMATS = (table, movielens, recbole, amazon, yelp)
KNOWN = (
    "items.parquet|csv|tsv|jsonl with interactions.parquet|csv|tsv|jsonl, MovieLens-100K's u.data with u.item, "
    "RecBole's NAME.inter with NAME.item, Amazon's CATEGORY_5.json.gz with meta_CATEGORY.json.gz, or Yelp's "
    "business.json with review.json"
)


def bundled(name: str) -> Path:
    """The bundled file or folder of this name, such as "sample_data". Raises UserError if it is not there."""
    path = bundled_path(name)
    if not path.exists():
        raise UserError(f"{name} did not come with this installation of foster; install foster again")
    return path


def load_dataset(source: str) -> Dataset:
    """Read "sample" (the bundled books), or a folder in one of the formats of this package.

    Those are foster's own tables (see `table`), and the upstream files of MovieLens-100K, RecBole, Amazon reviews and
    Yelp (see the modules of these names). A folder named "sample" is reached as "./sample".
    Raises UserError for anything that cannot be read or that leaves no user with 3 events; what is merely left out is
    counted in `Dataset.dropped`.
    """
    try:
        return _load_sample() if source == SAMPLE else _load_folder(source)
    except OSError as error:
        raise UserError(
            f"{source!r} cannot be read ({error.strerror or error}); check the path and its rights"
        ) from None


def _load_sample() -> Dataset:
    folder = bundled("sample_data")
    embeddings = folder / "embeddings.safetensors"
    return replace(table.load(folder, SAMPLE), embeddings=embeddings if embeddings.is_file() else None)


def _load_folder(source: str) -> Dataset:
    folder, reader = find_format(source)
    return reader.load(folder, folder.resolve().name)


def find_format(source: str) -> tuple[Path, ModuleType]:
    """The folder and the module that reads it, without reading it. Raises UserError if there is none."""
    if not source.strip() or "\0" in source:
        raise UserError(f"data is {source!r}; give 'sample' or the path of a folder")
    folder = Path(os.path.expanduser(source))  # unlike Path.expanduser, leaves an unknown ~name as it is
    if folder.is_file():
        raise UserError(f"{source!r} is a file; give the folder that holds it")
    if not folder.is_dir():
        raise UserError(f"there is no folder {source!r}; give 'sample' or the path of a folder that exists")
    for reader in FORMATS:
        if reader.matches(folder):
            return folder, reader
    raise UserError(f"{source!r} holds no data that foster knows; it reads {KNOWN}")
