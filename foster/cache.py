"""What runs share below ROOT/.cache, `<kind>/<entry>` each: how much it takes, and what no run needs any more.

A run names the entries that it uses (`RunWriter.uses`) in its cache.json. With them a resumed run goes on where it was,
and a finished one can recommend; everything is made again when it is wanted.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foster.disk import taken_bytes
from foster.errors import UserError
from foster.launch import COMMAND, QUEUE_LOCK, ensure_drain
from foster.removal import REMOVED, sweep
from foster.run_files import FileLock, read_json, writing
from foster.runs import Run, RunState, RunStore


@dataclass(frozen=True)
class Pruned:
    """entries: how many were removed; freed, left: bytes; silent: ids of runs that do not say what they use, for whose
    sake everything was kept."""

    entries: int = 0
    freed: int = 0
    left: int = 0
    silent: tuple[str, ...] = ()


def prune(store: RunStore, everything: bool = False, command: Sequence[str] = COMMAND) -> Pruned:
    """Removes the entries that no existing run needs, or everything.

    Raises UserError while a run is queued or running; none can begin meanwhile, because the queue's lock is held.
    """
    if not store.cache.is_dir():
        return Pruned()
    lock = FileLock(store.root / QUEUE_LOCK)
    with writing(lock.path):
        held = lock.acquire(patience=1.0)
    try:
        own = [(run, status) for run, status in store.survey()[0] if not run.read_only]
        live = [run.id for run, status in own if status.state in (RunState.QUEUED, RunState.RUNNING)]
        if live or not held:
            who = f"run {live[0]} is not finished" if live else "a run has just been finished or begun"
            raise UserError(f"cannot prune the cache: {who}; wait for it, or stop it with foster stop")
        used = [] if everything else [_used_by(run, status.started is not None) for run, status in own]
        silent = tuple(run.id for (run, _), names in zip(own, used, strict=False) if names is None)
        keep = {name for names in used for name in names or ()}
        entries = [] if silent else [path for path in _entries(store.cache) if _name(path) not in keep]
        freed = sum(map(_remove, entries))
        for kind in store.cache.iterdir():
            sweep(kind)
        return Pruned(len(entries), freed, taken_bytes(store.cache), silent)
    finally:
        lock.release()
        if held and any(status.state is RunState.QUEUED for _, status in store.survey()[0]):
            ensure_drain(store.root, command)  # a launch that saw our lock trusts whoever held it with its run


def _entries(cache: Path) -> list[Path]:
    kinds = [kind for kind in cache.iterdir() if kind.is_dir() and not kind.is_symlink()]
    return sorted(path for kind in kinds for path in kind.iterdir() if not path.name.startswith(REMOVED))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _used_by(run: Run, began: bool) -> list[str] | None:
    """None for a run that began and does not say."""
    path = run.path / "cache.json"
    if not path.exists():
        return None if began else []
    try:
        return [str(name) for name in read_json(path)["uses"]]
    except (UserError, KeyError, TypeError):
        return None


def _remove(path: Path) -> int:
    """A folder leaves in one step: half of it must not pass for the whole."""
    freed = taken_bytes(path)
    with writing(path):
        if path.is_dir() and not path.is_symlink():
            grave = path.with_name(f"{REMOVED}{secrets.token_hex(8)}")
            path.rename(grave)
            shutil.rmtree(grave, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return freed
