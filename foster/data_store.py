"""Data sets that a person brought: one folder each under the root of the runs, in foster's own format."""

from __future__ import annotations

import re
import secrets
import shutil
import unicodedata
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from foster.errors import UserError
from foster.removal import REMOVED, sweep
from foster.run_files import writing
from foster.runs import Run, RunState, RunStore

FOLDER = ".data"
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class DataStore:
    """The folders `<root>/.data/<slug>/` of a store of runs; nothing is written before the first `save`."""

    def __init__(self, runs: RunStore) -> None:
        self.runs = runs
        self.root = runs.root / FOLDER

    def list(self) -> tuple[str, ...]:
        """Slugs, in alphabetical order."""
        try:
            names = [entry.name for entry in self.root.iterdir()]
        except OSError:
            return ()
        return tuple(sorted(name for name in names if self._is_own(name)))

    def path(self, slug: str) -> Path:
        """Raises UserError for a malformed or unknown slug; never leaves the root, symbolic links included."""
        if not self._is_own(slug):
            raise UserError(f"there is no data set {slug[:60]!r} here; choose one of the list")
        return self.root / slug

    def save(self, name: str, items: pa.Table, events: pa.Table, taken: Collection[str] = ()) -> str:
        """Writes both tables and reads them back; the slug. There completely or not at all.

        taken: names that would be mistaken for it. Raises UserError when the tables make no data set, and when the
        root cannot be written.
        """
        from foster.formats import load_dataset

        temporary = self.root / f".new-{secrets.token_hex(8)}"
        try:
            with writing(self.root):
                temporary.mkdir(parents=True)
                pyarrow.parquet.write_table(items, temporary / "items.parquet", compression="zstd")
                pyarrow.parquet.write_table(events, temporary / "interactions.parquet", compression="zstd")
            load_dataset(str(temporary))
            with writing(self.root):
                slug = free_slug(name, {*taken, *self.list()})
                temporary.rename(self.root / slug)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return slug

    def used_by(self, slug: str) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
        """(runs that are running or queued, runs that could be resumed) on this data set."""
        source = str(self.path(slug))
        mine = [(run, status) for run, status in self.runs.survey()[0] if run.spec.data == source]
        active = tuple(run for run, status in mine if not status.is_terminal)
        resumable = tuple(run for run, status in mine if status.is_terminal and status.state is not RunState.DONE)
        return active, resumable

    def delete(self, slug: str) -> None:
        """Takes a data set away; finished runs on it stay as they are. Raises UserError while a run needs it."""
        path = self.path(slug)
        if active := self.used_by(slug)[0]:
            raise UserError(
                f"run {active[0].id} is using {slug} or waits for its turn with it; stop the run or let it finish first"
            )
        with writing(path):
            path.rename(self.root / f"{REMOVED}{slug}-{secrets.token_hex(4)}")
        sweep(self.root)

    def _is_own(self, slug: str) -> bool:
        path = self.root / slug
        return bool(SLUG.fullmatch(slug)) and path.resolve() == path and path.is_dir()


def slug_of(name: str) -> str:
    """
    >>> slug_of("Café ../../etc & co."), slug_of("книги"), slug_of("x" * 99)
    ('cafe-etc-co', 'data', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')
    """
    plain = unicodedata.normalize("NFKD", name[:400]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:32].strip("-") or "data"


def free_slug(name: str, taken: Collection[str]) -> str:
    """The slug of the name, with a number where it is taken; "sample" always is.

    >>> free_slug("My shop", {"my-shop", "my-shop-2"}), free_slug("Sample", ())
    ('my-shop-3', 'sample-2')
    """
    slug, number = slug_of(name), 1
    while (found := slug if number == 1 else f"{slug}-{number}") in taken or found == "sample":
        number += 1
    return found
