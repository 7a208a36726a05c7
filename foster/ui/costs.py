"""What a run cost, and after how many students condensation has paid for itself. No streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foster.ui import words
from foster.ui.lineup import SOFT, Entrant, Metric, Part

STAGES = {
    "data": "Reading the data",
    "embed": "Encoding the titles",
    "experts": "Full-data models",
    "distil": "Distilling",
    "students": "Students and measuring",
    "map": "Drawing the map",
}
# Rows that train nothing; every other row of a report trains its own students.
UNTRAINED = frozenset({"full", "ensemble", "popular", "bigram", "zero_shot", "untrained"})


@dataclass(frozen=True)
class Bill:
    """Seconds. full: training once on everything, None where no run tells; condense: the distillation itself and every
    further teacher; student: training one on the condensed set, measuring included, so rather too much."""

    full: float | None
    condense: float
    student: float | None

    @property
    def pays_from(self) -> int | None:
        """The number of retrainings from which condensing is faster than training on everything each time.

        Condensing costs one full training too, for its first teacher: n·full > full + condense + n·student.

        >>> Bill(full=100.0, condense=50.0, student=10.0).pays_from
        2
        >>> Bill(full=100.0, condense=50.0, student=25.0).pays_from
        3
        >>> Bill(full=10.0, condense=50.0, student=10.0).pays_from is None
        True
        """
        if self.full is None or self.student is None or self.student >= self.full:
            return None
        return int((self.full + self.condense) // (self.full - self.student)) + 1


def bill(entrant: Entrant, others: Sequence[Entrant] = ()) -> Bill:
    """others: runs to learn the price of the full-data model from, where this one took it from the cache."""
    seconds = entrant.seconds
    one = _one_expert(entrant)
    if one is None:
        one = next((price for each in others if _same_expert(each, entrant) and (price := _one_expert(each))), None)
    shared = entrant.report.get("shared_students")
    elsewhere = [each[0] for each in shared if isinstance(each, list) and each] if isinstance(shared, list) else []
    trained = sum(
        score.n - elsewhere.count(row)
        for row in entrant.rows(Part.VALID)
        if row not in UNTRAINED and (score := entrant.score(row, Metric.RECALL, Part.VALID))
    )
    spent = seconds.get("students")
    condense = seconds.get("distil", 0.0) + (_teachers(entrant) - 1) * (one or 0.0)
    return Bill(one, condense, spent / trained if spent and trained > 0 else None)


def _teachers(entrant: Entrant) -> int:
    told = entrant.report.get("experts")
    return told if isinstance(told, int) and told > 0 else 1


def _one_expert(entrant: Entrant) -> float | None:
    """Seconds of training one full-data model, None where the run took any from the cache: they are timed together."""
    spent = entrant.seconds.get("experts") if entrant.own_expert else None
    return spent / _teachers(entrant) if spent else None


def _same_expert(first: Entrant, second: Entrant) -> bool:
    a, b = first.spec, second.spec
    same_device = first.report.get("device") == second.report.get("device")
    return (a.data, a.encoder, a.tuned_layers) == (b.data, b.encoder, b.tuned_layers) and same_device


def told(entrant: Entrant, others: Sequence[Entrant], part: Part) -> str:
    """The break-even as a sentence, with what it is made of."""
    cost = bill(entrant, others)
    if cost.full is None:
        return (
            f"{entrant.letter} took its full-data model from the cache and no run shown here trained one on these "
            "data, so after how many students it pays is not known."
        )
    if cost.student is None:
        return f"{entrant.letter} did not measure how long a student takes."
    said = f"{entrant.letter}: training once on everything took {words.duration(cost.full)}"
    if not entrant.own_expert:
        said += " (in another run, it came from the cache here)"
    said += f", condensing {words.duration(cost.condense)} more, a student then {words.duration(cost.student)}."
    if cost.pays_from is None:
        return f"{said} A student takes no less time than full training, so condensing does not pay in time here."
    said += f" Condensing is the faster way from the {words.ordinal(cost.pays_from)} student on."
    soft = entrant.score(SOFT, Metric.RECALL, part)
    if soft is not None and soft.share is not None:
        said += f" In time, not in quality: such a student reaches {words.share(soft.share)} of full data."
    return said


def table(entrants: Sequence[Entrant]) -> list[dict[str, object]]:
    """One row a run: seconds of each stage, memory and bytes."""
    stages = list(dict.fromkeys([*STAGES, *(stage for each in entrants for stage in each.seconds)]))
    stages = [stage for stage in stages if any(stage in each.seconds for each in entrants)]
    rows: list[dict[str, object]] = []
    for each in entrants:
        peak = each.report.get("peak_memory_mb")
        rows.append(
            {
                "Run": f"{each.letter}  {each.name}",
                **{f"{STAGES.get(stage, stage)}, s": each.seconds.get(stage) for stage in stages},
                "Sum, s": sum(each.seconds.values()),
                "Peak memory, MB": float(peak) if isinstance(peak, int | float) else None,
                **{f"{form.capitalize()}, kB": _kilo(each.stored.get(form)) for form in ("soft", "hard", "log")},
                "Device": str(each.report.get("device") or ""),
            }
        )
    return rows


def _kilo(size: int | None) -> float | None:
    return None if size is None else size / 1000
