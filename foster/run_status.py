"""Where a run stands: one frozen value, strict JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from foster.errors import UserError
from foster.run_files import SCHEMA


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"  # never written: the status says running, but no living process holds the run's lock


_NUMBER = (int, float)
_TYPES: dict[str, tuple[type, ...]] = {
    "stage": (str,),
    "fraction": _NUMBER,
    "message": (str,),
    "paused": (bool,),
    "heartbeat": _NUMBER,
    "created": _NUMBER,
    "started": (*_NUMBER, type(None)),
    "finished": (*_NUMBER, type(None)),
    "eta_s": (*_NUMBER, type(None)),
    "error": (str, type(None)),
    "pid": (int, type(None)),
    "device": (str, type(None)),
}


@dataclass(frozen=True)
class RunStatus:
    """Times are seconds since 1970, `eta_s` is seconds from now, `fraction` is the share of the whole run (0 to 1).

    `heartbeat` is when the worker last came to a checkpoint: information only. A single step may be long; whether
    the worker lives is decided by its lock alone.
    """

    state: RunState
    created: float
    stage: str = ""
    fraction: float = 0.0
    message: str = ""
    paused: bool = False
    heartbeat: float = 0.0
    started: float | None = None
    finished: float | None = None
    eta_s: float | None = None
    error: str | None = None
    pid: int | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        for name, types in _TYPES.items():
            value = getattr(self, name)
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                raise UserError(f"the run status has {name} {value!r}; it was damaged after it was written")
        if not 0 <= self.fraction <= 1:
            raise UserError(f"the run status has fraction {self.fraction!r}; it must be from 0 to 1")

    @property
    def is_terminal(self) -> bool:
        """Nothing more happens unless a person resumes the run."""
        return self.state not in (RunState.QUEUED, RunState.RUNNING)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> RunStatus:
        """The inverse of `to_json`. Raises UserError for another schema, unknown or missing keys or wrong types."""
        fields = dict(source)
        if fields.pop("schema", None) != SCHEMA:
            raise UserError(f"the run status has no schema {SCHEMA}; it was written by another version of foster")
        try:
            state = RunState(fields.pop("state", None))
            if state is RunState.LOST:
                raise ValueError(state)
            return cls(state=state, **fields)
        except (ValueError, TypeError):
            raise UserError("the run status has an unknown state or unknown keys; it was damaged") from None
