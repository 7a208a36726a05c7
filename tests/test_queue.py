"""The queue and its workers, with an experiment that takes no time (`fake_foster`) in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_foster import COMMAND, environment, execute
from launched_runs import drain_pid, own_store, spec, trace_of
from patience import PATIENCE_S, until

from foster import launch as queue
from foster.errors import UserError
from foster.launch import drain, ensure_drain, follow, launch, work
from foster.run_files import FileLock, is_held
from foster.runs import Run, RunState, RunStore, RunWriter
from foster.spec import RunSpec

DIES_AT_ONCE = (sys.executable, "-c", "import sys; print('cannot import torch', file=sys.stderr); sys.exit(7)")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with own_store(tmp_path) as store:
        yield store


# --- one worker, in this process


def test_work_runs_to_done(store: RunStore) -> None:
    run = store.create(spec(4))
    seen = []

    def watched(spec: RunSpec, writer: RunWriter, cache: Path) -> object:
        status = run.status()
        seen.append((status.state, status.pid, status.started is not None, cache))
        return execute(spec, writer, cache)

    work(store.root, run.id, watched)
    assert seen == [(RunState.RUNNING, os.getpid(), True, store.cache)]
    status = run.status()
    assert (status.state, status.fraction, status.error, status.pid) == (RunState.DONE, 1.0, None, None)
    assert run.report() is not None
    assert not is_held(run.path / "lock")


@pytest.mark.parametrize(
    ("encoder", "message", "in_log"),
    [
        ("user-error", "the catalogue is empty; give one item", ""),
        ("crash", "RuntimeError: the engine broke; the run's log has the details", "Traceback"),
        (
            "full-disk",
            "OSError: [Errno 28] No space left on device: '/somewhere'; the run's log has the details",
            "Trace",
        ),
    ],
)
def test_a_failure_is_one_line(store: RunStore, encoder: str, message: str, in_log: str) -> None:
    run = store.create(spec(1, encoder))
    work(store.root, run.id, execute)
    status = run.status()
    assert (status.state, status.error) == (RunState.FAILED, message)
    assert in_log in run.log()


def test_work_leaves_a_run_alone_that_was_stopped_or_is_held(store: RunStore) -> None:
    run = store.create(spec(1))
    with RunWriter(run.path), pytest.raises(UserError, match="another process"):
        work(store.root, run.id, execute)
    run.request_stop()
    work(store.root, run.id, execute)
    assert run.status().state is RunState.STOPPED
    assert not (store.root / "trace").exists()


def test_a_stop_that_came_before_the_first_step_is_honoured(store: RunStore) -> None:
    run = store.create(spec(1))
    (run.path / "stop").touch()
    work(store.root, run.id, execute)
    assert run.status().state is RunState.STOPPED
    assert not (store.root / "trace").exists()


# --- the queue


def test_launched_runs_are_worked_one_at_a_time_oldest_first(store: RunStore) -> None:
    runs = [launch(store, spec(2), COMMAND) for _ in range(3)]
    states = [follow(run, command=COMMAND, poll_s=0.02).state for run in runs]
    assert states == [RunState.DONE] * 3
    expected = [f"{what} {run.id}" for run in runs for what in ("begin", "end")]
    assert trace_of(store) == expected


def test_concurrent_launches_lose_no_run_and_work_one_at_a_time(store: RunStore) -> None:
    code = (
        "import sys; from pathlib import Path; from foster.launch import launch; from foster.runs import RunStore;"
        "from foster.spec import RunSpec; store = RunStore(Path(sys.argv[1]), bundled=None);"
        "[launch(store, RunSpec(steps=0), sys.argv[2:]) for _ in range(2)]"
    )
    launchers = [
        subprocess.Popen([sys.executable, "-c", code, str(store.root), *COMMAND], env=environment()) for _ in range(3)
    ]
    assert [launcher.wait(PATIENCE_S) for launcher in launchers] == [0] * 3
    until(lambda: all(run.status().state is RunState.DONE for run in store.list()))
    trace = trace_of(store)
    assert len(trace) == 12
    for begin, end in zip(trace[::2], trace[1::2], strict=True):  # never two at once, none twice
        assert (begin.split()[0], end.split()[0]) == ("begin", "end")
        assert begin.split()[1] == end.split()[1]
    assert len({line.split()[1] for line in trace}) == 6


def test_a_run_that_comes_while_the_drain_is_leaving_is_not_lost(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: the drain saw an empty queue, still holds the lock, and the launch relies on that."""
    late: list[Run] = []

    class LeavingLock(FileLock):
        def release(self) -> None:
            if not late:
                late.append(store.create(spec(0)))
                assert not ensure_drain(store.root, COMMAND)
            super().release()

    monkeypatch.setattr(queue, "FileLock", LeavingLock)
    first = store.create(spec(0))
    drain(store.root, COMMAND)
    assert [run.status().state for run in (first, *late)] == [RunState.DONE] * 2


def test_launches_right_at_the_end_of_a_drain_are_not_lost(store: RunStore) -> None:
    for _ in range(4):
        assert follow(launch(store, spec(0), COMMAND), command=COMMAND, poll_s=0.001).state is RunState.DONE


def test_a_drain_leaves_when_another_holds_the_queue(store: RunStore) -> None:
    run = store.create(spec(0))
    lock = FileLock(store.root / queue.QUEUE_LOCK)
    assert lock.acquire(0)
    drain(store.root, COMMAND)
    lock.release()
    assert run.status().state is RunState.QUEUED


def test_a_worker_that_cannot_start_fails_its_run_and_the_queue_goes_on(store: RunStore) -> None:
    runs = [store.create(spec(0)) for _ in range(2)]
    drain(store.root, DIES_AT_ONCE)
    for run in runs:
        status = run.status()
        assert status.state is RunState.FAILED
        assert status.error == "the worker ended with exit code 7 before it began; see the run's log"
        assert "cannot import torch" in run.log()


def test_a_run_resumed_before_the_drain_saw_its_worker_die_is_worked_again(store: RunStore) -> None:
    code = (
        "import sys; from pathlib import Path; from foster.launch import work; from foster.runs import *\n"
        "_, run_id, _, root = sys.argv[1:]; folder = Path(root) / run_id\n"
        "if not (folder / 'log.txt').read_text():\n"
        "    with RunWriter(folder) as writer:\n"
        "        writer.status(state=RunState.RUNNING); writer.finish(RunState.QUEUED)\n"
        "    sys.exit(9)\n"
        "work(Path(root), run_id, lambda spec, run, cache: None)"
    )
    run = store.create(spec(0))
    drain(store.root, (sys.executable, "-c", code))
    assert run.status().state is RunState.DONE
    assert "the worker ended with exit code 9" in run.log()


def test_a_drain_that_cannot_start_is_told_and_not_waited_for(store: RunStore) -> None:
    run = launch(store, spec(0), DIES_AT_ONCE)
    with pytest.raises(UserError, match=r"no worker starts; .*drain\.log"):
        follow(run, command=DIES_AT_ONCE, poll_s=0.01, patience_s=0.2)
    assert "cannot import torch" in (store.root / queue.DRAIN_LOG).read_text()


def test_following_brings_a_dead_drain_back(store: RunStore) -> None:
    run = store.create(spec(0))
    assert follow(run, command=COMMAND, poll_s=0.02, patience_s=1.0).state is RunState.DONE


def test_damaged_runs_do_not_hold_up_the_queue(store: RunStore) -> None:
    damaged = store.create(spec(0))
    (damaged.path / "status.json").write_text("{")
    run = store.create(spec(0))
    drain(store.root, COMMAND)
    assert run.status().state is RunState.DONE


def test_the_worker_of_a_killed_drain_is_waited_for(store: RunStore) -> None:
    first = launch(store, spec(40), COMMAND)
    until(lambda: first.status().state is RunState.RUNNING and bool(first.events("distil")))
    os.kill(drain_pid(store), signal.SIGKILL)
    until(lambda: not is_held(store.root / queue.QUEUE_LOCK))
    second = launch(store, spec(0), COMMAND)
    assert follow(second, command=COMMAND, poll_s=0.02).state is RunState.DONE
    assert trace_of(store) == [f"{what} {run.id}" for run in (first, second) for what in ("begin", "end")]


def test_a_worker_outlives_whoever_launched_it(store: RunStore) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path; from foster.launch import launch;"
        "from foster.runs import RunStore; from foster.spec import RunSpec;"
        "print(launch(RunStore(Path(sys.argv[1]), bundled=None), RunSpec(steps=10), sys.argv[2:]).id, flush=True);"
        "os.killpg(os.getpgid(0), signal.SIGINT); os.kill(os.getpid(), signal.SIGKILL)"
    )
    launcher = subprocess.run(
        [sys.executable, "-c", code, str(store.root), *COMMAND],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert launcher.returncode < 0
    run = store.get(launcher.stdout.strip())
    assert follow(run, command=COMMAND, poll_s=0.02).state is RunState.DONE
