"""Controls that several runs share: what comes out is what each run would have found by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_runs import no_map, short_runs

import foster.pipeline
from foster.cache import prune
from foster.controls import SHARED
from foster.pipeline import execute
from foster.removal import remove_run
from foster.results import ROWS, kept_ranks
from foster.runs import Run, RunState, RunStore, RunWriter
from foster.spec import RunSpec
from foster.ui.forecast import OWN_ROWS, ROWS_WITH_STUDENTS, Earlier, forecast


@dataclass(frozen=True)
class LogFacts:
    events: int
    items: int


SPEC = RunSpec(data="sample", sequences=2, length=4, steps=2, students=2, seed=3, device="cpu", regularisation=0.0)
ALL = len(SHARED) * SPEC.students


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("controls") / "cycle"
    with short_runs(folder) as patch:
        patch.setattr(foster.pipeline, "item_map", no_map)
        yield str(folder)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", bundled=None)


def _ran(store: RunStore, data: str, **changes: Any) -> tuple[Run, int]:
    """A finished run, and how many of its students an earlier one had trained."""
    run = store.create(replace(SPEC, data=data, **changes))
    with RunWriter(run.path) as writer:
        report = execute(run.spec, writer, store.cache)
        writer.finish(RunState.DONE)
    return run, len(report["shared_students"])


def test_another_weight_trains_students_of_its_own_set_alone(store: RunStore, data: str) -> None:
    first, told = _ran(store, data)
    assert told == 0
    found = kept_ranks(first.path, "valid").values()
    rows = sum(len(ranks) == SPEC.students for ranks in found)
    assert (rows, rows - len(SHARED)) == (ROWS_WITH_STUDENTS, OWN_ROWS), "what a forecast reckons with"
    second, told = _ran(store, data, regularisation=0.5)
    assert told == ALL
    ours, theirs = kept_ranks(second.path, "valid"), kept_ranks(first.path, "valid")
    assert all(np.array_equal(ours[name], theirs[name]) for name in SHARED)


def test_what_is_shared_is_what_the_run_would_have_found_alone(store: RunStore, data: str, tmp_path: Path) -> None:
    _ran(store, data)
    shared, _ = _ran(store, data, regularisation=0.5)
    alone, told = _ran(RunStore(tmp_path / "other", bundled=None), data, regularisation=0.5)
    assert told == 0
    found, expected = kept_ranks(shared.path, "valid"), kept_ranks(alone.path, "valid")
    assert set(found) == set(expected) >= set(ROWS) - {"ensemble"}
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    models = sorted(path.name for path in (alone.path / "models").iterdir())
    assert models == sorted(path.name for path in (shared.path / "models").iterdir())
    for name in models:
        assert (shared.path / "models" / name).read_bytes() == (alone.path / "models" / name).read_bytes()


@pytest.mark.parametrize("changes", [{"seed": 4}, {"sequences": 3}, {"length": 5}])
def test_another_seed_or_budget_shares_nothing(store: RunStore, data: str, changes: dict[str, Any]) -> None:
    _ran(store, data)
    assert _ran(store, data, **changes)[1] == 0


def test_more_students_train_only_those_that_are_new(store: RunStore, data: str) -> None:
    _ran(store, data)
    _, told = _ran(store, data, students=3)
    assert told == ALL


def test_test_items_that_no_run_was_asked_for_are_measured_and_kept_for_both(store: RunStore, data: str) -> None:
    _ran(store, data)
    assert _ran(store, data, report_test=True)[1] == 0
    assert _ran(store, data, report_test=True, steps=1)[1] == ALL
    assert _ran(store, data, steps=1)[1] == ALL


@pytest.mark.parametrize("damage", ["no ranks", "cut ranks", "no model", "cut model"])
def test_what_cannot_be_read_is_trained_again_and_replaced(store: RunStore, data: str, damage: str) -> None:
    _ran(store, data)
    (folder,) = (store.cache / "controls").iterdir()
    file = folder / ("random-0.model" if damage.endswith("model") else "random-0.safetensors")
    if damage.startswith("cut"):
        file.write_bytes(file.read_bytes()[:20])
    else:
        file.unlink()
    assert _ran(store, data, regularisation=0.1)[1] == ALL - 1
    assert _ran(store, data, regularisation=0.2)[1] == ALL


def test_pruning_keeps_the_controls_of_runs_that_exist(store: RunStore, data: str) -> None:
    _ran(store, data)
    prune(store)
    assert _ran(store, data, regularisation=0.1)[1] == ALL
    for each in store.list():
        remove_run(store, each.id)
    prune(store)
    assert not list((store.cache / "controls").iterdir())


def test_a_forecast_counts_students_that_took_no_time_unless_they_will_again_take_none() -> None:
    report = {"data": {"interactions": 10, "items": 5}, "seconds": {"students": 6.0, "distil": 2.0}}
    shared = {"shared_students": [[name, k] for name in SHARED for k in range(SPEC.students)]}
    log = LogFacts(events=10, items=5)
    whole, half = Earlier.of(SPEC, report, 2), Earlier.of(SPEC, report | shared, 2)
    assert whole is not None
    assert half is not None

    def middle(spec: RunSpec, earlier: Earlier) -> float:
        span = forecast(spec, log, [earlier])
        assert span is not None
        return (span.low * span.high) ** 0.5

    another_weight, another_seed = replace(SPEC, regularisation=0.5), replace(SPEC, seed=9)
    assert middle(another_weight, half) == pytest.approx(8)
    assert middle(another_seed, half) == pytest.approx(6 * 8 / 3 + 2)
    assert middle(another_weight, whole) == middle(another_seed, whole) == pytest.approx(8)
