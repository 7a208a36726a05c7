"""RunSpec to form and form to RunSpec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import streamlit as st

from foster.errors import UserError
from foster.policy import MINILM, Toy
from foster.spec import DEVICES, RunSpec
from foster.ui import address, guard
from foster.ui.sources import Source, encoders
from foster.ui.states import note

SEQUENCES = (1, 2, 5, 10, 20, 40, 60, 100)
LENGTHS = (5, 10, 20, 30, 50, 100)
REGULARISATION = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
DEVICE_NAMES = {"auto": "GPU if there is one", "cpu": "CPU", "cuda": "GPU"}

N = TypeVar("N", int, float)


def source_menu(found: Sequence[Source]) -> Source | None:
    """The data set that the address asks for, else the first; None for one that this server does not list."""
    keys = {source.key: source for source in found}
    chosen = address.menu(
        "data",
        "Data",
        list(keys),
        found[0].key if address.asked("data") in (None, *keys) else None,
        format_func=lambda key: keys[key].name if key in keys else key,
        placeholder="Choose a data set",
    )
    if chosen is None:
        note("There is no such data set", f"The address asks for {(address.asked('data') or '')[:60]!r}.", "bad")
        return None
    return keys[chosen]


def spec_form(start: RunSpec) -> RunSpec | None:
    """The form, filled with `start`, whose data were chosen before; None while its values make no valid specification
    (the form says why). Values survive a switch of pages.
    """
    keep: dict[str, Any] = {"persist_state": "session"}
    toy = guard.policy().toy
    start = start if toy is None else _smaller(start, toy)
    sequences = st.select_slider(
        "Sequences",
        _up_to(toy.sequences if toy else None, SEQUENCES, start.sequences),
        start.sequences,
        key="form-sequences",
        help="How many synthetic sequences there are to condense into.",
        **keep,
    )
    length = st.select_slider(
        "Positions in each",
        _up_to(toy.length if toy else None, LENGTHS, start.length),
        start.length,
        key="form-length",
        **keep,
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
    rest = _rest(start, keep) if toy is None else _rest_of_toy(start, toy, keep)
    fields = {
        **asdict(start),
        "sequences": sequences,
        "length": length,
        "regularisation": regularisation,
        **rest,
    }
    try:
        return RunSpec(**fields)
    except UserError as error:
        note("These settings do not work", str(error), kind="bad")
        return None


def _rest(start: RunSpec, keep: dict[str, Any]) -> dict[str, Any]:
    """What stands folded under the three sliders."""
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
        encoder = _encoder(start.encoder, keep)
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
    return {
        "encoder": encoder,
        "steps": None if steps is None else int(steps),
        "students": int(students or 1),
        "seed": int(seed or 0),
        "device": device or "auto",
        "report_test": report_test,
    }


def _rest_of_toy(start: RunSpec, toy: Toy, keep: dict[str, Any]) -> dict[str, Any]:
    steps = st.slider("Distillation steps", 0, toy.steps, start.steps, key="form-steps", **keep)
    return {"steps": int(steps)}


def _smaller(start: RunSpec, toy: Toy) -> RunSpec:
    """The largest toy, from which a visitor begins."""
    return replace(
        start, sequences=toy.sequences, length=toy.length, steps=toy.steps, students=toy.students, seed=toy.seed
    )


def _encoder(start: str, keep: dict[str, Any]) -> str:
    """One of the server's list. A value that is not in it, which only a forged message can hold, is never passed on."""
    names = encoders()
    if len(names) == 1:
        return MINILM
    chosen = st.selectbox(
        "Text encoder",
        list(names),
        index=list(names).index(start) if start in names else 0,
        format_func=lambda name: names.get(name, name),
        key="form-encoder",
        **keep,
        help="It turns titles into vectors, and its weights stay as they are. The server was started with this list.",
    )
    return chosen if chosen in names else MINILM


def _up_to(most: int | None, options: Sequence[int], value: int) -> list[int]:
    return [option for option in _with(options, value) if most is None or option <= most]


def _with(options: Sequence[N], value: N) -> list[N]:
    return sorted(set(options) | {value})
