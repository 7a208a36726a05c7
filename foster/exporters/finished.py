"""All of a finished run that may leave the machine, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from foster.errors import UserError
from foster.run_label import RunLabel, read_label
from foster.runs import Run, RunState, RunStatus
from foster.spec import RunSpec


@dataclass(frozen=True)
class FinishedRun:
    """sequences, items, points (of the map), nearness (overlap, repetition and diversity of each hard sequence) are
    tables, None where the run has none; artefact is the soft file; distil and valid are events.

    Left out on purpose: paths of this machine, ids of real users, and the person's note.
    """

    id: str
    label: RunLabel
    spec: RunSpec
    status: RunStatus
    report: dict[str, Any]
    data: dict[str, Any]
    sequences: pd.DataFrame
    items: pd.DataFrame | None
    points: pd.DataFrame | None
    nearness: pd.DataFrame | None
    artefact: bytes | None
    distil: list[dict[str, Any]]
    valid: list[dict[str, Any]]

    @property
    def source(self) -> str:
        """What a person calls the data."""
        if self.spec.data == "sample":
            return "the sample of foster: 953 real books, simulated readers"
        return str(self.data.get("name") or Path(self.spec.data).name or "data")

    @property
    def encoder(self) -> str:
        """The text encoder's name; of one in a folder the folder's."""
        return self.spec.encoder if not Path(self.spec.encoder).is_absolute() else Path(self.spec.encoder).name

    @property
    def title(self) -> str:
        """The person's name for the run, else what it is."""
        return self.label.name or f"{self.spec.sequences} sequences of {self.spec.length} from {self.short_source}"

    @property
    def short_source(self) -> str:
        return "sample books" if self.spec.data == "sample" else self.source


def read_finished(run: Run) -> FinishedRun:
    """Raises UserError for a run that is not finished, with the step that comes next, and for damaged files."""
    status = run.status()
    if status.state is not RunState.DONE:
        raise UserError(f"run {run.id} has nothing to take away yet: it is {status.state}; {_next(run.id, status)}")
    report, sequences = run.report(), run.sequences()
    if report is None or sequences is None:
        missing = "report" if report is None else "sequences"
        raise UserError(f"run {run.id} is done but left no {missing}; run it again to have something to take away")
    artefact, neighbours = run.path / "synthetic.safetensors", run.neighbours()
    return FinishedRun(
        id=run.id,
        label=read_label(run),
        spec=run.spec,
        status=status,
        report=report,
        data=run.data() or report.get("data") or {},
        sequences=sequences.sort_values(["sequence", "position"], ignore_index=True),
        items=run.items(),
        points=run.map(),
        nearness=None if neighbours is None else neighbours.drop(columns="nearest_user", errors="ignore"),
        artefact=_bytes(artefact) if artefact.exists() else None,
        distil=run.events("distil"),
        valid=run.events("valid"),
    )


def _next(run_id: str, status: RunStatus) -> str:
    if status.state is RunState.QUEUED:
        return "wait for its turn (foster runs shows the queue)"
    if status.state is RunState.RUNNING:
        return f"wait until it ends ({status.fraction:.0%} are done)"
    return f"let it go on with foster resume {run_id}"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; it was damaged after it was written") from error
