"""The reading side of the run store: the truth is on disk, and whoever holds a run's name sees the same run.

A folder per run under one root, described in `RunWriter` (who writes) and here (what is read). Reading imports
neither torch nor streamlit, and pandas only for tables.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foster.bundle import bundled_path
from foster.errors import UserError
from foster.run_files import is_held, read_json, write_json, writing
from foster.run_status import RunState, RunStatus
from foster.run_writer import RunWriter, Stopped
from foster.spec import RunSpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "RunState", "RunStatus", "RunStore", "RunWriter", "Stopped", "default_root"]

RUN_ID = re.compile(r"[a-z0-9-]{8,64}")
CACHE = ".cache"
BUNDLED_RUNS = bundled_path("sample_data") / "runs"
# What makes two events the same step of the same work; a resumed run reports such a step a second time.
EVENT_KEY = ("kind", "expert", "epoch", "step", "name", "seed")


def default_root() -> Path:
    """$FOSTER_RUNS, else the user's data folder."""
    if chosen := os.environ.get("FOSTER_RUNS"):
        return Path(chosen).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "foster" / "runs"


@dataclass(frozen=True)
class Run:
    """One run on disk. `read_only` runs take no requests: `shipped` with the sample, or only looked at here."""

    id: str
    path: Path
    read_only: bool = False
    shipped: bool = False

    @property
    def is_lesson(self) -> bool:
        """Shipped beside the demo run to show what a setting is worth; ids of other runs begin with a date."""
        return self.shipped and self.id.startswith("lesson-")

    @cached_property
    def spec(self) -> RunSpec:
        """Raises UserError when it is missing or damaged."""
        return RunSpec.from_json(read_json(self.path / "spec.json"))

    def status(self) -> RunStatus:
        """Raises UserError when it is missing or damaged. LOST: it says running, but nobody holds the run's lock."""
        status = self._written_status()
        if status.state is RunState.RUNNING and not is_held(self.path / "lock"):
            status = self._written_status()  # it may have ended between the two looks
            if status.state is RunState.RUNNING:
                error = "the worker ended without a word (killed, no memory, disk full, or power lost); resume the run"
                return dataclasses.replace(status, state=RunState.LOST, paused=False, eta_s=None, error=error)
        return status

    def events(self, kind: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """The events in order, each with its `line` number; `after` skips the lines up to that number.

        A run resumed from a checkpoint repeats the steps since: of equal steps only the last is kept. A half-written
        last line is left out.
        """
        try:
            lines = (self.path / "events.jsonl").read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        kept: dict[tuple[Any, ...], dict[str, Any]] = {}
        for number, line in enumerate(lines[after:], start=after + 1):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if not isinstance(event, dict) or (kind is not None and event.get("kind") != kind):
                continue
            is_step = event.get("kind") != "stage"
            key = tuple(str(event.get(name)) for name in EVENT_KEY) if is_step else (number,)
            kept.pop(key, None)  # so that the later one also takes the later place
            kept[key] = {**event, "line": number}
        return list(kept.values())

    def report(self) -> dict[str, Any] | None:
        return self._json("report.json")

    def data(self) -> dict[str, Any] | None:
        return self._json("data.json")

    def items(self) -> pd.DataFrame | None:
        return self._table("items.parquet")

    def sequences(self) -> pd.DataFrame | None:
        return self._table("sequences.parquet")

    def neighbours(self) -> pd.DataFrame | None:
        return self._table("neighbours.parquet")

    def map(self) -> pd.DataFrame | None:
        return self._table("map.parquet")

    def snapshots(self) -> list[int]:
        """The steps that have a snapshot, ascending."""
        files = self.path.glob("snapshots/*.parquet")
        return sorted(int(file.stem) for file in files if re.fullmatch(r"[0-9]{6,}", file.stem))

    def snapshot(self, step: int) -> pd.DataFrame:
        """Raises UserError when there is none of that step."""
        table = self._table(f"snapshots/{step:06d}.parquet")
        if table is None:
            raise UserError(f"run {self.id} has no snapshot of step {step}; it has {self.snapshots()}")
        return table

    def log(self, lines: int = 200) -> str:
        """The last lines of the worker's log."""
        try:
            with (self.path / "log.txt").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 200 * lines))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    @property
    def stop_requested(self) -> bool:
        return (self.path / "stop").exists()

    @property
    def pause_requested(self) -> bool:
        return (self.path / "pause").exists()

    @property
    def step_requested(self) -> bool:
        """While a paused run takes a single step."""
        return (self.path / "step").exists()

    def request_stop(self) -> None:
        """The worker stops at its next step; a queued run is stopped at once. Raises UserError if it has ended."""
        was = self._require_active("stop")
        self._mark("stop")
        if was is not RunState.QUEUED:
            return
        try:
            with RunWriter(self.path) as writer:
                if writer.current.state is RunState.QUEUED:
                    writer.finish(RunState.STOPPED)
        except UserError:
            if self.status().state is RunState.QUEUED:
                raise
            # A worker has just begun it: the marker is there for its first step.

    def request_pause(self) -> None:
        """The worker waits at its next step, keeps its memory and its place, and the queue waits behind it."""
        self._require_active("pause")
        self._mark("pause")

    def request_step(self) -> None:
        """A paused run goes on to the end of one step (`Clock.progress` says what that is) and waits there again.

        Raises UserError if it is not paused, or still takes the step before.
        """
        if self._require_active("step") is RunState.QUEUED or not self.pause_requested:
            raise UserError(f"cannot step run {self.id}: it is not paused; pause it first, with foster pause {self.id}")
        if self.step_requested:
            raise UserError(f"cannot step run {self.id}: it still takes the step before; try again when it has")
        self._mark("step")

    def request_resume(self) -> None:
        """Ends a pause. A run that has ended is started again by `foster.launch.resume`."""
        self._require_active("resume")
        with writing(self.path):
            for marker in ("pause", "step"):
                (self.path / marker).unlink(missing_ok=True)

    def require_own(self, action: str) -> None:
        """Raises UserError for a read-only run."""
        if self.read_only:
            why = "shipped with the sample and read-only" if self.shipped else "only to be looked at here"
            raise UserError(f"cannot {action} run {self.id}: it is {why}; start your own")

    def _require_active(self, action: str) -> RunState:
        self.require_own(action)
        status = self.status()
        if status.is_terminal:
            hint = "" if status.state is RunState.DONE else "; foster resume starts it again"
            raise UserError(f"cannot {action} run {self.id}: it is {status.state}{hint}")
        return status.state

    def _mark(self, name: str) -> None:
        with writing(self.path / name):
            (self.path / name).touch()

    def _written_status(self) -> RunStatus:
        return RunStatus.from_json(read_json(self.path / "status.json"))

    def _json(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        return read_json(path) if path.exists() else None

    def _table(self, name: str) -> pd.DataFrame | None:
        path = self.path / name
        if not path.exists():
            return None
        import pandas as pd

        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:  # pyarrow's own errors are subclasses of ValueError
            raise UserError(
                f"cannot read {path}: it is no Parquet file; it was damaged after it was written"
            ) from error


Runs = list[Run]  # by name, because a method of the store is called list
Survey = tuple[list[tuple[Run, RunStatus]], dict[str, str]]


class RunStore:
    """The runs under one root, and with them read-only ones: those shipped with the sample (`bundled`, None for none)
    and the finished ones of another root (`beside`).

    Nothing is written until the first `create`, so a missing or read-only root can be looked at.
    """

    def __init__(self, root: Path, bundled: Path | None = BUNDLED_RUNS, *, beside: Path | None = None) -> None:
        self.root = Path(root).expanduser().resolve()
        self.bundled = bundled.resolve() if bundled is not None else None
        self.beside = Path(beside).expanduser().resolve() if beside is not None else None

    @property
    def cache(self) -> Path:
        """Where embeddings, trajectories, controls and layouts are kept, shared between runs."""
        return self.root / CACHE

    def cache_of(self, run: Run) -> Path:
        """Where those are that a run was made with; the shipped ones are computed with this store's."""
        return run.path.parent / CACHE if run.path.parent == self.beside else self.cache

    def create(self, spec: RunSpec) -> Run:
        """A queued run, there completely or not at all. Raises UserError when the root cannot be written."""
        temporary = self.root / f".new-{secrets.token_hex(8)}"
        try:
            with writing(self.root):
                temporary.mkdir(parents=True)
                write_json(temporary / "spec.json", spec.to_json())
                write_json(temporary / "status.json", RunStatus(RunState.QUEUED, created=time.time()).to_json())
                while (path := self.root / _new_id(spec)).exists():
                    pass
                temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return Run(path.name, path)

    def get(self, run_id: str) -> Run:
        """Raises UserError for a malformed, unknown or damaged run; never leaves the roots, symbolic links included."""
        if not RUN_ID.fullmatch(run_id):
            raise UserError(f"{run_id!r} is no run id (8 to 64 of a-z, 0-9 and -); foster runs lists them")
        for root in self._roots():
            if (root / run_id).is_dir():
                run, status = self._open(root, run_id)
                if self._is_shown(root, status):
                    return run
        raise UserError(f"there is no run {run_id} in {self.root}; foster runs lists them")

    def list(self) -> Runs:
        """Every readable run, newest first; `problems` says which folders were left out."""
        return [run for run, _ in self.survey()[0]]

    def problems(self) -> dict[str, str]:
        """Folder name → why it is not in `list`; of the store's own root and the shipped runs."""
        return self.survey()[1]

    def survey(self) -> Survey:
        """`list` with the statuses it saw, and `problems`, in one look. Raises UserError for an unreadable root."""
        found: dict[str, tuple[Run, RunStatus]] = {}
        problems: dict[str, str] = {}
        for root in self._roots():
            try:
                names = [entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UserError(
                    f"cannot read the runs in {root}: {error.strerror}; choose a folder with --runs"
                ) from error
            for name in names:
                try:
                    opened = self._open(root, name)
                except UserError as error:
                    if root != self.beside:
                        problems[name] = str(error)
                else:
                    if self._is_shown(root, opened[1]):
                        found.setdefault(name, opened)
        newest_first = sorted(found.values(), key=lambda each: (each[1].created, each[0].id), reverse=True)
        return newest_first, problems

    def _roots(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(root for root in (self.root, self.beside, self.bundled) if root is not None))

    def _is_shown(self, root: Path, status: RunStatus) -> bool:
        return root != self.beside or status.state is RunState.DONE

    def _open(self, root: Path, name: str) -> tuple[Run, RunStatus]:
        if not RUN_ID.fullmatch(name):
            raise UserError(f"{name!r} is no run id (8 to 64 of a-z, 0-9 and -)")
        path = root / name
        if path.resolve() != path:
            raise UserError(f"{name} is a link to another folder; runs lie in {root} itself")
        run = Run(name, path, read_only=root in (self.bundled, self.beside), shipped=root == self.bundled)
        _ = run.spec  # damaged ones are refused here, so that whoever holds a run can show it
        return run, run.status()


def _new_id(spec: RunSpec) -> str:
    """Readable first, unique last: 20261123-2101-foster-sample-3f9a."""
    data = re.sub(r"[^a-z0-9]+", "-", Path(spec.data).name.lower())[:24].strip("-") or "data"
    return f"{time.strftime('%Y%m%d-%H%M')}-{spec.method}-{data}-{secrets.token_hex(2)}"
