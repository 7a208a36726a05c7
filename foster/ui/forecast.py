"""How long a run will take and what it will store, before it starts. A guess by proportion, and called one.

The time is that of a finished run of this store (the shipped demo is one), each stage scaled by what its work grows
with. How many training steps an expert needs is not known before, so the guess is a span. No streamlit in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log
from typing import Protocol

from foster.spec import RunSpec
from foster.ui import words

BYTES_A_POSITION = 2 * 128  # the most there may be for each position, all that is stored together
LEAST_BYTES, LEAST_A_POSITION = 4_800, 10  # header and label basis; an id of 4 bytes, one label of the lowest rank
TEXTS_A_SECOND = 60  # MiniLM on one CPU core; only used where no run tells
SAME, LIKE, UNLIKE = 1.3, 2.0, 4.0  # how far off a guess may be, either way
ROWS_WITH_STUDENTS, OWN_ROWS = 8, 3  # of a report, and those of them that no other run can have trained
BASE_ITEMS = 2_000  # below so many items a step's time hardly depends on them
FEW_POSITIONS, TEACHERS = 200, 4  # a smaller set has one teacher, others so many where time allows (`foster.experts`)


class LogSize(Protocol):
    """How many events and items a log has."""

    @property
    def events(self) -> int: ...
    @property
    def items(self) -> int: ...


@dataclass(frozen=True)
class Earlier:
    """A finished run: what it was asked, on how much data, the seconds of its stages, its distillation steps, how
    many times as long its students would have taken, had earlier runs not trained some, and how many experts taught."""

    spec: RunSpec
    events: int
    items: int
    seconds: Mapping[str, float]
    device: str
    steps: int | None
    alone: float = 1.0
    experts: int = 1

    @classmethod
    def of(cls, spec: RunSpec, report: Mapping[str, object], steps: int | None) -> Earlier | None:
        """None for a report that tells too little."""
        data, seconds = report.get("data"), report.get("seconds")
        if not isinstance(data, Mapping) or not isinstance(seconds, Mapping):
            return None
        events, items, total = data.get("interactions"), data.get("items"), sum(seconds.values())
        if not events or not items or not total:
            return None
        shared, count = report.get("shared_students"), ROWS_WITH_STUDENTS * spec.students
        taken = len(shared) if isinstance(shared, list) else 0
        alone = count / max(count - taken, OWN_ROWS * spec.students)
        device, taught = str(report.get("device") or "cpu"), report.get("experts")
        experts = taught if isinstance(taught, int) and taught > 0 else 1
        return cls(spec, int(events), int(items), dict(seconds), device, steps, alone, experts)


@dataclass(frozen=True)
class Span:
    """Seconds from and to, and what they were taken from."""

    low: float
    high: float
    earlier: Earlier
    same_data: bool

    def __str__(self) -> str:
        device = words.device(self.earlier.device)
        budget = f"{self.earlier.spec.sequences} × {self.earlier.spec.length}"
        run = f"a run of {budget}" + (" on the same data" if self.same_data else " on other data")
        return f"About {roughly(self.low, self.high)} on {device}: a guess by size, from {run}."


def at_most(spec: RunSpec, log_bytes: int) -> int:
    """Upper bound of the bytes that the soft form stores: its form is chosen not to exceed the log nor so much a
    position, down to the least that there is (`foster.stored_form.affordable_form`)."""
    positions = spec.sequences * spec.length
    return max(LEAST_BYTES + LEAST_A_POSITION * positions, min(BYTES_A_POSITION * positions, log_bytes))


def forecast(spec: RunSpec, data: LogSize, earlier: Iterable[Earlier]) -> Span | None:
    """None where no finished run tells anything."""
    known = [
        each
        for each in earlier
        if each.spec.tuned_layers == spec.tuned_layers
        and (spec.device == "auto" or each.device.partition(":")[0] == spec.device)
    ]
    if not known:
        return None
    # Experts that came from the cache say nothing about other data.
    known = [each for each in known if each.spec.data == spec.data or each.seconds.get("experts", 0) > 2] or known
    nearest = min(known, key=lambda each: _distance(spec, data, each))
    same = (nearest.spec.data, nearest.events, nearest.items) == (spec.data, data.events, data.items)
    spent = dict(nearest.seconds)
    if "students" in spent and not _same_controls(spec, nearest.spec):
        spent["students"] *= nearest.alone
    seconds = sum(taken * _growth(stage, spec, data, nearest) for stage, taken in spent.items())
    if not nearest.seconds.get("embed", 0) > 1 and not same and spec.data != "sample":
        seconds += data.items / TEXTS_A_SECOND
    apart = _distance(spec, data, nearest)
    off = SAME if same and apart < 0.1 else LIKE if apart < 3 else UNLIKE
    return Span(seconds / off, seconds * off, nearest, same)


def _same_controls(spec: RunSpec, earlier: RunSpec) -> bool:
    """Whether students on controls that one has trained do for the other."""
    names = ("data", "encoder", "tuned_layers", "seed", "sequences", "length")
    return all(getattr(spec, name) == getattr(earlier, name) for name in names)


def _growth(stage: str, spec: RunSpec, data: LogSize, earlier: Earlier) -> float:
    events, items = data.events / earlier.events, data.items / earlier.items
    wide = (data.items + BASE_ITEMS) / (earlier.items + BASE_ITEMS)
    positions = spec.sequences * spec.length / (earlier.spec.sequences * earlier.spec.length)
    if stage in ("embed", "map"):
        return items
    if stage == "experts":
        return events * wide * _training(_teachers(spec, earlier)) / _training(earlier.experts)
    if stage == "distil":
        steps = 1.0 if spec.steps is None or not earlier.steps else spec.steps / earlier.steps
        return steps * (1 + positions) / 2
    if stage == "students":
        return spec.students / earlier.spec.students * (positions + 1) / 2 * wide
    return events


def _teachers(spec: RunSpec, earlier: Earlier) -> int:
    if spec.tuned_layers or spec.sequences * spec.length < FEW_POSITIONS:
        return 1
    # one of a set that could have had several: its log is so large that the first took the time there is
    several = earlier.spec.sequences * earlier.spec.length >= FEW_POSITIONS
    return earlier.experts if several else TEACHERS


def _training(experts: int) -> float:
    """Time of so many experts by that of the first, which learns alone, the others two at a time."""
    return 1 + (experts - 1) / 2


def _distance(spec: RunSpec, data: LogSize, earlier: Earlier) -> float:
    """How unlike two runs are: 0 for the same sizes, about 0.7 for each doubling."""
    pairs = ((data.events, earlier.events), (data.items, earlier.items),
             (spec.sequences * spec.length, earlier.spec.sequences * earlier.spec.length),
             (spec.students, earlier.spec.students))  # fmt: skip
    return sum(abs(log(mine / other)) for mine, other in pairs)


def roughly(low: float, high: float) -> str:
    """Two durations as coarse as they are sure.

    >>> roughly(40, 100), roughly(95, 900), roughly(2000, 9000), roughly(30000, 90000), roughly(10, 30)
    ('1 to 2 min', '2 to 15 min', '33 min to 2.5 h', '8.3 to 25 h', 'a minute')
    >>> roughly(2e6, 4e6), roughly(2e5, 4e5)
    ('23 to 46 days', '56 h to 5 days')
    """
    if high < 60:
        return "a minute"
    (first, unit), (last, other) = _coarse(max(low, 60)), _coarse(high)
    if (first, unit) == (last, other):
        return f"{last} {other}"
    return f"{first}{'' if unit == other else ' ' + unit} to {last} {other}"


def _coarse(seconds: float) -> tuple[str, str]:
    if seconds >= 72 * 3600:
        return f"{seconds / 86_400:,.0f}", "days"
    return (f"{seconds / 3600:.2g}", "h") if seconds >= 5400 else (f"{seconds / 60:.0f}", "min")
