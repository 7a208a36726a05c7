"""Stores to open pages on, and launches that start nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from foster.runs import RunStore
from foster.spec import RunSpec


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a store is to be, with no data and no encoder of the server's; the shipped runs are listed too."""
    monkeypatch.setenv("FOSTER_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("FOSTER_DATA", raising=False)
    monkeypatch.delenv("FOSTER_ENCODERS", raising=False)
    return tmp_path / "runs"


@pytest.fixture
def store(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store without the shipped runs."""
    monkeypatch.setattr("foster.runs.RunStore.__init__.__defaults__", (None,))
    return runs_folder


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[RunSpec]:
    """What pages launch: each run is laid in the store and stays queued."""
    specs: list[RunSpec] = []

    def launch(store: RunStore, spec: RunSpec) -> object:
        specs.append(spec)
        return store.create(spec)

    monkeypatch.setattr("foster.ui.guard.launch", launch)
    return specs
