"""Deleting runs: a run is there completely or not at all, whenever the deleting process dies."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from foster.disk import taken_bytes
from foster.errors import UserError
from foster.run_files import FileLock, writing
from foster.runs import RunState, RunStore

REMOVED = ".removed-"  # what starts so is no run any more; the store passes over names with a dot


def remove_run(store: RunStore, run_id: str) -> int:
    """Deletes a run for good and returns the bytes that its files took.

    Its folder is renamed first and emptied then; what a killed process leaves is swept away by the next call. The
    run's lock is held meanwhile, so that nothing can resume it. Raises UserError for a run that is running, waits in
    the queue, or is shipped with the sample.
    """
    run = store.get(run_id)
    run.require_own("delete")
    _require_ended(run.id, run.status().state)
    lock = FileLock(run.path / "lock")
    with writing(lock.path):
        held = lock.acquire(patience=2.0)
    try:
        if not held:
            raise UserError(f"cannot delete run {run.id}: another process works on it; stop it first")
        _require_ended(run.id, run.status().state, ours=True)
        freed = taken_bytes(run.path)
        grave = store.root / f"{REMOVED}{run.id}-{secrets.token_hex(4)}"
        with writing(run.path):
            run.path.rename(grave)
    finally:
        lock.release()
    sweep(store.root)
    return freed


def sweep(folder: Path) -> None:
    """Empties what was taken out of `folder` but not deleted to the end."""
    for grave in folder.glob(f"{REMOVED}*"):
        if grave.is_dir() and not grave.is_symlink():
            shutil.rmtree(grave, ignore_errors=True)


def _require_ended(run_id: str, state: RunState, ours: bool = False) -> None:
    """ours: this process holds the run's lock, so a run that says running is a lost one."""
    if state is RunState.QUEUED or (state is RunState.RUNNING and not ours):
        raise UserError(f"cannot delete run {run_id}: it is {state}; stop it first (foster stop {run_id})")
