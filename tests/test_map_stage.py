"""The map stage of a run: says how far it is, stops when asked, names what it keeps, and goes on from there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from foster.bench.planted import planted_features, planted_log
from foster.cache import prune
from foster.clock import Clock
from foster.pipeline import _map
from foster.runs import Run, RunState, RunStore, RunWriter, Stopped
from foster.spec import RunSpec

ITEMS = 200


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", bundled=None)


def draw_map(run: Run, store: RunStore, on_status: Any = None) -> list[tuple[float, str]]:
    """What the status said, in order. on_status is called with the writer after each."""
    features = torch.from_numpy(planted_features(ITEMS))
    world: Any = SimpleNamespace(features=features, split=SimpleNamespace(train=planted_log(ITEMS)))
    final: Any = SimpleNamespace(own=torch.randn(3, 4, features.shape[1]), basis=lambda rows: rows)
    said = []

    class Listening(RunWriter):
        def status(self, **changes: Any) -> None:
            super().status(**changes)
            if "message" in changes:
                said.append((changes["fraction"], changes["message"]))
                if on_status is not None:
                    on_status(changes["message"])

    with Listening(run.path) as writer:
        writer.status(state=RunState.RUNNING, started=1.0)
        clock = Clock(writer)
        clock.current = "map"
        _map(writer, world, final, store.cache, clock)
        writer.finish(RunState.DONE)
    return said


def test_each_view_says_how_far_it_is(store: RunStore) -> None:
    said = draw_map(store.create(RunSpec()), store)
    assert list(dict.fromkeys(message for _, message in said)) == [
        f"map: {view} view" for view in ("real", "text", "synthetic")
    ]
    assert [fraction for fraction, _ in said] == sorted(fraction for fraction, _ in said)
    for view in ("real", "text", "synthetic"):
        assert len({fraction for fraction, message in said if message == f"map: {view} view"}) >= 3, view


def test_a_stop_is_honoured_within_a_view_and_the_next_worker_goes_on(store: RunStore) -> None:
    run = store.create(RunSpec())
    seen: list[str] = []

    def stop(message: str) -> None:
        seen.append(message)
        if message.startswith("map: text"):
            (run.path / "stop").touch()

    with pytest.raises(Stopped):
        draw_map(run, store, stop)
    assert seen.count("map: text view") == 1, "it stops before the view says more"
    assert not (run.path / "map.parquet").exists()
    (run.path / "stop").unlink()
    assert {message for _, message in draw_map(run, store)} == {"map: text view", "map: synthetic view"}
    table = run.map()
    assert table is not None
    assert len(table) == ITEMS


def test_layouts_outlive_a_pruning_as_long_as_a_run_names_them(store: RunStore) -> None:
    run = store.create(RunSpec())
    draw_map(run, store)
    assert len(list((store.cache / "layouts").iterdir())) == 2
    assert prune(store).entries == 0
    again = {message for _, message in draw_map(store.create(RunSpec(seed=1)), store)}
    assert again == {"map: synthetic view"}, "another run of the same log finds them"
    assert prune(store, everything=True).entries == 2
