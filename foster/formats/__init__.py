"""Reading data: each upstream format becomes one `Dataset`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from foster.bundle import bundled_path
from foster.errors import UserError
from foster.formats import movielens, table
from foster.formats.dataset import Dataset

__all__ = ["SAMPLE", "Dataset", "bundled", "load_dataset"]

SAMPLE = "sample"


def bundled(name: str) -> Path:
    """The bundled file or folder of this name, such as "sample_data". Raises UserError if it is not there."""
    path = bundled_path(name)
    if not path.exists():
        raise UserError(f"{name} did not come with this installation of foster; install foster again")
    return path


def load_dataset(source: str) -> Dataset:
    """Read "sample" (the bundled books), or a folder in one of the formats of this package.

    Those are: items.parquet|csv with interactions.parquet|csv (see `table`), and MovieLens-100K's u.data with u.item
    (see `movielens`). A folder named "sample" is reached as "./sample".
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
    if not source.strip() or "\0" in source:
        raise UserError(f"data is {source!r}; give 'sample' or the path of a folder")
    folder = Path(os.path.expanduser(source))  # unlike Path.expanduser, leaves an unknown ~name as it is
    if folder.is_file():
        raise UserError(f"{source!r} is a file; give the folder that holds it")
    if not folder.is_dir():
        raise UserError(f"there is no folder {source!r}; give 'sample' or the path of a folder that exists")
    name = folder.resolve().name
    if table.matches(folder):
        return table.load(folder, name)
    if movielens.matches(folder):
        return movielens.load(folder, name)
    raise UserError(
        f"{source!r} holds no data that foster knows; it reads items.parquet|csv with interactions.parquet|csv, "
        "or MovieLens-100K's u.data with u.item"
    )
