"""Where a benchmark keeps what it found, and ordinary runs that it works on in this process, for some minutes a call.

Runs that were stopped when the time was up, and killed ones, go on with the next call; finished ones are not run again.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

from foster.bench import Say
from foster.bench.planted import tiny_folder
from foster.console import table
from foster.errors import UserError
from foster.launch import Execute, requeue, work
from foster.pipeline import begun_by_another
from foster.runs import Run, RunState, RunStore
from foster.spec import RunSpec


@contextmanager
def kept_in(folder: Path, quick: bool, data: object) -> Iterator[tuple[RunStore, str | None]]:
    """The store of a benchmark, and no tiny world; with `quick` a store that is gone afterwards, and the folder of one.

    Raises UserError where there is nothing to measure, or both: data: what was given of it.
    """
    if not quick:
        if not data:
            raise UserError("there is nothing to measure; give --data, or --quick")
        yield RunStore(folder, bundled=None), None
        return
    if data:
        raise UserError("--quick measures a tiny world of its own; leave out --data, or --quick")
    with tempfile.TemporaryDirectory() as place:
        yield RunStore(Path(place) / "runs", bundled=None), str(tiny_folder(Path(place) / "tiny"))


def runs_of(wanted: Sequence[RunSpec], store: RunStore) -> list[Run]:
    """The newest run of each specification, created where this engine has begun none."""
    known = {run.spec: run for run in reversed(store.list()) if not begun_by_another(run.path)}
    return [known.get(spec) or store.create(spec) for spec in wanted]


def work_on(runs: list[Run], store: RunStore, deadline: float, say: Say, execute: Execute | None) -> None:
    """One run after the other until all are done or the time is up. Raises UserError for one that fails.

    deadline: of `time.monotonic`.
    """
    for number, run in enumerate(runs, start=1):
        left = deadline - time.monotonic()
        if run.status().state is RunState.DONE:
            continue
        if left <= 0:
            return
        say(f"run {number} of {len(runs)}, {run.id}: at most {left / 60:.1f} minutes now")
        requeue(run)
        timer = Timer(left, _ask_to_stop, [run])
        timer.daemon = True
        timer.start()
        try:
            work(store.root, run.id, execute)
        finally:
            timer.cancel()
        status = run.status()
        if status.state is RunState.FAILED:
            raise UserError(f"run {run.id} in {store.root} failed: {status.error}; the next call tries it again")
        if status.state is not RunState.DONE:
            return


def _ask_to_stop(run: Run) -> None:
    with suppress(UserError):  # it may have ended just now
        run.request_stop()


def progress_of(run: Run) -> dict[str, Any]:
    status = run.status()
    return {
        "run": run.id,
        "seed": run.spec.seed,
        "state": str(status.state),
        "fraction": round(float(status.fraction), 3),
        "stage": status.stage,
        "message": status.message,
    }


def progress_table(runs: Sequence[dict[str, Any]], told_apart_by: str = "seed") -> str:
    rows = [
        (each[told_apart_by], each["state"], f"{each['fraction']:.0%}", each["stage"], each["message"], each["run"])
        for each in runs
    ]
    return table((told_apart_by, "state", "done", "stage", "at", "run"), rows, numbers=(0, 2))
