"""Requests to a run: stop, pause, resume, and how a worker honours them."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest
from patience import PATIENCE_S, until

from foster.clock import INSTANT, STAGES, Clock
from foster.errors import UserError
from foster.run_writer import HEARTBEAT_S
from foster.runs import Run, RunState, RunStore, RunWriter, Stopped
from foster.spec import RunSpec

SPEC = RunSpec(sequences=3, length=4, steps=7)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", bundled=None)


@pytest.fixture
def run(store: RunStore) -> Run:
    return store.create(SPEC)


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
        until(lambda: run.status().paused)
        before = run.status().heartbeat
        until(lambda: run.status().heartbeat > before)
        assert worker.is_alive()
        run.request_resume()
        worker.join(PATIENCE_S)
        assert not worker.is_alive()
        assert not run.status().paused


def test_a_paused_run_takes_one_step_and_waits_again(run: Run) -> None:
    """Three checkpoints within every step, one at its end; the pause comes somewhere in the first."""
    taken: list[int] = []

    def work(writer: RunWriter) -> None:
        with suppress(Stopped):
            for step in range(1, 100):
                for _ in range(3):
                    writer.checkpoint()
                taken.append(step)
                writer.checkpoint(ends_step=True)

    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING)
        run.request_pause()
        worker = threading.Thread(target=work, args=(writer,))
        worker.start()
        until(lambda: run.status().paused)
        for count in (1, 2, 3):
            run.request_step()
            until(lambda: not run.step_requested and run.status().paused)
            assert taken == list(range(1, count + 1))
        run.request_stop()
        worker.join(PATIENCE_S)
        assert taken == [1, 2, 3]


def test_a_step_under_way_can_be_stopped(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING)
        run.request_pause()
        run.request_step()
        writer.checkpoint()  # within the step: nothing holds it
        assert run.step_requested
        run.request_stop()
        with pytest.raises(Stopped):
            writer.checkpoint()
        writer.finish(RunState.STOPPED)
    assert not run.step_requested


def test_the_end_of_a_pause_takes_a_step_asked_for_with_it(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING)
        run.request_pause()
        run.request_step()
        run.request_resume()
        assert (run.pause_requested, run.step_requested) == (False, False)
        writer.checkpoint(ends_step=True)  # nothing holds it


def test_a_step_that_makes_no_sense_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match="not paused"):  # it waits in the queue
        run.request_step()
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING)
        with pytest.raises(UserError, match="not paused; pause it first"):
            run.request_step()
        assert not run.step_requested
        run.request_pause()
        run.request_step()
        with pytest.raises(UserError, match="still takes the step before"):
            run.request_step()
        writer.finish(RunState.DONE)
    assert not run.step_requested


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
        until(lambda: run.status().paused)
        run.request_stop()
        worker.join(PATIENCE_S)
        assert stopped == [True]
        assert not run.status().paused


def test_a_queued_run_is_stopped_at_once(run: Run) -> None:
    run.request_stop()
    assert run.status().state is RunState.STOPPED
    assert not run.stop_requested


def test_requests_to_a_run_that_has_ended_are_refused(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.finish(RunState.DONE)
    for request in (run.request_stop, run.request_pause, run.request_step, run.request_resume):
        with pytest.raises(UserError, match="it is done"):
            request()
    assert not run.stop_requested
    assert not run.pause_requested


def test_checkpoints_write_nothing_between_two_heartbeats(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("foster.run_writer.time.monotonic", lambda: now[0])
    with RunWriter(run.path) as writer:
        writer.status(fraction=0.1)
        before = run.status().heartbeat
        for _ in range(100):
            writer.checkpoint()
        assert run.status().heartbeat == before
        now[0] += HEARTBEAT_S
        writer.checkpoint()
        assert run.status().heartbeat > before


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


@pytest.mark.parametrize(("before", "took", "stage"), [("embed", 100.0, "experts"), ("experts", INSTANT / 2, "distil")])
def test_neither_texts_nor_what_the_cache_held_say_anything_of_the_pace(
    run: Run, monkeypatch: pytest.MonkeyPatch, before: str, took: float, stage: str
) -> None:
    now = [100.0]
    monkeypatch.setattr("foster.run_writer.time.monotonic", lambda: now[0])
    with RunWriter(run.path) as writer:
        clock = Clock(writer)
        with clock.stage(before):
            now[0] += took
        with clock.stage(stage):
            assert writer.current.eta_s is None
            now[0] += 60
            clock.tell(0.5, "half of it")
            assert writer.current.fraction is not None
            left = (1 - writer.current.fraction) / (0.5 * STAGES[stage])
            assert writer.current.eta_s == pytest.approx(60 * left)
        with clock.stage("students"):  # what came before took its time
            assert writer.current.eta_s is not None
