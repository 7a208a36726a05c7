"""A run that a person stops, at any moment and as often as they like, ends as if it had never been stopped."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
import torch
from patience import PATIENCE_S
from short_runs import no_map, short_runs

import foster.artefact
import foster.pipeline
import foster.stored_form
import foster.world
from foster.errors import UserError
from foster.formats import load_dataset
from foster.pipeline import execute
from foster.runs import Run, RunState, RunStore, RunWriter, Stopped
from foster.spec import RunSpec
from foster.stored_form import MOST_READINGS


class StoppingWriter(RunWriter):
    """Somebody asks for a stop right after the n-th event of a kind."""

    def __init__(self, folder: Path, kind: str, at: int) -> None:
        super().__init__(folder)
        self.kind, self.left = kind, at

    def event(self, kind: str, **fields: Any) -> None:
        super().event(kind, **fields)
        self.left -= kind == self.kind
        if self.left == 0:
            (self.folder / "stop").touch()


class PausingWriter(RunWriter):
    """Somebody asks for a pause while the snapshot of step 4 is written, so the run waits within its student."""

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        super().write_table(name, table)
        if name == "snapshots/000004.parquet":
            (self.folder / "pause").touch()


class PausingAmongStudents(RunWriter):
    """Somebody asks for a pause when the first of the students is measured that learn side by side."""

    def event(self, kind: str, **fields: Any) -> None:
        super().event(kind, **fields)
        if kind == "student" and fields["name"] == "soft" and fields["seed"] == 0:
            (self.folder / "pause").touch()


@contextmanager
def paused(run: Run, writer: RunWriter, cache: Path, kind: str) -> Iterator[Callable[[], int]]:
    """A run at work on another thread. Yields what waits until it stands and tells how many events of a kind there are;
    at the end it is let go and has ended."""

    def work() -> None:
        with writer:
            writer.status(state=RunState.RUNNING)
            execute(run.spec, writer, cache)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()

    def wait() -> int:
        deadline = time.monotonic() + PATIENCE_S
        while run.step_requested or not run.status().paused:
            assert worker.is_alive()
            assert time.monotonic() < deadline, "the run does not wait"
            time.sleep(0.01)
        return len(run.events(kind))

    try:
        yield wait
    finally:
        run.request_resume()
        worker.join(PATIENCE_S)
    assert not worker.is_alive()


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunSpec]:
    """Seconds of work: short experts, students and resets; every stage still takes several steps."""
    folder = tmp_path_factory.mktemp("data") / "cycle"
    with short_runs(folder, save_every=4, paths=2, student_steps=1) as patch:
        patch.setenv("OMP_NUM_THREADS", "2")  # students side by side: a stop meets several of them
        patch.setattr(foster.pipeline, "item_map", no_map)
        patch.setattr(foster.pipeline, "CHECK_EVERY", 4)  # so that a stop meets such a student, too
        yield RunSpec(data=str(folder), sequences=3, length=4, steps=10, students=2, report_test=True, device="cpu")


def result(run: Run) -> dict[str, Any]:
    """What must not depend on how the run went: the report and every file a person looks at."""
    report = run.report()
    assert report is not None
    kept = {k: v for k, v in report.items() if k not in ("seconds", "shared_students", "peak_memory_mb", "run_id")}
    names = ("synthetic.safetensors", "hard.json", "checkpoints/start.safetensors")
    tables = {path.name: path.read_bytes() for path in sorted(run.path.rglob("*.parquet"))}
    judged = [{k: v for k, v in event.items() if k not in ("time", "line")} for event in run.events("valid")]
    return {"report": kept, "judged": judged, **{name: (run.path / name).read_bytes() for name in names}, **tables}


def go_on(run: Run, cache: Path) -> None:
    with RunWriter(run.path) as writer:
        execute(run.spec, writer, cache)


@pytest.fixture(scope="module")
def uninterrupted(spec: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, Run]:
    store = RunStore(tmp_path_factory.mktemp("whole"), bundled=None)
    run = store.create(spec)
    go_on(run, store.cache)
    return store, run


def stop_at(run: Run, cache: Path, kind: str, at: int) -> None:
    with StoppingWriter(run.path, kind, at) as writer:
        with pytest.raises(Stopped):
            execute(run.spec, writer, cache)
        writer.finish(RunState.STOPPED)


MOMENTS = [
    *[("stage", stage) for stage in (1, 2, 3, 4, 5)],
    ("expert", 1),
    *[("distil", step) for step in (1, 4, 6, 10)],
    *[("valid", check) for check in (1, 2)],
    *[("student", row) for row in (1, 5, 12)],
]


@pytest.mark.parametrize(("kind", "at"), MOMENTS)
def test_a_run_stopped_and_resumed_ends_with_the_same_files(
    spec: RunSpec, uninterrupted: tuple[RunStore, Run], tmp_path: Path, kind: str, at: int
) -> None:
    store = RunStore(tmp_path, bundled=None)
    run = store.create(spec)
    stop_at(run, store.cache, kind, at)
    assert run.status().state is RunState.STOPPED
    assert run.report() is None
    go_on(run, store.cache)
    assert result(run) == result(uninterrupted[1])


def test_a_run_stopped_in_every_stage_ends_with_the_same_files(
    spec: RunSpec, uninterrupted: tuple[RunStore, Run], tmp_path: Path
) -> None:
    store = RunStore(tmp_path, bundled=None)
    run = store.create(spec)
    for kind, at in (("stage", 2), ("expert", 1), ("distil", 5), ("distil", 3), ("student", 3), ("student", 2)):
        stop_at(run, store.cache, kind, at)
    go_on(run, store.cache)
    assert result(run) == result(uninterrupted[1])


def test_a_run_stopped_in_its_second_teacher_ends_with_the_same_files(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foster.experts.default_experts", lambda *_: 2)
    stores = [RunStore(tmp_path / name, bundled=None) for name in ("whole", "stopped")]
    whole, run = (store.create(spec) for store in stores)
    go_on(whole, stores[0].cache)
    first = sum(event["expert"] == 0 for event in whole.events("expert"))
    stop_at(run, stores[1].cache, "expert", first + 1)
    assert run.events("expert")[-1]["expert"] == 1
    go_on(run, stores[1].cache)
    assert result(run) == result(whole)
    assert result(run)["report"]["experts"] == 2


def test_single_steps_of_a_paused_run_advance_it_by_one_and_end_with_the_same_files(
    spec: RunSpec, uninterrupted: tuple[RunStore, Run], tmp_path: Path
) -> None:
    """Paused within the student of step 4: everything of a step is there when its event is."""
    store = RunStore(tmp_path, bundled=None)
    run = store.create(spec)
    with paused(run, PausingWriter(run.path), store.cache, "distil") as wait:
        assert wait() == 3
        for taken in range(4, 9):
            run.request_step()
            assert wait() == taken
            assert run.status().message == f"step {taken} of 10"
            assert run.snapshots()[-1] == taken
            assert run.events("valid")[-1]["step"] == 4 * (taken // 4)
    assert result(run) == result(uninterrupted[1])


def test_single_steps_among_students_measure_one_each_and_end_with_the_same_files(
    spec: RunSpec, uninterrupted: tuple[RunStore, Run], tmp_path: Path
) -> None:
    """Whoever waits holds up nobody's writing: what is measured has its event while the run stands."""
    store = RunStore(tmp_path, bundled=None)
    run = store.create(spec)
    with paused(run, PausingAmongStudents(run.path), store.cache, "student") as wait:
        assert wait() == 6  # the first on the start, four rows without students, then the first on the result
        for measured in range(7, 13):
            run.request_step()
            assert wait() == measured
            kept = json.loads((run.path / "checkpoints" / "students.json").read_text())
            assert sum(len(seeds) for seeds in kept.values()) == measured
    assert result(run) == result(uninterrupted[1])


def test_a_run_that_fails_among_students_ends_at_once(spec: RunSpec, tmp_path: Path) -> None:
    """Paused or not, no other student is waited for."""

    class Failing(PausingAmongStudents):
        def write_json(self, name: str, value: object) -> None:
            if name == "checkpoints/students.json" and "untrained" in cast(dict[str, Any], value):
                raise UserError("the disk is full")
            super().write_json(name, value)

    store = RunStore(tmp_path, bundled=None)
    run = store.create(spec)
    failed: list[str] = []

    def work() -> None:
        with Failing(run.path) as writer:
            writer.status(state=RunState.RUNNING)
            try:
                execute(spec, writer, store.cache)
            except UserError as error:
                failed.append(str(error))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    while worker.is_alive() and not run.status().paused:
        time.sleep(0.01)
    for _ in range(2):  # the second student on the result, then the first on nothing
        run.request_step()
        while worker.is_alive() and run.step_requested:
            time.sleep(0.01)
    worker.join(PATIENCE_S)
    assert failed == ["the disk is full"]


@pytest.mark.parametrize("mark", ["2", None])
def test_a_run_of_another_engine_is_not_gone_on_with(spec: RunSpec, tmp_path: Path, mark: str | None) -> None:
    store = RunStore(tmp_path, bundled=None)
    run = store.create(spec)
    stop_at(run, store.cache, "distil", 4)
    file = run.path / "checkpoints" / "engine.json"
    file.unlink() if mark is None else file.write_text(mark)
    with pytest.raises(UserError, match="another version of foster"):
        go_on(run, store.cache)


def test_finished_students_are_not_trained_again(spec: RunSpec, tmp_path: Path) -> None:
    store = RunStore(tmp_path, bundled=None)
    run = store.create(spec)
    stop_at(run, store.cache, "student", 7)
    go_on(run, store.cache)
    seen = [(event["name"], event["seed"]) for event in run.events("student")]
    assert len(seen) == len(set(seen))
    assert [event["step"] for event in run.events("distil")] == list(range(1, 11))


def test_a_second_run_takes_its_experts_from_the_cache_with_the_same_result(
    spec: RunSpec, uninterrupted: tuple[RunStore, Run]
) -> None:
    store, first = uninterrupted
    shutil.rmtree(store.cache / "controls")  # of students trained anew
    second = store.create(spec)
    go_on(second, store.cache)
    assert first.events("expert")
    assert second.events("expert") == []
    assert result(second) == result(first)


def test_another_seed_gives_another_set_and_its_own_experts(spec: RunSpec, uninterrupted: tuple[RunStore, Run]) -> None:
    store, first = uninterrupted
    other = store.create(dataclasses.replace(spec, seed=1, report_test=False))
    go_on(other, store.cache)
    assert other.events("expert")
    assert result(other)["synthetic.safetensors"] != result(first)["synthetic.safetensors"]
    report = other.report()
    assert report is not None
    assert "test" not in report


def test_test_metrics_never_change_the_distilled_set(spec: RunSpec, uninterrupted: tuple[RunStore, Run]) -> None:
    store, first = uninterrupted
    shutil.rmtree(store.cache / "controls")
    blind = store.create(dataclasses.replace(spec, report_test=False))
    go_on(blind, store.cache)
    one, two = result(blind), result(first)
    assert one["report"]["valid"] == two["report"]["valid"]
    assert one["synthetic.safetensors"] == two["synthetic.safetensors"]


def test_stored_bytes_are_the_size_of_the_file_that_was_measured(uninterrupted: tuple[RunStore, Run]) -> None:
    run = uninterrupted[1]
    report = run.report()
    assert report is not None
    assert report["stored_bytes"]["soft"] == (run.path / "synthetic.safetensors").stat().st_size
    assert report["stored_bytes"]["hard"] == 2 * 3 * 4


@pytest.mark.parametrize("n_items", [1, 2])
def test_a_catalogue_of_one_or_two_items_still_reports(spec: RunSpec, tmp_path: Path, n_items: int) -> None:
    report = tiny(spec, tmp_path, [[step % n_items for step in range(5)]] * 3, n_items)
    assert report["valid"]["soft"]["recall@10"]["mean"] == 1


def test_users_with_three_events_only_are_refused_in_one_line(spec: RunSpec, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no user has 4 events") as refused:
        tiny(spec, tmp_path, [[0, 1, 2], [2, 3, 4]], 5)
    assert "\n" not in str(refused.value)


def tiny(spec: RunSpec, folder: Path, sequences: list[list[int]], n_items: int) -> dict[str, Any]:
    """A run on these users, with a planted encoder."""
    data = folder / "data"
    data.mkdir()
    (data / "items.csv").write_text("item_id,title\n" + "".join(f"i{i},Book {i}\n" for i in range(n_items)))
    rows = [f"u{u},i{item},{t}\n" for u, taken in enumerate(sequences) for t, item in enumerate(taken)]
    (data / "interactions.csv").write_text("user_id,item_id,timestamp\n" + "".join(rows))
    store = RunStore(folder / "runs", bundled=None)
    run = store.create(dataclasses.replace(spec, data=str(data), sequences=2, length=3, students=1))
    with pytest.MonkeyPatch.context() as patch, RunWriter(run.path) as writer:
        patch.setattr(foster.pipeline, "load_dataset", load_dataset)
        patch.setattr(foster.pipeline, "item_embeddings", lambda *_: torch.eye(8)[:n_items])
        return execute(run.spec, writer, store.cache)


def test_a_start_that_was_cut_off_while_it_was_written_is_made_anew(
    spec: RunSpec, uninterrupted: tuple[RunStore, Run]
) -> None:
    store, whole = uninterrupted
    run = store.create(spec)
    (run.path / "checkpoints").mkdir(exist_ok=True)
    (run.path / "checkpoints/start.safetensors").write_bytes(b"of a form that took too much")
    (run.path / "checkpoints/engine.json").write_text(str(foster.pipeline.ENGINE))
    go_on(run, store.cache)
    assert result(run) == result(whole)


def test_labels_that_take_more_than_a_form_reckons_with_have_fewer_readings(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: forms that think that labels cost nothing, and labels that may not be coarse."""
    monkeypatch.setattr(foster.stored_form.Form, "label_bytes", lambda self, n_items: 1e-3)
    monkeypatch.setattr(foster.artefact, "COARSEST", foster.artefact.FINEST)
    monkeypatch.setattr(foster.world, "log_bytes", lambda train, n_items: 12_000)
    store = RunStore(tmp_path, bundled=None)
    run = store.create(dataclasses.replace(spec, sequences=6, length=20, steps=0))
    go_on(run, store.cache)
    report = run.report()
    assert report is not None
    assert 1 < report["form"]["readings"] < MOST_READINGS
    assert report["stored_bytes"]["soft"] <= 12_000
