"""Runs of visitors: apart from the store, owned, limited, tidied. The store itself is only looked at."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from run_folders import held, lay_run

from foster import visitors
from foster.errors import UserError
from foster.policy import OPEN, Policy, visiting
from foster.removal import remove_run
from foster.run_label import RunLabel, write_label
from foster.runs import Run, RunState, RunStore
from foster.spec import RunSpec

TOY = RunSpec(sequences=5, length=5, steps=10, students=1)
POLICY = replace(visiting(False, 4), kept=3)
ADA, BOB = "a" * 32, "b" * 32
DONE, STOPPED = "20260921-1000-foster-sample-0001", "20260921-1000-foster-sample-0002"


def launch(store: RunStore, spec: RunSpec) -> Run:
    """Queued; nobody works on it."""
    return store.create(spec)


def resume(store: RunStore, run_id: str) -> Run:
    run = store.get(run_id)
    if run.status().is_terminal:
        (run.path / "resumed").touch()
    else:
        run.request_resume()
    return run


def start(
    store: RunStore, who: str, *specs: RunSpec, again: tuple[str, ...] = (), policy: Policy = POLICY
) -> list[Run]:
    return visitors.start(store, policy, who, specs, again, launch, resume)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay_run(tmp_path / "runs")
    lay_run(tmp_path / "runs", STOPPED, "stopped", ready="snapshots")
    return tmp_path / "runs"


@pytest.fixture
def store(root: Path) -> RunStore:
    return RunStore(root / visitors.FOLDER, bundled=None, beside=root)


def test_only_finished_runs_of_the_store_are_shown_and_nothing_can_be_done_to_them(store: RunStore, root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    (run,) = store.list()
    assert (run.id, run.read_only, run.shipped) == (DONE, True, False)
    with pytest.raises(UserError, match="there is no run"):
        store.get(STOPPED)
    for deed in (
        run.request_stop,
        run.request_pause,
        lambda: write_label(run, RunLabel("mine")),
        lambda: remove_run(store, run.id),
    ):
        with pytest.raises(UserError, match="only to be looked at here"):
            deed()
    assert store.cache_of(run) == root / ".cache"
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert not store.root.exists(), "looking writes nothing"


def test_a_visitors_run_lies_apart_and_knows_its_owner(store: RunStore, root: Path) -> None:
    (run,) = start(store, ADA, TOY)
    assert run.path.parent == root / ".visitors"
    assert visitors.owner_of(run) == ADA
    assert store.cache_of(run) == root / ".visitors" / ".cache"
    assert {each.id for each in RunStore(root, bundled=None).list()} == {DONE, STOPPED}
    assert visitors.refusal(POLICY, ADA, run) == ""
    assert "Another visitor" in visitors.refusal(POLICY, BOB, run)
    assert visitors.refusal(OPEN, BOB, run) == ""
    (run.path / visitors.OWNER).write_text("{}")
    assert visitors.refusal(POLICY, ADA, run), "a run of nobody is nobody's"


def test_another_visitor_can_neither_stop_nor_pause_nor_resume(store: RunStore) -> None:
    (run,) = start(store, ADA, TOY)
    with pytest.raises(UserError, match="only they can"):
        visitors.require_control(POLICY, BOB, run)
    with pytest.raises(UserError, match="only they can"):
        visitors.pause(store, POLICY, BOB, run)
    with pytest.raises(UserError, match="only they can"):
        start(store, BOB, again=(run.id,))
    assert not run.pause_requested


def test_a_launch_that_is_no_toy_leaves_nothing(store: RunStore) -> None:
    with pytest.raises(UserError, match="only small runs start here"):
        start(store, ADA, TOY, replace(TOY, sequences=500))
    assert not store.root.exists()


def test_each_visitor_has_a_limit_and_all_together_have_one(store: RunStore) -> None:
    start(store, ADA, TOY, TOY)
    with pytest.raises(UserError, match="2 runs at a time is the limit"):
        start(store, ADA, TOY)
    start(store, BOB, TOY, TOY)
    with pytest.raises(UserError, match="4 runs of all visitors work or wait, and 4 is the limit"):
        start(store, "c" * 32, TOY)
    assert len([run for run in store.list() if not run.read_only]) == 4


def test_what_a_visitor_may_keep_is_limited(store: RunStore) -> None:
    for _ in range(3):
        start(store, ADA, TOY)[0].request_stop()
    with pytest.raises(UserError, match="3 are kept for each visitor"):
        start(store, ADA, TOY)
    start(store, BOB, TOY)


def test_two_who_press_at_once_do_not_slip_past_the_limit(store: RunStore) -> None:
    """Each launch takes a moment, so that without the lock all would see an empty queue."""

    def slowly(store: RunStore, spec: RunSpec) -> Run:
        time.sleep(0.05)
        return store.create(spec)

    refused: list[str] = []

    def press(number: int) -> None:
        try:
            visitors.start(store, POLICY, f"{number:032d}", [TOY], (), slowly, resume)
        except UserError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=press, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 8
    assert sum(not run.read_only for run in store.list()) == 4


def test_a_stopped_run_goes_on_within_the_limits(store: RunStore) -> None:
    (run,) = start(store, ADA, TOY)
    run.request_stop()
    start(store, ADA, again=(run.id,))
    assert (run.path / "resumed").exists()
    start(store, ADA, TOY, TOY)
    with pytest.raises(UserError, match="at a time is the limit"):
        start(store, ADA, again=(run.id,))


def test_a_pause_is_for_an_empty_queue_and_ends_when_somebody_waits(store: RunStore) -> None:
    (run,) = start(store, ADA, TOY)
    visitors.pause(store, POLICY, ADA, run)
    assert run.pause_requested
    (other,) = start(store, BOB, TOY)
    assert not run.pause_requested
    with pytest.raises(UserError, match="other runs wait behind this one"):
        visitors.pause(store, POLICY, ADA, run)
    other.request_stop()
    visitors.pause(store, POLICY, ADA, run)
    start(store, ADA, again=(run.id,))
    assert not run.pause_requested


def test_visitors_runs_are_taken_away_after_a_while_and_others_never(store: RunStore, root: Path) -> None:
    ended, at_work = start(store, ADA, TOY, TOY)
    ended.request_stop()
    kept_s = POLICY.kept_s or 0.0
    assert visitors.tidy(store, POLICY, time.time() + kept_s - 60) == 0
    assert visitors.tidy(store, POLICY, time.time() + kept_s + 60) == 1
    assert [run.id for run in store.list() if not run.read_only] == [at_work.id]
    assert len(RunStore(root, bundled=None).list()) == 2
    assert visitors.tidy(RunStore(root, bundled=None), OPEN, time.time() * 2) == 0


def test_a_launch_tidies_first(store: RunStore) -> None:
    old = lay_run(store.root, "20200101-1000-foster-sample-0009")
    alive = lay_run(store.root, "20200101-1000-foster-sample-0010", "running", ready="snapshots", age=9e9)
    with held(alive):
        start(store, ADA, TOY, policy=replace(POLICY, kept_s=-1e10))
        assert alive.exists()
    assert not old.exists()


def test_without_visitors_nothing_is_asked_or_marked(root: Path) -> None:
    store = visitors.store_under(root, OPEN)
    assert (store.root, store.beside) == (root, None)
    runs = start(store, ADA, *[RunSpec(sequences=500, steps=3)] * 6, policy=OPEN)
    assert all(run.path.parent == root and visitors.owner_of(run) is None for run in runs)
    visitors.pause(store, OPEN, BOB, runs[0])
    assert runs[0].pause_requested
    assert runs[0].status().state is RunState.QUEUED
