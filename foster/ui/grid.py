"""Budget × regularisation weight: the runs that share everything else in their specification, as cells of a grid.

Nothing is stored of a sweep: its grid is read off the store, whoever started the runs. No streamlit in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from foster.runs import Run, RunState, RunStatus
from foster.spec import RunSpec
from foster.ui.forecast import Earlier, LogSize, forecast
from foster.ui.lineup import SOFT, Entrant, Metric, Part, Score

Place = tuple[int, float]  # (sequences, γ)
ENDED_EARLY = (RunState.STOPPED, RunState.FAILED, RunState.LOST)
# Where several runs share a cell, the first of these states stands for it; of equal states the newest run.
_BEFORE = (RunState.DONE, RunState.RUNNING, RunState.QUEUED, RunState.STOPPED, RunState.FAILED, RunState.LOST)


@dataclass(frozen=True)
class Cell:
    """One run of the grid. score: of its soft set on validation, None until there is one; fraction: how far it is;
    runs: how many runs of the store have exactly this specification."""

    run_id: str
    read_only: bool
    state: RunState
    fraction: float
    paused: bool = False
    score: Score | None = None
    runs: int = 1


@dataclass(frozen=True)
class Grid:
    """Axes in rising order; a place without a cell has no run yet."""

    sequences: tuple[int, ...]
    weights: tuple[float, ...]
    cells: Mapping[Place, Cell]

    @property
    def active(self) -> bool:
        """Whether a cell can still change without a person."""
        return any(cell.state in (RunState.RUNNING, RunState.QUEUED) for cell in self.cells.values())

    @property
    def shares(self) -> dict[Place, float]:
        found = {place: cell.score.share for place, cell in self.cells.items() if cell.score}
        return {place: share for place, share in found.items() if share is not None}


def place_of(spec: RunSpec) -> Place:
    return spec.sequences, spec.regularisation


def family(spec: RunSpec) -> RunSpec:
    """What the cells of one grid have in common. Whether test items are reported as well changes nothing shown here."""
    return replace(spec, sequences=1, regularisation=0.0, report_test=False)


def members(base: RunSpec, runs: Iterable[tuple[Run, RunStatus]]) -> dict[Place, list[tuple[Run, RunStatus]]]:
    """The runs of base's grid by their place, the one that stands for it first; `runs` come newest first."""
    wanted = family(base)
    found: dict[Place, list[tuple[Run, RunStatus]]] = {}
    for run, status in runs:
        if family(run.spec) == wanted:
            found.setdefault(place_of(run.spec), []).append((run, status))
    return {place: sorted(mine, key=lambda each: _BEFORE.index(each[1].state)) for place, mine in found.items()}


def grid(
    found: Mapping[Place, Sequence[tuple[Run, RunStatus]]],
    reports: Mapping[str, Entrant],
    sequences: Iterable[int] = (),
    weights: Iterable[float] = (),
) -> Grid:
    """found: of `members`. reports: run id → finished run. sequences, weights: rows and columns to show as well."""
    cells = {}
    for place, mine in found.items():
        run, status = mine[0]
        entrant = reports.get(run.id)
        score = entrant.score(SOFT, Metric.RECALL, Part.VALID) if entrant else None
        cells[place] = Cell(run.id, run.read_only, status.state, status.fraction, status.paused, score, len(mine))
    rows = tuple(sorted({*sequences, *(place[0] for place in found)}))
    columns = tuple(sorted({*weights, *(place[1] for place in found)}))
    return Grid(rows, columns, cells)


@dataclass(frozen=True)
class Plan:
    """What a sweep would do. new: to be launched, small budgets first; again: run ids that go on from their
    checkpoints; there: places that are done or on their way."""

    new: tuple[RunSpec, ...]
    again: tuple[str, ...]
    there: int

    @property
    def count(self) -> int:
        return len(self.new) + len(self.again)


def plan(base: RunSpec, shown: Grid, sequences: Iterable[int], weights: Iterable[float]) -> Plan:
    """Every pair of the chosen numbers, without those that are there. Choices are made on validation items, so the new
    runs do not report test items."""
    columns = sorted(set(weights))
    new, again, there = [], [], 0
    for count in sorted(set(sequences)):
        for weight in columns:
            cell = shown.cells.get((count, weight))
            if cell is None or (cell.state in ENDED_EARLY and cell.read_only):
                new.append(replace(base, sequences=count, regularisation=weight, report_test=False))
            elif cell.state in ENDED_EARLY:
                again.append(cell.run_id)
            else:
                there += 1
    return Plan(tuple(new), tuple(again), there)


def time_needed(
    plan: Plan, resumed: Sequence[RunSpec], data: LogSize, earlier: Sequence[Earlier], expert_there: bool
) -> tuple[float, float] | None:
    """Seconds from and to for all runs of a plan, one after another; None where no earlier run tells.

    The full-data model is trained once and then shared, so only the first run pays for it, or none if it is there.
    A resumed run is counted as if it began anew.
    """
    low = high = 0.0
    for number, spec in enumerate([*resumed, *plan.new]):
        known = earlier if number == 0 and not expert_there else [_without_expert(each) for each in earlier]
        span = forecast(spec, data, known)
        if span is None:
            return None
        low, high = low + span.low, high + span.high
    return low, high


def _without_expert(earlier: Earlier) -> Earlier:
    return replace(earlier, seconds={**earlier.seconds, "experts": 0.0})


def say(shown: Grid) -> str:
    """What the grid tells so far."""
    shares = shown.shares
    if len(shares) < 2:
        return ""
    best = max(shares, key=lambda place: shares[place])
    score = shown.cells[best].score
    assert score is not None
    said = [f"Best so far: {_named(best)} with {_percent(shares[best])} of full data."]
    rivals = {place: share for place, share in shares.items() if place != best}
    second = max(rivals, key=lambda place: rivals[place])
    other = shown.cells[second].score
    assert other is not None
    gap = shares[best] - shares[second]
    if score.n < 2 or other.n < 2:
        said.append(f"{_named(second)} comes next with {_percent(shares[second])}; single students tell no spread.")
    elif gap <= (score.share_std**2 + other.share_std**2) ** 0.5:
        said.append(
            f"{_named(second)} with {_percent(shares[second])} is within the spread of the students: no clear winner."
        )
    else:
        said.append(f"{_named(second)} comes next with {_percent(shares[second])}, by more than the students' spread.")
    return " ".join(said)


def _named(place: Place) -> str:
    count, weight = place
    return f"{count} sequence{'' if count == 1 else 's'} at γ\u00a0{weight:g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"
