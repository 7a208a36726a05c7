"""What the store takes on the disk, looked at once in a while: walking it costs more than drawing a page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from foster.disk import free_bytes, taken_bytes
from foster.runs import RunStore


@st.cache_data(ttl=20, max_entries=4, show_spinner=False)
def sizes(root: str) -> tuple[int, int, int]:
    """Bytes of the runs, of the cache, and free."""
    store = RunStore(Path(root), bundled=None)
    return sum(taken_bytes(run.path) for run in store.list()), taken_bytes(store.cache), free_bytes(store.root)
