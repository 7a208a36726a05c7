"""One writer at a time, and whether it lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_foster import environment
from patience import until

from foster.errors import UserError
from foster.run_files import FileLock, is_held, read_json
from foster.runs import Run, RunState, RunStore, RunWriter
from foster.spec import RunSpec

SPEC = RunSpec(sequences=3, length=4, steps=7)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", bundled=None)


@pytest.fixture
def run(store: RunStore) -> Run:
    return store.create(SPEC)


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
        # Not waited for, so a zombie; and its own child, which lives on, did not inherit the lock.
        until(lambda: not is_held(path))
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
