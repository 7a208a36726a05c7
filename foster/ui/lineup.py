"""Several runs under one protocol: whose numbers may stand side by side, and each number with its uncertainty.

A report's rows are whatever it holds: the names known here get a readable one, any other is shown as it is. No
streamlit in here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from foster.spec import RunSpec
from foster.ui import words
from foster.ui.markup import plain
from foster.ui.state import data_name
from foster.verdict import NAMES

LETTERS = "ABCDEF"  # as many runs as markers can be told apart
FULL, SOFT, HARD, START_SOFT = "full", "soft", "hard", "start_soft"
TEACHERS = "teachers"  # no setting: how many there are follows from budget and log
DISTILLED = (FULL, "ensemble", SOFT, HARD, START_SOFT, "start_hard")  # every other row is a control


class Part(StrEnum):
    VALID = "valid"
    TEST = "test"


class Metric(StrEnum):
    RECALL = "recall@10"
    NDCG = "ndcg@10"


PART_NAMES = {Part.VALID: "Validation", Part.TEST: "Test"}
METRIC_NAMES = {Metric.RECALL: "Recall@10", Metric.NDCG: "NDCG@10"}


@dataclass(frozen=True)
class Score:
    """Mean and standard deviation (0 for n = 1) over n students, and both as a share of the run's full-data model."""

    mean: float
    std: float
    n: int
    share: float | None
    share_std: float

    @property
    def text(self) -> str:
        return words.measure({"mean": self.mean, "std": self.std, "n": self.n})


@dataclass(frozen=True)
class Entrant:
    """A finished run with its letter. name: plain text; own_expert: it trained its full-data models, all of them,
    itself instead of taking one from the cache."""

    letter: str
    run_id: str
    name: str
    spec: RunSpec
    report: Mapping[str, Any]
    own_expert: bool = True

    def rows(self, part: Part) -> Mapping[str, Any]:
        found = self.report.get(part.value)
        return found if isinstance(found, Mapping) else {}

    def score(self, row: str, metric: Metric, part: Part) -> Score | None:
        """None where the report does not tell."""
        rows = self.rows(part)
        mean, std, n = _summary(rows.get(row), metric)
        if mean is None:
            return None
        full, _, _ = _summary(rows.get(FULL), metric)
        scale = 1 / full if full else None
        return Score(mean, std, n, mean * scale if scale else None, std * (scale or 0.0))

    @property
    def stored(self) -> Mapping[str, int]:
        """Bytes of soft, hard and log, as far as they are known."""
        found = self.report.get("stored_bytes")
        sizes = found if isinstance(found, Mapping) else {}
        return {name: int(size) for name, size in sizes.items() if _number(size)}

    @property
    def seconds(self) -> Mapping[str, float]:
        found = self.report.get("seconds")
        spent = found if isinstance(found, Mapping) else {}
        return {str(name): float(value) for name, value in spent.items() if _number(value) is not None}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _summary(row: object, metric: Metric) -> tuple[float | None, float, int]:
    found = row.get(metric.value) if isinstance(row, Mapping) else None
    if not isinstance(found, Mapping):
        return None, 0.0, 0
    return _number(found.get("mean")), _number(found.get("std")) or 0.0, int(_number(found.get("n")) or 1)


@dataclass(frozen=True)
class Group:
    """Runs on the same data: only these are held against each other."""

    data: str
    entrants: tuple[Entrant, ...]


def groups(entrants: Iterable[Entrant]) -> tuple[Group, ...]:
    """By data set and its sizes (a folder may have changed between two runs), in order of first appearance."""
    found: dict[tuple[object, ...], list[Entrant]] = {}
    for entrant in entrants:
        data = entrant.report.get("data")
        facts = data if isinstance(data, Mapping) else {}
        sizes = (facts.get("users"), facts.get("items"), facts.get("interactions"), facts.get("history_masked"))
        found.setdefault((entrant.spec.data, *sizes), []).append(entrant)
    return tuple(Group(_data_name(key), tuple(mine)) for key, mine in found.items())


def _data_name(key: tuple[object, ...]) -> str:
    source, users, items, events, _ = key
    sizes = [
        words.plural(int(number), what)
        for number, what in ((users, "user"), (items, "item"), (events, "event"))
        if isinstance(number, int)
    ]
    name = plain(data_name(str(source)), 60)
    return f"{name} ({', '.join(sizes)})" if sizes else name


def shared_part(entrants: Sequence[Entrant]) -> Part:
    """The items that a comparison is about unless a person says otherwise: test where every run reports them."""
    return Part.TEST if all(entrant.rows(Part.TEST) for entrant in entrants) else Part.VALID


def row_name(row: str) -> str:
    """A row as a person reads it; an unknown one by its own name, as plain text.

    >>> row_name("soft"), row_name("k_centre")
    ('Distilled, soft', 'k_centre')
    """
    return NAMES.get(row, plain(row, 60))


def row_order(entrants: Sequence[Entrant], metric: Metric, part: Part) -> list[str]:
    """Every row that any report has, best first by the first run that has it."""
    best: dict[str, float] = {}
    for entrant in entrants:
        for row in entrant.rows(part):
            if row not in best and (found := entrant.score(row, metric, part)):
                best[row] = found.mean if found.share is None else found.share
    return sorted(best, key=lambda row: (row != FULL, -best[row]))


def controls(entrant: Entrant, metric: Metric, part: Part) -> list[tuple[str, Score]]:
    """What a distilled set has to beat, best first."""
    found = [(row, entrant.score(row, metric, part)) for row in entrant.rows(part) if row not in DISTILLED]
    return sorted(((row, score) for row, score in found if score), key=lambda each: -each[1].mean)


FIELD_NAMES = {
    "data": "Data",
    "method": "Method",
    "sequences": "Sequences",
    "length": "Positions in each",
    "regularisation": "Regularisation weight γ",
    "steps": "Distillation steps",
    "students": "Fresh students a row",
    "seed": "Seed",
    "encoder": "Text encoder",
    "tuned_layers": "Encoder layers that learn",
    "device": "Device asked for",
    "report_test": "Test items reported",
}


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all runs: its values as text, one a run."""

    field: str
    name: str
    values: tuple[str, ...]


def differences(entrants: Sequence[Entrant]) -> list[Difference]:
    """Only what differs, in the specification's own order."""
    specs = [asdict(entrant.spec) for entrant in entrants]
    found = []
    for field in specs[0] if specs else ():
        values = [spec[field] for spec in specs]
        if any(value != values[0] for value in values):
            texts = tuple(setting_text(field, value) for value in values)
            found.append(Difference(field, FIELD_NAMES.get(field, field.replace("_", " ").capitalize()), texts))
    taught = [entrant.report.get("experts") for entrant in entrants]
    if len(set(taught)) > 1 and all(isinstance(each, int) for each in taught):
        found.append(Difference(TEACHERS, "Teachers, by budget and log", tuple(map(str, taught))))
    made = [words.version(entrant.report) for entrant in entrants]
    computed = [str(entrant.report.get("device") or "unknown") for entrant in entrants]
    for field, name, told in (("version", "Version of foster", made), ("computed", "Computed on", computed)):
        if len(set(told)) > 1:
            found.append(Difference(field, name, tuple(plain(each, 40) for each in told)))
    return found


def setting_text(field: str, value: object) -> str:
    """
    >>> setting_text("steps", None), setting_text("regularisation", 0.1), setting_text("report_test", True)
    ('by rule', '0.1', 'yes')
    >>> setting_text("data", "/srv/secret/films")
    'films'
    """
    if field == "data":
        return plain(data_name(str(value)), 60)
    if value is None:
        return "by rule"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return words.count(value) if field != "seed" else str(value)
    text = str(value)
    return plain(Path(text).name if Path(text).is_absolute() else text, 60)
