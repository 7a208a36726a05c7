"""The writing side of a run, held by one living process at a time: its worker."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from foster.errors import UserError
from foster.run_files import SCHEMA, FileLock, read_json, replace_file, to_json, write_json, writing
from foster.run_status import RunState, RunStatus

if TYPE_CHECKING:
    import pandas as pd

HEARTBEAT_S = 1.0


class Stopped(Exception):
    """A person asked the run to stop; whoever runs it lets this pass through, its checkpoints stay."""


class RunWriter:
    """A context manager that takes the run's lock; who holds it, and nobody else, writes the run.

    Raises UserError on entering when another process holds the lock, and on writing when the disk is full or
    read-only. Every file but log and events is replaced in one step; a line that a killed worker left half-written
    at the end of the events is cut off on entering, so that the next event starts a line of its own. Threads of the
    worker may share it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / "lock")
        # Of the threads of this worker: one waits out a pause or looks for a stop, and, apart from that, one writes.
        self._turn, self._pen = threading.Lock(), threading.RLock()
        self._over = threading.Event()
        self._stop, self._pause, self._step = (folder / name for name in ("stop", "pause", "step"))
        self._beat = 0.0
        # for the estimate: when this worker reported the fraction that its pace is reckoned from, pauses taken out
        self._began = 0.0
        self._began_at: float | None = None  # and which fraction that was

    def __enter__(self) -> RunWriter:
        with writing(self._lock.path):
            held = self._lock.acquire(patience=2.0)
        if not held:
            raise UserError(f"run {self.folder.name} is being worked on by another process; stop it there first")
        try:
            self.current = RunStatus.from_json(read_json(self.folder / "status.json"))
            with writing(self.folder):
                _cut_half_line(self.folder / "events.jsonl")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def status(self, **changes: Any) -> None:
        """Changes the named fields of the status and renews the heartbeat.

        With a new `fraction` and no `eta_s` the remaining time is estimated from the pace of this worker.
        """
        with self._pen:
            if "fraction" in changes and "eta_s" not in changes:
                changes["eta_s"] = self._estimate(changes["fraction"])
            self.current = dataclasses.replace(self.current, **changes, heartbeat=time.time())
            self._beat = time.monotonic()
            write_json(self.folder / "status.json", self.current.to_json())

    def finish(self, state: RunState, error: str | None = None, **changes: Any) -> None:
        """Clears all requests, then writes a terminal status, or `queued` for another go."""
        for marker in (self._stop, self._pause, self._step):
            with writing(marker):
                marker.unlink(missing_ok=True)
        finished = None if state is RunState.QUEUED else time.time()
        self.status(state=state, error=error, finished=finished, paused=False, eta_s=None, pid=None, **changes)

    def checkpoint(self, *, ends_step: bool = False) -> None:
        """Call as often as the work can wait: blocks while a pause is asked for, raises Stopped when a stop is, renews
        the heartbeat.

        ends_step: a unit of work that a person counts is over; a paused run that was let go for a single step waits
        here again. Costs two looks at the folder, some microseconds. No thread renews the heartbeat: it says when the
        *work* last came by here, and that the process lives is what the lock says.
        """
        with self._turn:
            if self._is_held(ends_step):
                self._wait()
            if self._stop.exists() or self._over.is_set():
                raise Stopped
            if time.monotonic() - self._beat >= HEARTBEAT_S:
                self.status()

    def heed_stop(self) -> None:
        """`checkpoint` for threads that work ahead of the run's own: raises Stopped like it, but a pause does not hold
        them. It holds who hands out their work, so that a single step stays one thing that a person counts."""
        if self._stop.exists() or self._over.is_set():
            raise Stopped
        with self._pen:
            if time.monotonic() - self._beat >= HEARTBEAT_S:
                self.status()

    def give_up(self) -> None:
        """From now on every look for a stop raises Stopped: what other threads still compute is no longer wanted."""
        self._over.set()

    def event(self, kind: str, **fields: Any) -> None:
        """Appends one line to events.jsonl. Numbers that are not finite become null."""
        self._append("events.jsonl", to_json({"time": time.time(), "kind": kind, **fields}))

    def log(self, text: str) -> None:
        self._append("log.txt", f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")

    def path(self, name: str) -> Path:
        """The path of `name` in the run's folder; its parent exists."""
        path = self.folder / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def uses(self, entry: Path) -> None:
        """Say before using it that this run needs `entry`, ROOT/.cache/<kind>/<entry>, so that pruning keeps it."""
        file = self.folder / "cache.json"
        with self._pen:
            known = read_json(file)["uses"] if file.exists() else []
            if (name := f"{entry.parent.name}/{entry.name}") not in known:
                write_json(file, {"schema": SCHEMA, "uses": [*known, name]})

    def write_json(self, name: str, value: object) -> None:
        write_json(self.folder / name, value)

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Parquet, without the index."""
        self.write_file(name, lambda temporary: table.to_parquet(temporary, index=False, compression="zstd"))

    def write_file(self, name: str, save: Callable[[Path], object]) -> None:
        """For every other kind of file: `save(path)` writes a temporary one, which then takes its place in one step."""
        replace_file(self.folder / name, save)

    def _append(self, name: str, line: str) -> None:
        path = self.folder / name
        with self._pen, writing(path), path.open("ab") as file:
            file.write(line.encode("utf-8", "backslashreplace") + b"\n")

    def _is_held(self, ends_step: bool = False) -> bool:
        """Whether a pause is asked for, and no single step of it is under way."""
        if ends_step:  # without a pause too: a resume may come between the look and the mark of whoever asks for a step
            self._step.unlink(missing_ok=True)
        return self._pause.exists() and not self._step.exists()

    def _wait(self) -> None:
        since = time.monotonic()
        self.status(paused=True)
        while self._is_held() and not self._stop.exists() and not self._over.is_set():
            time.sleep(0.05)
            if time.monotonic() - self._beat >= HEARTBEAT_S:
                self.status()
        self._began += time.monotonic() - since
        self.status(paused=False)

    def pace_anew(self) -> None:
        """What was done up to now says nothing of what is to come: the remaining time is estimated from the next
        fraction on."""
        self._began_at = None

    def _estimate(self, fraction: float) -> float | None:
        if self._began_at is None or fraction < self._began_at:
            self._began, self._began_at = time.monotonic(), fraction
        gained = fraction - self._began_at
        if gained < 0.01:
            return None
        return (time.monotonic() - self._began) * (1 - fraction) / gained


def _cut_half_line(path: Path) -> None:
    with suppress(FileNotFoundError), path.open("rb+") as file:
        text = file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            file.truncate(whole)
            os.fsync(file.fileno())
