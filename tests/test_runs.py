"""The run store: one truth on disk, whoever writes, dies or tampers."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_foster import environment

from foster.errors import UserError
from foster.run_files import FileLock, is_held, read_json, to_json
from foster.runs import Run, RunState, RunStatus, RunStore, RunWriter, Stopped, default_root
from foster.spec import RunSpec

SPEC = RunSpec(sequences=3, length=4, steps=7)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", bundled=None)


@pytest.fixture
def run(store: RunStore) -> Run:
    return store.create(SPEC)


# --- creating and finding


def test_a_created_run_is_queued_and_reads_back(store: RunStore) -> None:
    run = store.create(SPEC)
    again = store.get(run.id)
    assert again == run
    assert again.spec == SPEC
    status = again.status()
    assert (status.state, status.fraction, status.is_terminal) == (RunState.QUEUED, 0.0, False)
    assert (again.events(), again.log(), again.snapshots()) == ([], "", [])
    assert (again.report(), again.data(), again.items(), again.sequences(), again.map()) == (None,) * 5
    assert sorted(path.name for path in store.root.iterdir()) == [run.id]


def test_runs_are_listed_newest_first(store: RunStore) -> None:
    made = [store.create(SPEC) for _ in range(5)]
    assert len({run.id for run in made}) == 5
    assert store.list() == made[::-1]
    assert store.problems() == {}


def test_a_missing_root_is_an_empty_store_and_is_not_made(store: RunStore) -> None:
    assert store.list() == []
    assert not store.root.exists()


@pytest.mark.parametrize("data", ["/data/Ünï code — set", "/", "/data/" + "x" * 300, "/data/..", "sample"])
def test_ids_are_well_formed_for_any_data_name(store: RunStore, data: str) -> None:
    run = store.create(RunSpec(data=data))
    assert store.get(run.id).spec.data == data


@pytest.mark.parametrize(
    "run_id",
    ["", "short", "..", "../../../etc", "/etc/passwd", "a" * 65, "UPPERCASE", "newline-1\n", "has space-", "é" * 9],
)
def test_malformed_ids_are_refused(store: RunStore, run: Run, run_id: str) -> None:
    with pytest.raises(UserError, match="no run id"):
        store.get(run_id)


def test_unknown_ids_are_refused(store: RunStore, run: Run) -> None:
    with pytest.raises(UserError, match="there is no run"):
        store.get("20260101-0000-foster-none")


def test_links_out_of_the_root_are_refused(store: RunStore, run: Run, tmp_path: Path) -> None:
    outside = RunStore(tmp_path / "elsewhere", bundled=None).create(SPEC)
    (store.root / "linked-run").symlink_to(outside.path)
    (store.root / "alias-run").symlink_to(run.path)
    for name in ("linked-run", "alias-run"):
        with pytest.raises(UserError, match="link to another folder"):
            store.get(name)
    assert store.list() == [run]
    assert set(store.problems()) == {"linked-run", "alias-run"}


def test_damaged_and_foreign_folders_are_skipped_with_a_reason(store: RunStore, run: Run) -> None:
    damaged = {
        "spec.json": [b"", b"{", b"[1]", b"\xff\xfe", b'{"schema": 2}', b'{"schema": 1, "budget": 3}', None],
        "status.json": [
            b'{"schema": 9, "state": "done", "created": 1}',
            b'{"schema": 1, "state": "lost", "created": 1}',
            b'{"schema": 1, "state": "done"}',
            b'{"schema": 1, "state": "done", "created": 1, "colour": 2}',
            b'{"schema": 1, "state": "done", "created": 1, "fraction": "half"}',
            b'{"schema": 1, "state": "done", "created": 1, "fraction": 7}',
            b'{"schema": 1, "state": ["done"], "created": 1}',
            b"[" * 100_000,
            None,
        ],
    }
    bad = []
    for name, contents in damaged.items():
        for content in contents:
            each = store.create(SPEC)
            (each.path / name).unlink() if content is None else (each.path / name).write_bytes(content)
            bad.append(each.id)
    (store.root / "Foreign Folder").mkdir()
    (store.root / "empty-folder").mkdir()
    (store.root / ".cache").mkdir()
    (store.root / "drain.log").write_text("a file is no folder")
    assert store.list() == [run]
    problems = store.problems()
    assert set(problems) == {*bad, "Foreign Folder", "empty-folder"}
    assert all(reason and "\n" not in reason for reason in problems.values())
    for name in (*bad, "empty-folder"):
        with pytest.raises(UserError):
            store.get(name)


def test_a_root_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*--runs"):
        RunStore(tmp_path / "file", bundled=None).create(SPEC)


def test_a_full_disk_leaves_no_half_written_run(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left"):
        store.create(SPEC)
    assert list(store.root.iterdir()) == []


def test_bundled_runs_are_listed_and_take_no_requests(store: RunStore, tmp_path: Path) -> None:
    shipped = RunStore(tmp_path / "bundle", bundled=None).create(SPEC)
    own = store.create(SPEC)
    both = RunStore(store.root, bundled=tmp_path / "bundle")
    assert {run.id: run.read_only for run in both.list()} == {own.id: False, shipped.id: True}
    for request in ("request_stop", "request_pause", "request_resume"):
        with pytest.raises(UserError, match="read-only"):
            getattr(both.get(shipped.id), request)()
    assert sorted(path.name for path in shipped.path.iterdir()) == ["spec.json", "status.json"]


def test_the_default_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOSTER_RUNS", "/one")
    assert default_root() == Path("/one")
    monkeypatch.delenv("FOSTER_RUNS")
    monkeypatch.setenv("XDG_DATA_HOME", "/two")
    assert default_root() == Path("/two/foster/runs")


# --- writing and reading


def test_what_the_writer_writes_the_reader_reads(run: Run) -> None:
    table = pd.DataFrame({"item": [0, 1], "title": ["a", "<b>"]})
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING, stage="distil", fraction=0.5, message="half", device="cpu")
        writer.event("stage", stage="distil", message="m")
        writer.event("distil", step=1, gap=float("nan"), real=np.float32(0.5))
        writer.write_json("report.json", {"run_id": run.id, "mean": np.float64("inf"), "n": np.int64(3)})
        writer.write_table("items.parquet", table)
        writer.write_table("snapshots/000010.parquet", table)
        writer.write_table("snapshots/000000.parquet", table)
        writer.write_file("hard.json", lambda path: path.write_text("{}"))
        writer.log("one\ud800 line")
        assert writer.path("checkpoints/a/b").parent.is_dir()
        assert run.status().stage == "distil"
        assert run.status().state is RunState.RUNNING
    assert run.report() == {"run_id": run.id, "mean": None, "n": 3}
    items = run.items()
    assert items is not None
    pd.testing.assert_frame_equal(items, table, check_dtype=False)
    assert run.snapshots() == [0, 10]
    assert len(run.snapshot(10)) == 2
    with pytest.raises(UserError, match="no snapshot of step 3"):
        run.snapshot(3)
    kinds = [(event["kind"], event["line"]) for event in run.events()]
    assert kinds == [("stage", 1), ("distil", 2)]
    assert run.events("distil")[0]["gap"] is None
    assert run.events("distil")[0]["real"] == 0.5
    assert run.events(after=1) == run.events("distil")
    assert "one" in run.log()
    assert not list(run.path.rglob("*.tmp"))


def test_damaged_results_are_one_clear_error(run: Run) -> None:
    for name in ("items.parquet", "report.json", "data.json"):
        (run.path / name).write_bytes(b"PAR1 no more")
    for read in (run.items, run.report, run.data):
        with pytest.raises(UserError, match="damaged"):
            read()
    (run.path / "report.json").write_text('{"schema": 2}')
    with pytest.raises(UserError, match="schema 2"):
        run.report()


def test_a_half_written_event_is_left_out_and_does_not_spoil_the_next(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.event("distil", step=1)
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"time": 1, "kind": "dis')
    assert [event["step"] for event in run.events()] == [1]
    with RunWriter(run.path) as writer:
        writer.event("distil", step=2)
    assert [event["step"] for event in run.events()] == [1, 2]


def test_steps_repeated_after_a_resume_count_once(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.event("stage", stage="distil")
        for step, gap in ((1, 0.1), (2, 0.2), (3, 0.3), (2, 0.25), (3, 0.35), (4, 0.4)):
            writer.event("distil", step=step, gap=gap)
        writer.event("expert", expert=0, epoch=2)
        writer.event("expert", expert=1, epoch=2)
        writer.event("student", name="soft", seed=1)
        writer.event("stage", stage="distil")
    assert [(event["step"], event["gap"]) for event in run.events("distil")] == [
        (1, 0.1),
        (2, 0.25),
        (3, 0.35),
        (4, 0.4),
    ]
    assert [event["kind"] for event in run.events()].count("stage") == 2
    assert len(run.events("expert")) == 2


def test_the_log_is_its_tail(run: Run) -> None:
    with RunWriter(run.path) as writer:
        for number in range(50):
            writer.log(f"line {number}")
    assert run.log(lines=2).endswith("line 49")
    assert len(run.log(lines=2).splitlines()) == 2


def test_json_is_strict() -> None:
    assert json.loads(to_json({"a": [math.nan, -math.inf, 1.5], 2: np.arange(2), "t": (True, None)})) == {
        "a": [None, None, 1.5],
        "2": [0, 1],
        "t": [True, None],
    }


def test_status_json_round_trip() -> None:
    status = RunStatus(RunState.RUNNING, created=1.0, eta_s=3, error="é", paused=True, pid=4)
    assert RunStatus.from_json(json.loads(to_json(status.to_json()))) == status


# --- one writer at a time, and whether it lives


def test_only_one_writer_at_a_time(run: Run) -> None:
    with RunWriter(run.path), pytest.raises(UserError, match="another process"):
        RunWriter(run.path).__enter__()
    with RunWriter(run.path):
        pass


def test_looking_at_a_lock_does_not_keep_a_writer_out(run: Run) -> None:
    lock, looking = run.path / "lock", threading.Event()
    RunWriter(run.path).__enter__().__exit__(None, None, None)

    def look() -> None:
        while not looking.is_set():
            is_held(lock)

    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(30):
            with RunWriter(run.path):
                assert is_held(lock)
    finally:
        looking.set()
        for watcher in watchers:
            watcher.join()
    assert not is_held(lock)


def test_a_damaged_status_does_not_keep_the_lock(run: Run) -> None:
    (run.path / "status.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        RunWriter(run.path).__enter__()
    assert not is_held(run.path / "lock")


def test_a_running_run_without_a_living_worker_is_lost(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING, fraction=0.25, pid=os.getpid())
        assert run.status().state is RunState.RUNNING
    status = run.status()
    assert (status.state, status.is_terminal, status.fraction) == (RunState.LOST, True, 0.25)
    assert status.error is not None
    assert "resume" in status.error
    assert read_json(run.path / "status.json")["state"] == "running"


def test_a_killed_process_that_is_still_a_zombie_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys, time, subprocess; from pathlib import Path; from foster.run_files import FileLock; "
        "lock = FileLock(Path(sys.argv[1])); lock.acquire(0); "
        "child = subprocess.Popen(['sleep', '30']); print(child.pid, flush=True); time.sleep(30)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        assert is_held(path)
        holder.kill()
        deadline = time.monotonic() + 5
        while is_held(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        # Not waited for, so a zombie; and its own child, which lives on, did not inherit the lock.
        assert not is_held(path)
        os.kill(holder.pid, 0)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        holder.wait()
        holder.stdout.close()


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire(0)
    assert not second.acquire(0.05)
    threading.Timer(0.1, first.release).start()
    assert second.acquire(2)
    second.release()


# --- requests


def test_a_checkpoint_honours_stop(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING)
        writer.checkpoint()
        run.request_stop()
        assert run.stop_requested
        with pytest.raises(Stopped):
            writer.checkpoint()
        writer.finish(RunState.STOPPED)
    status = run.status()
    assert (status.state, status.pid, status.eta_s) == (RunState.STOPPED, None, None)
    assert status.finished is not None
    assert not run.stop_requested


def test_a_checkpoint_waits_while_paused_and_its_heart_beats(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foster.run_writer.HEARTBEAT_S", 0.05)
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING)
        run.request_pause()
        worker = threading.Thread(target=writer.checkpoint)
        worker.start()
        _until(lambda: run.status().paused)
        before = run.status().heartbeat
        _until(lambda: run.status().heartbeat > before)
        assert worker.is_alive()
        run.request_resume()
        worker.join(5)
        assert not worker.is_alive()
        assert not run.status().paused


def test_a_paused_run_can_be_stopped(run: Run) -> None:
    stopped = []

    def step(writer: RunWriter) -> None:
        try:
            writer.checkpoint()
        except Stopped:
            stopped.append(True)

    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING)
        run.request_pause()
        worker = threading.Thread(target=step, args=(writer,))
        worker.start()
        _until(lambda: run.status().paused)
        run.request_stop()
        worker.join(5)
        assert stopped == [True]
        assert not run.status().paused


def test_a_queued_run_is_stopped_at_once(run: Run) -> None:
    run.request_stop()
    assert run.status().state is RunState.STOPPED
    assert not run.stop_requested


def test_requests_to_a_run_that_has_ended_are_refused(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.finish(RunState.DONE)
    for request in (run.request_stop, run.request_pause, run.request_resume):
        with pytest.raises(UserError, match="it is done"):
            request()
    assert not run.stop_requested
    assert not run.pause_requested


def test_a_checkpoint_is_cheap(run: Run) -> None:
    with RunWriter(run.path) as writer:
        since = time.perf_counter()
        for _ in range(2000):
            writer.checkpoint()
        assert time.perf_counter() - since < 1.0


def test_the_remaining_time_is_estimated_from_the_pace(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("foster.run_writer.time.monotonic", lambda: now[0])
    with RunWriter(run.path) as writer:
        writer.status(fraction=0.2)
        assert writer.current.eta_s is None
        now[0] += 30
        writer.status(fraction=0.5)
        assert writer.current.eta_s == pytest.approx(50)
        writer.status(fraction=0.6, eta_s=7.0)
        assert writer.current.eta_s == 7.0


def _until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
