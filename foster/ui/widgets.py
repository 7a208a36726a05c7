"""RunSpec to form and form to RunSpec; what the budget costs is said before anything starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from foster.errors import UserError
from foster.spec import DEVICES, RunSpec
from foster.ui import words
from foster.ui.markup import Markup, show, tag
from foster.ui.state import data_name
from foster.ui.states import note

SEQUENCES = (1, 2, 5, 10, 20, 40, 60, 100)
LENGTHS = (5, 10, 20, 30, 50, 100)
REGULARISATION = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
DEVICE_NAMES = {"auto": "GPU if there is one", "cpu": "CPU", "cuda": "GPU"}
BYTES_A_POSITION = 2 * 128  # the most a position may store, inputs and targets together

N = TypeVar("N", int, float)


def data_choices() -> dict[str, str]:
    """What may be distilled: source → name. "sample" and the folders that the server was started with (FOSTER_DATA)."""
    found = {"sample": data_name("sample")}
    for folder in filter(None, os.environ.get("FOSTER_DATA", "").split(os.pathsep)):
        name = data_name(folder)
        if name in found.values():
            name = f"{name} ({Path(folder).parent.name})"
        found[folder] = name
    return found


def at_most(spec: RunSpec) -> int:
    """Upper bound of the bytes that the soft form stores."""
    return BYTES_A_POSITION * spec.sequences * spec.length


def spec_form(start: RunSpec) -> RunSpec | None:
    """The form, filled with `start`; None while its values make no valid specification (the form says why).

    Values survive a switch of pages.
    """
    choices = data_choices()
    keep: dict[str, Any] = {"persist_state": "session"}
    data = _data(choices, start.data, keep)
    sequences = st.select_slider(
        "Sequences",
        _with(SEQUENCES, start.sequences),
        start.sequences,
        key="form-sequences",
        help="How many synthetic sequences there are to condense into.",
        **keep,
    )
    length = st.select_slider(
        "Positions in each", _with(LENGTHS, start.length), start.length, key="form-length", **keep
    )
    regularisation = st.select_slider(
        "Regularisation γ",
        _with(REGULARISATION, start.regularisation),
        start.regularisation,
        key="form-regularisation",
        format_func=lambda value: f"{value:g}",
        **keep,
        help="How strongly items of similar meaning are asked to appear together. 0 leaves the sequences free.",
    )
    with st.expander("Everything else"):
        steps = st.number_input(
            "Distillation steps",
            0,
            1_000_000,
            start.steps,
            step=50,
            key="form-steps",
            **keep,
            placeholder="by rule",
            help="Empty: chosen from the data and the budget.",
        )
        students = st.number_input(
            "Fresh students a row",
            1,
            100,
            start.students,
            key="form-students",
            **keep,
            help="Each row of the report is a mean over so many students.",
        )
        seed = st.number_input("Seed", 0, 2**31 - 1, start.seed, key="form-seed", **keep)
        device = st.segmented_control(
            "Computed on",
            DEVICES,
            default=start.device,
            format_func=DEVICE_NAMES.__getitem__,
            required=True,
            key="form-device",
            **keep,
        )
        report_test = st.toggle(
            "Report the test items too",
            start.report_test,
            key="form-report-test",
            **keep,
            help="Choices are made on validation items; look at the test items once, at the end.",
        )
    fields = {
        **asdict(start),
        "data": data,
        "sequences": sequences,
        "length": length,
        "regularisation": regularisation,
        "steps": None if steps is None else int(steps),
        "students": int(students or 1),
        "seed": int(seed or 0),
        "device": device or "auto",
        "report_test": report_test,
    }
    try:
        return RunSpec(**fields)
    except UserError as error:
        note("These settings do not work", str(error), kind="bad")
        return None


def _data(choices: dict[str, str], wanted: str, keep: dict[str, Any]) -> str:
    if len(choices) == 1:
        show(tag("p", "Data: ", tag("strong", choices["sample"])))
        return "sample"
    sources = list(choices)
    return st.selectbox(
        "Data",
        sources,
        index=sources.index(wanted) if wanted in choices else 0,
        format_func=choices.__getitem__,
        key="form-data",
        **keep,
    )


def _with(options: Sequence[N], value: N) -> list[N]:
    return sorted(set(options) | {value})


def estimate(spec: RunSpec, log_bytes: int | None, earlier: str | None) -> None:
    """The budget as a picture and in words. log_bytes: what the training log takes, if a run on these data told;
    earlier: how long such a run took."""
    show(_dots(spec.sequences, spec.length))
    positions = words.count(spec.sequences * spec.length)
    said = f"{positions} positions, stored in at most {words.size(at_most(spec))}."
    if log_bytes:
        said += f" The log itself takes {words.size(log_bytes)}"
        said += ", so the soft form may end up larger than the log." if at_most(spec) > log_bytes else "."
    show(tag("p", said, class_="hint"))
    if earlier:
        show(tag("p", earlier, class_="hint"))


def _dots(sequences: int, length: int) -> Markup:
    """One dot a position, up to 40 × 50 of them."""
    row = tag("div", *[tag("i") for _ in range(min(length, 50))])
    return tag(
        "div",
        *[row] * min(sequences, 40),
        class_="budget",
        role="img",
        aria_label=f"{sequences} rows of {length} dots, one a position",
    )
