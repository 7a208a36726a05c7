"""Runs that are stopped, paused, stepped, killed and resumed, with an experiment that takes no time (`fake_foster`)."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_foster import COMMAND
from launched_runs import own_store, spec, total_after, total_of, trace_of
from patience import until

from foster import launch as queue
from foster.errors import UserError
from foster.launch import follow, launch, resume
from foster.run_files import is_held
from foster.runs import Run, RunState, RunStore, RunWriter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with own_store(tmp_path) as store:
        yield store


def test_stop_and_resume_end_like_an_uninterrupted_run(store: RunStore) -> None:
    run = launch(store, spec(150), COMMAND)
    until(lambda: len(run.events("distil")) > 6)
    run.request_stop()
    assert follow(run, poll_s=0.02).state is RunState.STOPPED
    assert run.report() is None
    resume(store, run.id, COMMAND)
    assert follow(run, poll_s=0.02).state is RunState.DONE
    assert total_of(run) == total_after(150)
    assert [event["step"] for event in run.events("distil")] == list(range(1, 151))


def paused_run(store: RunStore) -> Run:
    """A hundred and fifty steps, of which some are taken."""
    run = launch(store, spec(150), COMMAND)
    until(lambda: bool(run.events("distil")))
    run.request_pause()
    until(lambda: run.status().paused)
    return run


def test_pause_holds_the_run_and_resume_lets_it_go_on(store: RunStore) -> None:
    run = paused_run(store)
    count = len(run.events("distil"))
    time.sleep(0.2)
    assert len(run.events("distil")) == count
    resume(store, run.id, COMMAND)
    assert follow(run, poll_s=0.02).state is RunState.DONE
    assert total_of(run) == total_after(150)


def test_single_steps_advance_a_paused_run_by_one_each_and_change_nothing(store: RunStore) -> None:
    run = paused_run(store)
    before = len(run.events("distil"))
    for more in (1, 2, 3):
        run.request_step()
        until(lambda: not run.step_requested and run.status().paused)
        assert len(run.events("distil")) == before + more
        assert run.status().message == f"step {before + more} of 150"
    resume(store, run.id, COMMAND)
    assert follow(run, poll_s=0.02).state is RunState.DONE
    assert total_of(run) == total_after(150)


def test_a_run_killed_within_a_single_step_resumes_without_pause_or_step(store: RunStore) -> None:
    run = paused_run(store)
    pid = run.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that the step is asked for and not yet taken
    run.request_step()
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.status().is_terminal)
    assert run.status().state is RunState.LOST
    assert run.step_requested
    resume(store, run.id, COMMAND)
    assert not run.step_requested
    assert follow(run, poll_s=0.02).state is RunState.DONE
    assert total_of(run) == total_after(150)
    assert [event["step"] for event in run.events("distil")] == list(range(1, 151))


@pytest.mark.parametrize("seed", range(4))
def test_kill_at_any_moment_leaves_a_readable_run_that_resumes(store: RunStore, seed: int) -> None:
    moments = random.Random(seed)
    run = launch(store, spec(20), COMMAND)
    for _ in range(2):
        until(lambda: run.status().pid is not None)
        time.sleep(moments.uniform(0, 0.25))
        status = run.status()
        if status.pid is not None:
            os.kill(status.pid, signal.SIGKILL)
        until(lambda: run.status().is_terminal)
        assert store.problems() == {}
        assert all("step" in event for event in run.events("distil"))
        run.sequences()
        if run.status().state is RunState.DONE:  # it was faster
            break
        assert run.status().state is RunState.LOST
        resume(store, run.id, COMMAND)
    assert follow(run, poll_s=0.02).state is RunState.DONE
    assert total_of(run) == total_after(20)
    assert [event["step"] for event in run.events("distil")] == list(range(1, 21))


def test_a_killed_worker_is_explained_in_the_log_and_the_queue_goes_on(store: RunStore) -> None:
    first, second = launch(store, spec(200), COMMAND), launch(store, spec(0), COMMAND)
    until(lambda: first.status().pid is not None)
    pid = first.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert follow(second, poll_s=0.02).state is RunState.DONE
    assert first.status().state is RunState.LOST
    assert "the worker ended with signal 9" in first.log()


def test_a_failed_run_can_be_resumed_and_its_error_goes(store: RunStore) -> None:
    run = store.create(spec(3))
    with RunWriter(run.path) as writer:
        writer.finish(RunState.FAILED, error="no more memory")
    resume(store, run.id, COMMAND)
    status = follow(run, poll_s=0.02)
    assert (status.state, status.error) == (RunState.DONE, None)


def test_resume_refuses_what_makes_no_sense(store: RunStore, tmp_path: Path) -> None:
    run = store.create(spec(0))
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING)
        with pytest.raises(UserError, match="running and not paused"):
            resume(store, run.id, COMMAND)
        writer.finish(RunState.DONE)
    with pytest.raises(UserError, match="it is done"):
        resume(store, run.id, COMMAND)
    shipped = RunStore(tmp_path / "empty", bundled=store.root)
    with pytest.raises(UserError, match="read-only"):
        resume(shipped, run.id, COMMAND)


def test_many_resumes_of_one_run_start_it_once(store: RunStore) -> None:
    run = store.create(spec(5))
    run.request_stop()
    errors: list[UserError] = []

    def again() -> None:
        try:
            resume(store, run.id, COMMAND)
        except UserError as error:  # it may already run, and then resuming makes no sense
            errors.append(error)

    threads = [threading.Thread(target=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert follow(run, poll_s=0.02).state is RunState.DONE
    until(lambda: not is_held(store.root / queue.QUEUE_LOCK))
    assert trace_of(store) == [f"begin {run.id}", f"end {run.id}"]
    assert len(errors) < 4
