"""Recommendation lists beside each other as markup and in words; every title is escaped text. No streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foster.ui import words
from foster.ui.lineup import row_name
from foster.ui.markup import Markup, join, plain, tag

if TYPE_CHECKING:
    from foster.recommend import Agreement, Recommendation

REFERENCE = "full"
SHOWN, DEEP = 10, 100  # places shown; places searched for what really came next
HINTS = {
    "full": "trained on the whole log",
    "soft": "from the stored distributions",
    "hard": "from the plain lists",
    "random": "as many, drawn at random",
    "untrained": "the text encoder, alone",
}
SHORT = {"soft": "distilled, soft", "hard": "distilled, hard", "random": "random sequences", "untrained": "untrained"}


@dataclass(frozen=True)
class Shown:
    """One list. agreement: with the reference, None for the reference itself and where there is none."""

    row: str
    places: Sequence[Recommendation]
    agreement: Agreement | None


def beside(lists: Mapping[str, Sequence[Recommendation]]) -> list[Shown]:
    """Each list's first SHOWN places, held against those of everything."""
    from foster.recommend import compare_lists

    reference = lists.get(REFERENCE)
    return [
        Shown(
            row,
            places[:SHOWN],
            None if reference is None or row == REFERENCE else compare_lists(reference[:SHOWN], places[:SHOWN]),
        )
        for row, places in lists.items()
    ]


def cards(shown: Sequence[Shown], titles: Sequence[str], came_next: int | None) -> Markup:
    """came_next: the item that the user really took next, marked wherever it stands."""
    heaviest = max((place.weight for each in shown for place in each.places), default=0.0) or 1.0
    return tag("div", *(_card(each, titles, came_next, heaviest) for each in shown), class_="lists")


def _card(shown: Shown, titles: Sequence[str], came_next: int | None, heaviest: float) -> Markup:
    agreement = shown.agreement
    shifts: Sequence[int | None] | None = None if agreement is None else agreement.shifts
    rows = []
    for number, place in enumerate(shown.places):
        title = titles[place.item]
        rows.append(
            tag(
                "li",
                tag("span", str(place.rank), class_="place"),
                tag("bdi", plain(title, 80), class_="title", title=plain(title, 400)),
                None if shifts is None else _shift(shifts[number]),
                tag("span", "really came next", class_="truth") if place.item == came_next else None,
                tag("b", style=f"width:{100 * place.weight / heaviest:.1f}%", aria_hidden="true"),
                class_="hit" if place.item == came_next else None,
            )
        )
    common = "" if agreement is None else f"{agreement.shared} of {len(shown.places)} as with everything"
    return tag(
        "section",
        tag("h3", row_name(shown.row)),
        tag("p", HINTS.get(shown.row, ""), class_="hint"),
        tag("p", common, class_="shared"),
        tag("ol", *rows),
        class_=f"list {shown.row}",
    )


def shift_text(shift: int | None) -> str:
    """
    >>> [shift_text(each) for each in (3, -2, 0, None)]
    ['↑3', '↓2', '=', 'new']
    """
    if shift is None:
        return "new"
    return "=" if shift == 0 else f"{'↑' if shift > 0 else '↓'}{abs(shift)}"


def _shift(shift: int | None) -> Markup:
    if shift is None:
        said, kind = "not in the list of everything", "new"
    elif shift == 0:
        said, kind = "the same place as with everything", "same"
    else:
        said = f"{words.plural(abs(shift), 'place')} {'higher' if shift > 0 else 'lower'} than with everything"
        kind = "up" if shift > 0 else "down"
    return tag("span", shift_text(shift), class_=f"shift {kind}", title=said, role="img", aria_label=said)


def agreement_text(shown: Sequence[Shown]) -> str:
    """How far the lists say the same, in a sentence or two."""
    held = {each.row: each for each in shown if each.agreement is not None}
    reference = next((each for each in shown if each.row == REFERENCE), None)
    if reference is None or not held:
        return ""
    first, *others = held.values()
    assert first.agreement is not None
    many = len(reference.places)
    said = (
        f"Of the {words.plural(many, 'title')} that the full-data model recommends, "
        f"the student of {_called(first.row)} names {first.agreement.shared}"
    )
    rest = [f"{_called(each.row)} {each.agreement.shared}" for each in others if each.agreement is not None]
    said += f"; {', '.join(rest)}." if rest else "."
    if reference.places and first.places:
        if reference.places[0].item == first.places[0].item:
            said += f" The first title is the same with everything and with {_called(first.row)}."
        else:
            said += f" The first title is not the same with everything and with {_called(first.row)}."
    return said


def _called(row: str) -> str:
    return {"soft": "the distilled set", "hard": "its hard form"}.get(row, SHORT.get(row, row_name(row)).lower())


def truth_text(lists: Mapping[str, Sequence[Recommendation]], came_next: int, titles: Sequence[str]) -> Markup:
    """Where each list has the title that the user really took next."""
    title = tag("strong", tag("bdi", plain(titles[came_next], 80)))
    ranks = {
        row: next((place.rank for place in found if place.item == came_next), None) for row, found in lists.items()
    }
    if not any(ranks.values()):
        deepest = max(len(found) for found in lists.values())
        said = f". No list has it among its first {deepest}: what people take next is hard to tell."
    else:
        places = [
            f"{words.ordinal(rank) if rank else f'below the {words.ordinal(len(lists[row]))} place'} by "
            f"{'everything' if row == REFERENCE else SHORT.get(row, row)}"
            for row, rank in ranks.items()
        ]
        said = f". Ranked {'; '.join(places)}."
    return tag("p", join("This reader really went on to ", title, said), class_="say")


def as_table(shown: Sequence[Shown], titles: Sequence[str]) -> list[dict[str, object]]:
    """One row a place: each list's title, with its shift."""
    rows: list[dict[str, object]] = []
    for number in range(max((len(each.places) for each in shown), default=0)):
        row: dict[str, object] = {"Place": number + 1}
        for each in shown:
            if number < len(each.places):
                mark = f" ({shift_text(each.agreement.shifts[number])})" if each.agreement else ""
                row[row_name(each.row)] = f"{plain(titles[each.places[number].item], 200)}{mark}"
        rows.append(row)
    return rows
