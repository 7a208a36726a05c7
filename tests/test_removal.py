"""Deleting a run: never a live or a shipped one, and never half of one."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from run_folders import held, lay_run

from foster.errors import UserError
from foster.launch import resume
from foster.removal import REMOVED, remove_run
from foster.runs import RunState, RunStore

RUN = "20260921-1000-foster-sample-0001"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    (tmp_path / "runs").mkdir()
    return RunStore(tmp_path / "runs", bundled=None)


@pytest.mark.parametrize("state", ["done", "failed", "stopped", "running"])
def test_an_ended_run_is_deleted_and_its_bytes_are_counted(store: RunStore, state: str) -> None:
    """A run that says running while nobody holds its lock is lost, and may go too."""
    folder, other = lay_run(store.root, state=state), lay_run(store.root, "20260921-1000-foster-sample-0002")
    expected = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert remove_run(store, RUN) == expected
    assert [path.name for path in store.root.iterdir()] == [other.name]


def test_a_running_or_queued_run_stays(store: RunStore) -> None:
    with held(lay_run(store.root, state="running")), pytest.raises(UserError, match=r"it is running; stop it first"):
        remove_run(store, RUN)
    queued = lay_run(store.root, "20260921-1000-foster-sample-0002", state="queued", ready="nothing")
    with pytest.raises(UserError, match="it is queued"):
        remove_run(store, queued.name)
    assert len(store.list()) == 2


def test_a_run_whose_lock_another_process_holds_stays(store: RunStore) -> None:
    """As while somebody resumes it."""
    with held(lay_run(store.root, state="stopped")), pytest.raises(UserError, match="another process works on it"):
        remove_run(store, RUN)
    assert store.get(RUN).status().state is RunState.STOPPED


def test_a_shipped_run_and_what_is_no_run_stay(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "own", bundled=tmp_path / "shipped")
    folder = lay_run(tmp_path / "shipped")
    with pytest.raises(UserError, match="shipped with the sample"):
        remove_run(store, RUN)
    for name in ("../shipped", ".cache", "20260921-1000-foster-sample-0009"):
        with pytest.raises(UserError, match="no run"):
            remove_run(store, name)
    assert (folder / "report.json").exists()


def test_a_removal_cut_off_leaves_no_half_run_and_is_finished_later(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_run(store.root)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *args, **options: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            remove_run(store, RUN)
    assert store.survey() == ([], {})
    assert [path.name.startswith(REMOVED + RUN) for path in store.root.iterdir()] == [True]
    second = lay_run(store.root, "20260921-1000-foster-sample-0002")
    remove_run(store, second.name)
    assert list(store.root.iterdir()) == []


def test_a_resume_and_a_removal_at_once_leave_one_winner(store: RunStore) -> None:
    for _ in range(10):
        lay_run(store.root, state="stopped", ready="nothing")
        errors: list[UserError] = []

        def both(act: object, errors: list[UserError] = errors) -> None:
            try:
                act()  # type: ignore[operator]
            except UserError as error:
                errors.append(error)

        acts = (lambda: remove_run(store, RUN), lambda: resume(store, RUN, ("true",)))
        threads = [threading.Thread(target=both, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = store.list()
        assert len(errors) == 1
        assert [run.status().state for run in left] in ([], [RunState.QUEUED])
        shutil.rmtree(store.root / RUN, ignore_errors=True)
