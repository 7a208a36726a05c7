"""RunSpec to form and form to RunSpec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import streamlit as st

from foster.errors import UserError
from foster.policy import MINILM, Toy
from foster.runs import Run
from foster.spec import DEVICES, RunSpec
from foster.ui import address, guard
from foster.ui.lineup import FIELD_NAMES
from foster.ui.markup import plain, show, tag
from foster.ui.sources import Source, encoder_name, encoders
from foster.ui.states import note

SEQUENCES = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60, 80, 100)
LENGTHS = (5, 10, 15, 20, 30, 40, 50, 75, 100)
REGULARISATION = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
DEVICE_NAMES = {"auto": "GPU if there is one", "cpu": "CPU", "cuda": "GPU"}
FIELDS = ("sequences", "length", "regularisation", "steps", "students", "encoder", "tuned_layers", "seed", "device",
          "report_test")  # fmt: skip
FILLED = "form-filled-from"  # the run whose settings the form was filled with last

N = TypeVar("N", int, float)


def source_menu(found: Sequence[Source], varied: Run | None = None) -> Source | None:
    """The data set that the address asks for, else that of the `varied` run, else the first; None for one that this
    server does not list."""
    keys = {source.key: source for source in found}
    mine = next((source.key for source in found if varied is not None and source.path == varied.spec.data), None)
    chosen = address.menu(
        "data",
        "Data",
        list(keys),
        (mine or found[0].key) if address.asked("data") in (None, *keys) else None,
        format_func=lambda key: keys[key].name if key in keys else key,
        placeholder="Choose a data set",
    )
    if chosen is None:
        note("There is no such data set", f"The address asks for {(address.asked('data') or '')[:60]!r}.", "bad")
        return None
    if varied is not None and mine is None and address.asked("data") is None:
        said = f"The data of the run are not listed here, so the form has {keys[chosen].name} instead."
        show(tag("p", said, class_="hint", role="status"))
    return keys[chosen]


def fill_form(run: Run) -> None:
    """Puts a run's settings into the form, so that they can be varied: once, until another run is asked for. Says so
    where its encoder is not to be had here."""
    if run.spec.encoder not in encoders():
        said = f"This server does not list the text encoder of the run, {plain(encoder_name(run.spec.encoder), 60)}: "
        show(tag("p", f"{said}MiniLM reads the titles instead.", class_="hint", role="status"))
    if st.session_state.get(FILLED) == run.id:
        return
    st.session_state[FILLED] = run.id
    values, toy = asdict(run.spec), guard.policy().toy
    if toy is not None:
        steps = toy.steps if run.spec.steps is None else min(run.spec.steps, toy.steps)
        values |= {
            "sequences": min(run.spec.sequences, toy.sequences),
            "length": min(run.spec.length, toy.length),
            "steps": steps,
        }
    for name in FIELDS:
        st.session_state[_key(name)] = values[name]


def _key(field: str) -> str:
    return f"form-{field.replace('_', '-')}"


def spec_form(start: RunSpec) -> RunSpec | None:
    """The form, filled with `start`, whose data were chosen before, unless `fill_form` or a person filled it; None
    while its values make no valid specification (the form says why). Values survive a switch of pages.
    """
    keep: dict[str, Any] = {"persist_state": "session"}
    toy = guard.policy().toy
    start = start if toy is None else _smaller(start, toy)
    for name in FIELDS:  # no widget has a default of its own: it would count as a second answer
        st.session_state.setdefault(_key(name), getattr(start, name))
    sequences = st.select_slider(
        "Sequences",
        _up_to(toy.sequences if toy else None, SEQUENCES, "sequences"),
        key="form-sequences",
        help="How many synthetic sequences there are to condense into.",
        **keep,
    )
    length = st.select_slider(
        "Positions in each",
        _up_to(toy.length if toy else None, LENGTHS, "length"),
        key="form-length",
        **keep,
    )
    regularisation = st.select_slider(
        "Regularisation γ",
        _with(REGULARISATION, st.session_state[_key("regularisation")]),
        key="form-regularisation",
        format_func=lambda value: f"{value:g}",
        **keep,
        help="How strongly items of similar meaning are asked to appear together. 0 leaves the sequences free.",
    )
    rest = _rest(keep) if toy is None else _rest_of_toy(toy, keep)
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
        field, _, said = str(error).partition(" ")
        note("These settings do not work", f"{FIELD_NAMES.get(field, field)} {said}", kind="bad")
        return None


def _rest(keep: dict[str, Any]) -> dict[str, Any]:
    """What stands folded under the three sliders.

    Numbers have no bounds here: a browser keeps one that is out of bounds to itself, and the run would start with the
    number before it. The specification refuses it with a reason instead.
    """
    with st.expander("Everything else"):
        steps = st.number_input(
            "Distillation steps",
            value=None,
            step=50,
            key="form-steps",
            **keep,
            placeholder="by rule",
            help="Empty: chosen from the data and the budget.",
        )
        students = st.number_input(
            "Fresh students a row",
            step=1,
            key="form-students",
            **keep,
            help="Each row of the report is a mean over so many students.",
        )
        encoder = _encoder(keep)
        tuned_layers = st.number_input(
            "Encoder layers that learn",
            step=1,
            key="form-tuned-layers",
            **keep,
            help="So many of the text encoder's last layers learn with every recommender, full-data and distilled; 0 "
            "leaves it as it is. Takes many times as long: meant for a GPU.",
        )
        seed = st.number_input("Seed", step=1, key="form-seed", **keep)
        device = st.segmented_control(
            "Computed on",
            DEVICES,
            format_func=DEVICE_NAMES.__getitem__,
            required=True,
            key="form-device",
            **keep,
        )
        report_test = st.toggle(
            "Report the test items too",
            key="form-report-test",
            **keep,
            help="Choices are made on validation items; look at the test items once, at the end.",
        )
    return {
        "encoder": encoder,
        "tuned_layers": int(tuned_layers),
        "steps": None if steps is None else int(steps),
        "students": int(students),
        "seed": int(seed),
        "device": device or "auto",
        "report_test": report_test,
    }


def _rest_of_toy(toy: Toy, keep: dict[str, Any]) -> dict[str, Any]:
    steps = st.slider("Distillation steps", 0, toy.steps, key="form-steps", **keep)
    return {"steps": int(steps)}


def _smaller(start: RunSpec, toy: Toy) -> RunSpec:
    """The largest toy, from which a visitor begins."""
    return replace(
        start,
        sequences=toy.sequences,
        length=toy.length,
        steps=toy.steps,
        students=toy.students,
        seed=toy.seed,
        tuned_layers=0,
    )


def _encoder(keep: dict[str, Any]) -> str:
    """One of the server's list. A value that is not in it, such as that of a forged message, is never passed on."""
    names = encoders()
    if st.session_state[_key("encoder")] not in names:
        st.session_state[_key("encoder")] = MINILM
    if len(names) == 1:
        return MINILM
    chosen = st.selectbox(
        "Text encoder",
        list(names),
        format_func=lambda name: names.get(name, name),
        key="form-encoder",
        **keep,
        help="It turns titles into vectors. The server was started with this list.",
    )
    return chosen if chosen in names else MINILM


def _up_to(most: int | None, options: Sequence[int], field: str) -> list[int]:
    """With what the form holds, which a run may have brought."""
    return [option for option in _with(options, st.session_state[_key(field)]) if most is None or option <= most]


def _with(options: Sequence[N], value: N) -> list[N]:
    return sorted(set(options) | {value})
