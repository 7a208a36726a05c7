"""A second run beside the one that a page shows: which, as the address says, and at which moment."""

from __future__ import annotations

from dataclasses import dataclass

from foster.runs import Run
from foster.ui import address, load, moment
from foster.ui.frame import SHOWN_RUNS
from foster.ui.markup import plain
from foster.ui.moment import RESULT
from foster.ui.rows import Row
from foster.ui.state import Selection, label
from foster.ui.states import note


@dataclass(frozen=True)
class Second:
    run: Run
    name: str
    moment: str

    def rows(self) -> list[Row]:
        return load.rows(self.run, None if self.moment == RESULT else int(self.moment))


def menu(selection: Selection, run: Run) -> tuple[Run, str] | None:
    """The control; the chosen run and what it is called, None while there is none. Says so if it is not there."""
    asked = address.asked("with")
    listed = [*selection.runs[:SHOWN_RUNS], *(each for each in selection.runs[SHOWN_RUNS:] if each[0].id == asked)]
    found = {each.id: (each, label(each, status)) for each, status in listed if each.id != run.id}
    address.menu("with", "Side by side with", list(found), None, format_func=lambda each: found[each][1],
                 clears=("page",), placeholder="Another run" if found else "There is no other run")  # fmt: skip
    if asked is None or asked == run.id:
        return None
    if asked not in found:
        note("The other run is not there", f"The address asks for {plain(asked, 60)!r}, which is not in this store.")
        return None
    return found[asked]


def at(chosen: tuple[Run, str], now: str, *, hard: bool) -> Second | None:
    """The chosen run at the moment shown, or at the last one before it; None, said in a note, if it has none at all, or
    none of the hard form, which comes with a result."""
    run, name = chosen
    moments = moment.moments(run)
    if not moments:
        note("It has no sequences yet", f"{name} can stand beside this run once its distillation has taken a step.")
        return None
    if hard and moments[-1] != RESULT:
        note("It has no hard form yet", f"{name} has no result so far; look at the soft form of both.")
        return None
    return Second(run, name, moments[-1] if now == RESULT else moment.before(moments, now))
