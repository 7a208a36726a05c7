"""What the tests of the command line share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from fake_foster import COMMAND, environment, sequences
from patience import until

from foster.runs import Run, RunState, RunStore, RunWriter
from foster.spec import RunSpec

Foster = Callable[..., tuple[int, str, str]]


def finished(store: RunStore) -> Run:
    run = store.create(RunSpec())
    with RunWriter(run.path) as writer:
        writer.write_table("sequences.parquet", sequences())
        writer.finish(RunState.DONE)
    return run


def start(*argv: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *argv], env=environment(), stdout=pipe, stderr=pipe, text=True)


def running(store: RunStore) -> Run:
    """The run that has just been started, once it is at work."""

    def at_work() -> list[Run]:
        return [run for run in store.list() if not run.read_only and run.events("distil")]

    until(lambda: bool(at_work()))
    return at_work()[0]
