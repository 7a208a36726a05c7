"""What a run is asked to do: one frozen value, strict JSON, one hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foster.errors import UserError

SCHEMA = 1
DEFAULT_STEPS = 60  # outer ones, whatever the log and the budget
METHODS = ("foster",)
DEVICES = ("auto", "cpu", "cuda")
MINILM_LAYERS = 6  # of the encoder that runs have by default; another one's are counted when it is read


@dataclass(frozen=True)
class RunSpec:
    """One experiment. Everything that changes its result is here and nothing else, so equal hashes mean equal results.

    data: "sample" or a folder; sequences × length: the budget M × L; regularisation: γ; steps: outer distillation
    steps, None for DEFAULT_STEPS; students: fresh students per row of the report, and, three at most, those that choose
    plain sequences; encoder: a name that `foster.encoder` knows, a Hugging Face name or a folder; tuned_layers: of the
    encoder, the last ones, that learn with every recommender (`foster.tuning`).

    Raises UserError for values out of range.
    """

    data: str = "sample"
    method: str = "foster"
    sequences: int = 20
    length: int = 20
    regularisation: float = 0.1
    steps: int | None = None
    students: int = 3
    seed: int = 0
    encoder: str = "minilm"
    device: str = "auto"
    report_test: bool = False
    tuned_layers: int = 0

    def __post_init__(self) -> None:
        _between("sequences", self.sequences, 1, 10_000)
        _between("length", self.length, 2, 500)
        _between("students", self.students, 1, 100)
        _between("seed", self.seed, 0, 2**31 - 1)
        _between("tuned_layers", self.tuned_layers, 0, MINILM_LAYERS if self.encoder == "minilm" else 100)
        if self.steps is not None:
            _between("steps", self.steps, 0, 1_000_000)
        if isinstance(self.regularisation, bool) or not isinstance(self.regularisation, int | float):
            raise UserError(f"regularisation is {self.regularisation!r}; give a number from 0 to 1000")
        if not 0 <= self.regularisation <= 1000:  # also refuses NaN
            raise UserError(f"regularisation is {self.regularisation}; give a number from 0 to 1000")
        object.__setattr__(self, "regularisation", float(self.regularisation))
        if self.method not in METHODS:
            raise UserError(f"method is {self.method!r}; choose one of {', '.join(METHODS)}")
        if self.device not in DEVICES:
            raise UserError(f"device is {self.device!r}; choose one of {', '.join(DEVICES)}")
        for name in ("data", "encoder"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip() or "\0" in value:
                raise UserError(f"{name} is {value!r}; give a name or a folder")
        if not isinstance(self.report_test, bool):
            raise UserError(f"report_test is {self.report_test!r}; give true or false")

    def to_json(self) -> dict[str, Any]:
        """A JSON object with a `schema` number."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, source: str | Mapping[str, Any]) -> RunSpec:
        """The inverse of `to_json`. Raises UserError for unknown keys, an unknown schema or values out of range."""
        try:
            fields = dict(json.loads(source) if isinstance(source, str) else source)
        except (ValueError, TypeError) as error:
            raise UserError(f"the run specification is not a JSON object ({error}); write one or delete it") from None
        if fields.pop("schema", None) != SCHEMA:
            raise UserError(f"the run specification has no schema {SCHEMA}; it is of another version of foster")
        unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise UserError(f"the run specification has unknown keys: {', '.join(unknown)}; remove them")
        return cls(**fields)

    def hash(self) -> str:
        """16 hex digits over the whole specification."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _between(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"{name} is {value!r}; give a whole number from {low} to {high}")
