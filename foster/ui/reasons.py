"""Differences between runs as sentences, computed from their reports: how much, whether more than chance, and why one
cannot tell. No streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from foster.ui import words
from foster.ui.lineup import (
    FULL,
    HARD,
    SOFT,
    START_SOFT,
    TEACHERS,
    Difference,
    Entrant,
    Metric,
    Part,
    Score,
    controls,
    differences,
    row_name,
)

# Settings that change neither the soft set nor a validation score of it.
HARMLESS = frozenset({"report_test", "students", "device", "computed"})
_TIMES = {2.0: "twice the", 3.0: "three times the", 4.0: "four times the", 0.5: "half the", 0.25: "a quarter of the"}


def points(first: float, second: float) -> str:
    """The difference of two shares in percentage points, as large as the rounded shares beside it say.

    >>> points(0.71, 0.62), points(0.464, 0.366), points(0.37, 0.46), points(0.46, 0.452)
    ('9 points', '9 points', '9 points', '1 point')
    >>> points(0.461, 0.459)
    'less than a point'
    """
    whole = abs(round(100 * first) - round(100 * second))
    return words.plural(whole, "point") if whole else "less than a point"


def spread_of(first: Score, second: Score) -> float | None:
    """Standard deviation of the difference between one student of each, in shares; None where one has no spread."""
    if first.n < 2 or second.n < 2:
        return None
    return math.hypot(first.share_std, second.share_std)


def _students(first: Score, second: Score) -> str:
    if first.n == second.n:
        return words.plural(first.n, "student")
    return f"{first.n} and {words.plural(second.n, 'student')}"


def beyond_chance(gap: float, first: Score, second: Score) -> str:
    spread = spread_of(first, second)
    if spread is None:
        alone = "each is" if first.n == second.n else "one of the two is"
        return f"though how far students scatter is unknown, for {alone} a single student"
    told = f"±\u00a0{100 * spread:.1f} points"
    whole = abs(round(100 * (first.share or 0)) - round(100 * (second.share or 0)))
    if (whole > round(100 * spread, 1)) != (abs(gap) > spread):  # what is told does not show it
        digits = 1 if f"{100 * abs(gap):.1f}" != f"{100 * spread:.1f}" else 2
        told = f"±\u00a0{100 * spread:.{digits}f} points, unrounded the difference is {100 * abs(gap):.{digits}f}"
    scatter = f"the spread of {_students(first, second)} each ({told})"
    if first.n != second.n:
        scatter = scatter.replace(" each", "")
    return f"more than {scatter}" if abs(gap) > spread else f"within {scatter}, so it may be chance"


def worth(entrant: Entrant, metric: Metric, part: Part) -> str:
    """What one run reached, what distillation added to its start, what its hard form keeps, and its best control."""
    soft = entrant.score(SOFT, metric, part)
    full = entrant.score(FULL, metric, part)
    if soft is None or soft.share is None or full is None:
        return f"{entrant.letter} has no comparison with its full-data model."
    reached = words.share(soft.share)
    said = [f"{entrant.letter}'s soft set reaches {reached} of full data ({soft.text}; full data {full.text})."]
    start = entrant.score(START_SOFT, metric, part)
    if start is not None and start.share is not None:
        gap = soft.share - start.share
        way = "more" if gap >= 0 else "less"
        said.append(
            f"That is {points(soft.share, start.share)} {way} than its start gave, {beyond_chance(gap, soft, start)}."
        )
    hard = entrant.score(HARD, metric, part)
    if hard is not None and hard.share is not None:
        said.append(f"Its hard form, plain lists of items, reaches {words.share(hard.share)}.")
    best = next(iter(controls(entrant, metric, part)), None)
    if best is not None and best[1].share is not None:
        row, score = best
        place = "below" if score.mean < soft.mean else "above"
        said.append(
            f"The best control, “{row_name(row)}”, reaches {words.share(best[1].share)}: {place} the soft set, "
            f"{beyond_chance(best[1].share - soft.share, score, soft)}."
        )
    return " ".join(said)


def duel(first: Entrant, second: Entrant, metric: Metric, part: Part) -> str:
    """How the soft sets of two runs on the same data differ, and what else differs between the runs."""
    a, b = first.score(SOFT, metric, part), second.score(SOFT, metric, part)
    if a is None or b is None or a.share is None or b.share is None:
        return (
            f"{first.letter} and {second.letter} cannot be compared on these items: one has no soft set measured there."
        )
    gap = a.share - b.share
    mine, other = first.letter, second.letter
    way = "more" if gap >= 0 else "less"
    said = [
        f"{mine}'s soft set reaches {words.share(a.share)} of full data, {points(a.share, b.share)} {way} than "
        f"{other}'s {words.share(b.share)}: {beyond_chance(gap, a, b)}."
    ]
    changed = [each for each in differences([first, second]) if each.field not in HARMLESS]
    if used := used_otherwise(first, second, changed):
        said.append(f"{mine} {used}.")
    settings = [each for each in changed if each.field != TEACHERS]  # which follow from settings, if any differ
    said.append(_attribution(settings or changed))
    return " ".join(said)


def used_otherwise(first: Entrant, second: Entrant, changed: Sequence[Difference]) -> str:
    """What the first did otherwise: "used twice the sequences (40 instead of 20) and γ 0.1 instead of 0.3"."""
    parts = []
    for each in changed:
        new, old = each.values
        if each.field == "sequences":
            times = _TIMES.get(first.spec.sequences / second.spec.sequences)
            parts.append(
                f"{times} sequences ({new} instead of {old})" if times else f"{new} sequences instead of {old}"
            )
        elif each.field == TEACHERS:
            parts.append(f"{new} {'teacher' if new == '1' else 'teachers'} instead of {old}")
        elif each.field == "length":
            parts.append(f"sequences of {new} positions instead of {old}")
        elif each.field == "regularisation":
            parts.append(f"γ\u00a0{new} instead of {old}")
        else:
            parts.append(f"{each.name[0].lower()}{each.name[1:]} {new} instead of {old}")
    if not parts:
        return ""
    text = f"used {_and(parts)}"
    mine, other = first.stored.get(SOFT), second.stored.get(SOFT)
    if mine and other and abs(mine / other - 1) > 0.05:
        text += f", and stores {words.size(mine)} instead of {words.size(other)}"
    return text


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _attribution(changed: Sequence[Difference]) -> str:
    if not changed:
        return "Nothing that matters differs between them, so the difference shows what chance does."
    if len(changed) == 1:
        if changed[0].field == "seed":
            return "They differ in the seed alone, so the difference shows what chance does."
        return "Nothing else differs, but each was distilled once: another seed may move both."
    return f"They differ in {len(changed)} settings at once, so this comparison cannot say which of them mattered."


def cautions(entrants: Sequence[Entrant], metric: Metric, part: Part) -> list[str]:
    """What a reader of the group's numbers has to know, computed from them."""
    said = []
    fulls = {each.letter: score for each in entrants if (score := each.score(FULL, metric, part))}
    means = [score.mean for score in fulls.values()]
    if means and max(means) - min(means) > 1e-9:
        told = ", ".join(f"{letter} {words.score(score.mean)}" for letter, score in fulls.items())
        said.append(
            f"The full-data models are not the same ({told}), for they depend on encoder, length, seed and the version "
            "of foster; each share is taken of the run's own."
        )
    versions = sorted({words.version(each.report) for each in entrants})
    if len(versions) > 1:
        said.append(f"These runs were made by different versions of foster: {', '.join(versions)}.")
    larger = [each.letter for each in entrants if each.stored.get(SOFT, 0) > each.stored.get("log", math.inf)]
    if larger:
        said.append(f"The soft set of {_and(larger)} takes more bytes than the log, so there it condenses nothing.")
    return said
