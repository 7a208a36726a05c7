"""Data sets for the pages, read once and kept by content: the names, sizes and times of change of a folder's files.

Only values that nobody changes are kept (a `Dataset` is frozen, its arrays are read-only), so sessions share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from foster.errors import UserError
from foster.formats import SAMPLE, Dataset, bundled, load_dataset
from foster.ui import log_facts
from foster.ui.log_facts import LogFacts
from foster.ui.markup import plain
from foster.ui.sources import Source

Stamp = tuple[tuple[str, int, int], ...]
TITLE_LENGTH = 300  # of a title in the table; a longer one is cut there


@dataclass(frozen=True)
class Log:
    """stamp: stands for the content wherever something is kept for it."""

    stamp: Stamp
    dataset: Dataset
    facts: LogFacts


def log_of(source: Source) -> Log:
    """Raises UserError for a folder that cannot be read."""
    folder = bundled("sample_data") if source.path == SAMPLE else Path(source.path)
    stamp = _stamp(folder)
    return _read(source.path, stamp)


def items_table(log: Log) -> pd.DataFrame:
    """Every item with its title, category, events and id, the most popular first; a copy."""
    return _items(log.stamp, _log=log)


def _stamp(folder: Path) -> Stamp:
    try:
        files = [(path, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    except OSError as error:
        raise UserError(f"the data set {folder.name!r} cannot be read ({error.strerror}); choose another one") from None
    return tuple((str(path), found.st_mtime_ns, found.st_size) for path, found in files)


@st.cache_resource(max_entries=4, show_spinner="Reading the log …")
def _read(path: str, stamp: Stamp) -> Log:
    dataset = load_dataset(path)
    return Log(stamp, dataset, log_facts.facts(dataset))


@st.cache_data(max_entries=4, show_spinner=False)
def _items(stamp: Stamp, _log: Log) -> pd.DataFrame:
    return log_facts.items_table(_log.dataset, lambda title: plain(title, TITLE_LENGTH))
