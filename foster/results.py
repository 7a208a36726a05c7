"""The rows of a report: metrics of every finished row and seed, on disk after each, so that none is measured twice."""

from __future__ import annotations

import json
from typing import Any

from foster.evaluate import Part, Protocol, Scorer
from foster.metrics import summary
from foster.runs import RunWriter
from foster.students import spread


class Results:
    """Metrics of every finished row and seed, on disk after each."""

    def __init__(self, run: RunWriter) -> None:
        self.run = run
        file = run.path("checkpoints/students.json")
        self.found: dict[str, dict[str, dict[Part, dict[str, float]]]] = (
            json.loads(file.read_text()) if file.is_file() else {}
        )

    def has(self, name: str, k: int) -> bool:
        return str(k) in self.found.get(name, {})

    def add(self, name: str, k: int, protocol: Protocol, scorer: Scorer, report_test: bool) -> None:
        parts: tuple[Part, ...] = ("valid", "test") if report_test else ("valid",)
        measured: dict[Part, dict[str, float]] = {part: summary(protocol.ranks(scorer, part)) for part in parts}
        self.found.setdefault(name, {})[str(k)] = measured
        self.run.write_json("checkpoints/students.json", self.found)
        self.run.event("student", name=name, seed=k, **measured["valid"])

    def rows(self, part: Part) -> dict[str, Any]:
        return {
            name: spread([seeds[k][part] for k in sorted(seeds, key=int)])
            for name, seeds in self.found.items()
            if all(part in measured for measured in seeds.values())
        }
