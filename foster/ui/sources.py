"""The data sets that may be looked at and distilled: the sample, the folders the server was started with, and what was
brought to this store. A browser names them by key; the path behind a key never leaves the server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from foster.data_store import DataStore, slug_of
from foster.policy import DATA_VARIABLE, ENCODERS_VARIABLE, MINILM, SAMPLE, listed
from foster.runs import RunStore
from foster.ui import guard
from foster.ui.state import data_name


class Origin(StrEnum):
    SAMPLE = "comes with foster"
    FOLDER = "a folder of this server"
    OWN = "brought here"


@dataclass(frozen=True)
class Source:
    """key: what the address calls it; path: what `RunSpec.data` calls it; name: what a person calls it, plain text."""

    key: str
    path: str
    name: str
    origin: Origin

    @property
    def slug(self) -> str:
        """What a `DataStore` calls it, if it was brought here."""
        return Path(self.path).name


def sources(store: RunStore) -> tuple[Source, ...]:
    """Keys and names are unique; the sample comes first."""
    found = {SAMPLE: Source(SAMPLE, SAMPLE, data_name(SAMPLE), Origin.SAMPLE)}
    allowed = guard.policy().data
    folders = [folder for folder in listed(DATA_VARIABLE) if allowed is None or folder in allowed]
    for folder in folders:
        path = Path(folder)
        shared = sum(Path(other).name == path.name for other in folders) > 1
        name = f"{data_name(folder)} ({path.parent.name})" if shared else data_name(folder)
        key = _free(slug_of(name), found)
        found[key] = Source(key, folder, name, Origin.FOLDER)
    own = DataStore(store)
    for slug in own.list() if allowed is None else ():
        key = _free(slug, found)
        found[key] = Source(key, str(own.root / slug), slug, Origin.OWN)
    return tuple(found.values())


def source_of(store: RunStore, path: str) -> Source | None:
    """The data set that a run names, None if this server does not list it."""
    return next((source for source in sources(store) if source.path == path), None)


def encoders() -> dict[str, str]:
    """The text encoders that may be used: what `RunSpec.encoder` calls it → what a person calls it."""
    allowed = guard.policy().encoders
    names = [name for name in listed(ENCODERS_VARIABLE) if allowed is None or name in allowed]
    return {MINILM: "MiniLM, the default", **{name: encoder_name(name) for name in names}}


def encoder_name(name: str) -> str:
    """What a person calls an encoder: no page shows a path of the server."""
    return Path(name).name if os.path.isabs(name) else name


def _free(key: str, taken: dict[str, Source]) -> str:
    number = 1
    while (found := key if number == 1 else f"{key}-{number}") in taken:
        number += 1
    return found
