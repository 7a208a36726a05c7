"""What the sequences of a run say as a whole, as figures: of one run, or of two in one table. No streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from foster.ui import words
from foster.ui.markup import Markup, tag
from foster.ui.rows import Row


class Figure(NamedTuple):
    name: str
    value: str
    hint: str = ""


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Of the rows together; what is not known of them is left out, all of it for rows without a position."""
    places = [place for row in rows for place in row.places]
    if not places:
        return []
    found = [Figure("Sequences", words.count(len(rows)), f"of {len(rows[0].places)} positions")]
    if read := {option.title for place in places for option in place.read}:
        most = max(len(place.read) for place in places)
        where = f"at {words.count(len(places))} positions" + (f", up to {most} at each" if most > 1 else "")
        found.append(Figure("Titles read", words.count(len(read)), where))
    if taught := [place.taught for place in places if place.taught]:
        found.append(
            Figure("Titles taught", words.count(len({each.title for each in taught})), "first recommendations")
        )
        mean = sum(each.weight for each in taught) / len(taught)
        found.append(Figure("How sure", words.share(mean), "mean weight of the first recommendation"))
    if overlaps := _facts(rows, "overlap"):
        hint = "largest overlap of items, of the hard form; 100\u00a0% is a copy"
        found.append(Figure("Nearest real user", words.share(max(overlaps)), hint))
    if repetitions := _facts(rows, "repetition"):
        mean = sum(repetitions) / len(repetitions)
        found.append(Figure("Repetition", words.share(mean), "of positions of the hard form, mean over sequences"))
    if diversities := _facts(rows, "diversity"):
        mean = sum(diversities) / len(diversities)
        found.append(Figure("Diversity", f"{mean:.2f}", "of the hard form; 0: all alike in text, 1: unrelated"))
    return found


def _facts(rows: Sequence[Row], name: str) -> list[float]:
    return [row.facts[name] for row in rows if row.facts.get(name) is not None]


def beside(runs: Mapping[str, Sequence[Figure]]) -> Markup:
    """Of several runs, by their letters, as one row; a dash where a run does not know one."""
    names = dict.fromkeys(each.name for found in runs.values() for each in found)
    known = {letter: {each.name: each for each in found} for letter, found in runs.items()}
    cells = []
    for name in names:
        each = {letter: found.get(name) for letter, found in known.items()}
        values = [tag("dd", tag("b", letter), figure.value if figure else "–") for letter, figure in each.items()]
        hints = dict.fromkeys(figure.hint for figure in each.values() if figure)
        cells.append(tag("div", tag("dt", name), *values, tag("dd", "; ".join(hints), class_="hint")))
    return tag("dl", *cells, class_="stats several")
