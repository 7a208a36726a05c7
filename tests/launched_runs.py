"""Launched runs of an experiment that takes no time (`fake_foster`), in real processes: what tests of them share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from patience import until

from foster import launch as queue
from foster.run_files import is_held
from foster.runs import Run, RunStore
from foster.spec import RunSpec


@contextmanager
def own_store(folder: Path) -> Iterator[RunStore]:
    """An empty store; nothing that a failed test started in it outlives the test."""
    store = RunStore(folder / "runs", bundled=None)
    yield store
    for run, status in store.survey()[0]:
        if not status.is_terminal:
            run.request_stop()
    until(lambda: not is_held(store.root / queue.QUEUE_LOCK))


def spec(steps: int, encoder: str = "minilm") -> RunSpec:
    return RunSpec(steps=steps, encoder=encoder)


def trace_of(store: RunStore) -> list[str]:
    return [line.rsplit(" ", 1)[0] for line in (store.root / "trace").read_text().splitlines()]


def total_of(run: Run) -> object:
    report = run.report()
    assert report is not None
    return report["total"]


def total_after(steps: int) -> int:
    return sum(step * step for step in range(steps))


def drain_pid(store: RunStore) -> int:
    """The drain's process: the parent of the worker that began last."""
    return int((store.root / "trace").read_text().split()[-1])
