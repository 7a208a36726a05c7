"""A moment of the distillation: one step that Sequences, Map and Distil share through the address, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from foster.runs import Run
from foster.ui import address, load, words
from foster.ui.markup import show, tag

RESULT = "result"
TERMS = {"synthetic_theta": "synthetic at\u00a0θ", "synthetic_omega": "at\u00a0ω", "gap": "gap", "real": "real",
         "regulariser": "regulariser"}  # fmt: skip

Event = Mapping[str, Any]


def moments(run: Run) -> list[str]:
    """The steps that have a snapshot, and the result once it is there, in order."""
    steps = [str(step) for step in run.snapshots()]
    return [*steps, RESULT] if load.table(run, "sequences") is not None else steps


def scrub(found: Sequence[str], label: str = "Moment of the distillation") -> str:
    """A slider over the moments; a step without a snapshot becomes the last one before it."""
    asked = address.asked("step")
    if asked is not None and asked not in found:
        instead = before(found, asked)
        address.put(step=instead)
        show(tag("p", f"The address's step has no snapshot; shown is {told(instead)}.", class_="hint", role="status"))
    if len(found) == 1:
        st.text(f"Moment: {told(found[0])}")
        return found[0]
    return address.scrubber("step", label, found, found[-1], format_func=told)


def before(found: Sequence[str], asked: str) -> str:
    """The last moment that is no later than `asked`; the last of all for what is no step.

    >>> before(["0", "5", "30", RESULT], "29"), before(["0", "5", RESULT], "-2"), before(["3", "5"], "1")
    ('5', 'result', '3')
    """
    if not asked.isdecimal() or len(asked) > 9:
        return found[-1]
    steps = [each for each in found if each != RESULT]
    return next((each for each in reversed(steps) if int(each) <= int(asked)), found[0])


def told(moment: str) -> str:
    return moment if moment == RESULT else f"step {words.count(int(moment))}"


def figures(run: Run, moment: str) -> None:
    """The moment's metrics as one line."""
    show(tag("p", of(run, moment), class_="moment"))


def of(run: Run, moment: str) -> str:
    """The moment's metrics in a sentence."""
    return sentence(load.events(run, "distil"), load.events(run, "valid"), moment)


def sentence(distil: Sequence[Event], valid: Sequence[Event], moment: str) -> str:
    """Validation Recall@10 of the fresh student nearest at or before the moment, and the loss terms at it.

    distil, valid: events of those kinds, in the order of their steps.
    """
    step = None if moment == RESULT else int(moment)
    said = [f"{told(moment)[0].upper()}{told(moment)[1:]}:"]
    if student := _last(valid, step):
        of = "" if student["step"] == step else f" of step {words.count(student['step'])}"
        said.append(
            f"a fresh student on the soft form{of} reaches Recall@10 {words.score(student['recall@10'])} on validation;"
        )
    else:
        said.append("no student had been judged yet;")
    if loss := _last(distil, step):
        of = "" if loss["step"] == step else f" at step {words.count(loss['step'])}"
        # without a weight the regulariser is not computed, and stands as 0, which it never is
        known = [(key, name) for key, name in TERMS.items() if loss.get(key) is not None]
        terms = [f"{name}\u00a0{_signed(loss[key])}" for key, name in known if key != "regulariser" or loss[key]]
        said.append(f"loss terms{of}: {', '.join(terms)}.")
    else:
        said.append("no step had been taken.")
    return " ".join(said)


def _signed(value: float) -> str:
    return words.score(value).replace("-", "−")


def _last(events: Sequence[Event], step: int | None) -> Event | None:
    return next((event for event in reversed(events) if step is None or event["step"] <= step), None)
