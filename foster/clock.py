"""The clock of a run: seconds per stage, kept over resumes, and how far the whole run is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from foster.runs import RunWriter

# Share of a run's time that each stage takes, for the progress bar.
STAGES = {"data": 0.01, "embed": 0.01, "experts": 0.30, "distil": 0.28, "students": 0.36, "map": 0.04}
INSTANT = 2.0  # seconds: so short a stage was found in the cache, and its share of the whole says nothing of the pace


class Clock:
    """Seconds per stage, kept over resumes, and the run's overall fraction."""

    def __init__(self, run: RunWriter) -> None:
        self.run = run
        self.file = "checkpoints/seconds.json"
        path = run.path(self.file)
        self.spent: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
        self.current, self.latest = "data", 0.0  # and how long the stage before took in this worker

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.current, began = name, time.monotonic()
        self.run.checkpoint()
        self.run.event("stage", stage=name, message="")
        if self.latest < INSTANT or name == "experts":  # texts are embedded at a pace of their own
            self.run.pace_anew()
        self.tell(0.0, "")
        try:
            yield
        finally:
            self.latest = time.monotonic() - began
            self.spent[name] = self.spent.get(name, 0.0) + self.latest
            self.run.write_json(self.file, self.spent)

    def progress(self, share: float, message: str) -> None:
        """Something that a person counts is over: a check of the expert, a step of the distillation, a student.

        A paused run that takes a single step waits here again. share: how much of the current stage is done, 0 to 1.
        """
        self.tell(share, message)
        self.run.checkpoint(ends_step=True)

    def tell(self, share: float, message: str) -> None:
        before = sum(weight for name, weight in STAGES.items() if _before(name, self.current))
        fraction = before + STAGES[self.current] * min(1.0, share)
        self.run.status(stage=self.current, fraction=fraction, message=message)


def _before(name: str, current: str) -> bool:
    order = list(STAGES)
    return order.index(name) < order.index(current)
