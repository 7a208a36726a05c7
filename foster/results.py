"""The rows of a report: metrics of every finished row and seed, on disk after each, so that none is measured twice.

Beside them stand the ranks themselves, for tests over users: checkpoints/ranks/<row>-<seed>.safetensors with one int32
tensor [n_users] for each measured part, `valid` and `test`: users in the order of the split, 1 is best.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from foster.evaluate import Part, Protocol, Scorer
from foster.metrics import summary
from foster.runs import RunWriter
from foster.students import spread

RANKS, SHARED = "checkpoints/ranks", "checkpoints/shared.json"
# In the order in which a report tells them; they are measured in another.
ROWS = (
    "full", "ensemble", "popular", "bigram", "zero_shot", "untrained", "random", "teacher_random", "teacher_uniform",
    "start_soft", "start_hard", "soft", "hard",
)  # fmt: skip

T = TypeVar("T")
Measured = dict[Part, NDArray[np.int32]]  # ranks of every user [n_users]


class Results:
    """Metrics and ranks of every finished row and seed, on disk after each."""

    def __init__(self, run: RunWriter, protocol: Protocol, report_test: bool) -> None:
        self.run, self.protocol = run, protocol
        self.parts: tuple[Part, ...] = ("valid", "test") if report_test else ("valid",)
        file = run.path("checkpoints/students.json")
        self.found: dict[str, dict[str, dict[Part, dict[str, float]]]] = (
            json.loads(file.read_text()) if file.is_file() else {}
        )
        shared = run.path(SHARED)
        self.shared: list[list[str | int]] = json.loads(shared.read_text())["students"] if shared.is_file() else []

    def has(self, name: str, k: int) -> bool:
        return str(k) in self.found.get(name, {}) and self.run.path(f"{RANKS}/{name}-{k}.safetensors").is_file()

    def measure(self, scorer: Scorer) -> Measured:
        """Ranks by a scorer; nothing is written."""
        return {part: self.protocol.ranks(scorer, part).astype(np.int32) for part in self.parts}

    def add(self, name: str, k: int, measured: Measured, shared: bool = False) -> None:
        """shared: an earlier run has trained it, which is told in the report."""
        kept = {str(part): ranks for part, ranks in measured.items()}
        self.run.write_file(f"{RANKS}/{name}-{k}.safetensors", lambda path: save_file(kept, path))
        metrics: dict[Part, dict[str, float]] = {part: summary(ranks) for part, ranks in measured.items()}
        self.found.setdefault(name, {})[str(k)] = metrics
        self.run.write_json("checkpoints/students.json", self.found)
        if shared:
            self.shared.append([name, k])
            self.run.write_json(SHARED, {"students": self.shared})
        self.run.event("student", name=name, seed=k, **metrics["valid"])

    def first(self, name: str) -> dict[str, float]:
        """Metrics on validation of a row's first student, which has been measured."""
        return self.found[name]["0"]["valid"]

    def rows(self, part: Part) -> dict[str, Any]:
        return {
            name: spread([seeds[k][part] for k in sorted(seeds, key=int)])
            for name, seeds in _in_order(self.found)
            if all(part in measured for measured in seeds.values())
        }


def kept_ranks(folder: Path, part: Part) -> dict[str, NDArray[np.int32]]:
    """Row → ranks [students, n_users] of a finished run in `folder`; only rows that were measured on `part`."""
    found: dict[str, NDArray[np.int32]] = {}
    for name, seeds in _in_order(json.loads((folder / "checkpoints" / "students.json").read_text())):
        students = [load_file(folder / RANKS / f"{name}-{k}.safetensors") for k in sorted(seeds, key=int)]
        if all(part in each for each in students):
            found[name] = np.stack([each[part] for each in students])
    return found


def _in_order(found: Mapping[str, T]) -> list[tuple[str, T]]:
    return sorted(found.items(), key=lambda each: ROWS.index(each[0]))
