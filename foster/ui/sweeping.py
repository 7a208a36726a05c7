"""Budget × γ: choose the grid → see what it would cost → start it → watch it fill → open a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import streamlit as st

from foster.errors import UserError
from foster.runs import Run, RunState, RunStatus, RunStore
from foster.spec import RunSpec
from foster.ui import address, guard, heat, load, reasons, words
from foster.ui import grid as grids
from foster.ui.forecast import roughly
from foster.ui.grid import Grid, Plan
from foster.ui.history import earlier
from foster.ui.lineup import Entrant, Metric, Part, setting_text
from foster.ui.markup import show, tag
from foster.ui.sources import source_of
from foster.ui.state import Selection, data_name, label
from foster.ui.states import TITLES, attempt, note

N = TypeVar("N", int, float)
EVERY_S = 2.0
SEQUENCES = [5, 10, 20, 40, 60, 100]
WEIGHTS = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0]
START_SEQUENCES, START_WEIGHTS = [5, 10, 20, 40], [0.0, 0.03, 0.1, 0.3]
STUDENTS = [1, 3, 5]
STEPS = [10, 50, 100, 200, 400]
BY_RULE = "by rule"
MOST = 40  # runs that one press of the button starts


@dataclass(frozen=True)
class Size:
    """Of the run's log."""

    events: int
    items: int


def sweep(selection: Selection, run: Run) -> None:
    show(
        tag(
            "p",
            "One square is one run: so many sequences, learned with so much weight γ on keeping similar items "
            f"together. Everything else is as in the chosen run, on {data_name(run.spec.data)}.",
            class_="say",
        )
    )
    sight, bench = st.columns([7, 4], gap="large")
    with bench:
        show(tag("h2", "Choose the grid"))
        sequences = address.pills("m", "Sequences", _with(SEQUENCES, run.spec.sequences), START_SEQUENCES)
        weights = address.pills(
            "g",
            "Regularisation weight γ",
            _with(WEIGHTS, run.spec.regularisation),
            START_WEIGHTS,
            format_func=lambda value: f"{value:g}",
        )
        base = _base(run.spec)
        shown = _grid(selection.store, base, selection.runs, sequences, weights)
        _launch(selection, run, base, shown, grids.plan(base, shown, sequences, weights))
    with sight:
        ticking = shown.active
        timer = EVERY_S if ticking else None
        st.fragment(_watch, run_every=timer)(selection.store, run, base, sequences, weights, ticking)
        _chosen(selection, run, shown)


def _with(options: Sequence[N], value: N) -> list[N]:
    return sorted(set(options) | {value})


def _base(spec: RunSpec) -> RunSpec:
    """The run's own specification, with what the form's fold changes for the whole grid."""
    with st.expander("The same in all of them"):
        students = address.menu(
            "students", "Fresh students a row", [str(n) for n in _with(STUDENTS, spec.students)], str(spec.students)
        )
        own = BY_RULE if spec.steps is None else str(spec.steps)
        steps = address.menu(
            "steps",
            "Distillation steps",
            [BY_RULE, *(str(n) for n in _with(STEPS, STEPS[0] if spec.steps is None else spec.steps))],
            own,
            help="Few steps make a quick, rough grid.",
        )
        told = [("Positions in each", spec.length), ("Seed", spec.seed), ("Text encoder", spec.encoder)]
        text = ", ".join(f"{name.lower()} {setting_text(name, value)}" for name, value in told)
        show(tag("p", f"As in the run above: {text}.", class_="hint"))
    count = None if steps in (None, BY_RULE) else int(steps)
    return replace(spec, students=int(students or spec.students), steps=count)


def _grid(
    store: RunStore,
    base: RunSpec,
    runs: Sequence[tuple[Run, RunStatus]],
    sequences: Sequence[int],
    weights: Sequence[float],
) -> Grid:
    found = grids.members(base, runs)
    reports = {}
    for mine in found.values():
        run, status = mine[0]
        try:
            report = load.report(run) if status.state is RunState.DONE else None
        except UserError:  # damaged: the cell says that it has no score, the run's own page says why
            continue
        if report is not None:
            reports[run.id] = Entrant("", run.id, "", run.spec, report)
    return grids.grid(found, reports, sequences, weights)


def _launch(selection: Selection, run: Run, base: RunSpec, shown: Grid, plan: Plan) -> None:
    there = f" {plan.there} of the grid {'is' if plan.there == 1 else 'are'} there or on the way." if plan.there else ""
    if source_of(selection.store, base.data) is None:
        note("No new runs here", "This server no longer lists the data of this run; what there is stays readable.")
        return
    if not plan.count:
        said = "Every square is there or on its way." if plan.there else "Choose at least one number in each line."
        show(tag("p", said, class_="say", role="status"))
    else:
        begin = f"{words.plural(len(plan.new), 'new run')}" if plan.new else ""
        go_on = f"{words.plural(len(plan.again), 'run')} that ended early go{'es' if len(plan.again) == 1 else ''} on"
        parts = " and ".join(filter(None, (begin, go_on if plan.again else "")))
        show(tag("p", f"{parts[0].upper()}{parts[1:]}.{there}", class_="say", role="status"))
        show(tag("p", _time(selection, run, shown, plan), class_="hint"))
    most = min(MOST, selection.policy.each or MOST)
    too_many = plan.count > most
    if too_many:
        note(
            "Too many at once",
            f"At most {words.plural(most, 'run')} start with one press; choose fewer numbers.",
            "bad",
        )
    name = f"Start {words.plural(plan.count, 'run')}" if plan.count else "Start"
    refusal = next(filter(None, map(selection.policy.refusal, plan.new)), "")
    if refusal and not too_many:
        note("Not here", f"{refusal[0].upper()}{refusal[1:]}.")
    pressed = st.button(
        name,
        key="start-grid",
        type="primary",
        icon=":material/grid_view:",
        disabled=not plan.count or too_many or bool(refusal),
        width="stretch",
    )
    if pressed and plan.count and attempt(lambda: guard.start(selection.store, plan.new, plan.again)):
        st.rerun()
    waiting = [
        cell.run_id
        for cell in shown.cells.values()
        if cell.state in (RunState.QUEUED, RunState.RUNNING) and not guard.refusal(selection.store.get(cell.run_id))
    ]
    if waiting:
        hint = "Runs that have begun keep what they computed and can go on later."
        stopped = st.button("Stop the runs of this grid", key="stop-grid", icon=":material/stop:", help=hint)
        if stopped and attempt(lambda: _stop(selection.store, waiting)):
            st.rerun()


def _stop(store: RunStore, waiting: Sequence[str]) -> None:
    for run_id in waiting:
        run = store.get(run_id)
        if not run.status().is_terminal and not run.stop_requested:
            guard.stop(run)


def _time(selection: Selection, run: Run, shown: Grid, plan: Plan) -> str:
    data = run.data() or {}
    events, items = data.get("interactions"), data.get("items")
    spans = None
    if events and items:
        resumed = [selection.store.get(run_id).spec for run_id in plan.again]
        there = any(
            _shares_expert(other, run.spec) for other, status in selection.runs if status.state is RunState.DONE
        )
        size = Size(int(events), int(items))
        spans = grids.time_needed(plan, resumed, size, earlier(selection), there)
    if spans is None:
        return "How long it takes is not known: no finished run tells. One run works at a time, the others wait."
    return (
        f"About {roughly(*spans)} in all, a guess from earlier runs. One run works at a time, the others wait, and "
        "they go on when this page is closed."
    )


def _shares_expert(run: Run, spec: RunSpec) -> bool:
    """Whether this store's cache should hold the full-data model; that of a shipped run was trained elsewhere."""
    mine = run.spec
    asked = ("data", "encoder", "tuned_layers", "length", "seed")
    return not run.read_only and all(getattr(mine, name) == getattr(spec, name) for name in asked)


def _watch(
    store: RunStore, run: Run, base: RunSpec, sequences: Sequence[int], weights: Sequence[float], ticking: bool
) -> None:
    try:
        runs = store.survey()[0]
    except UserError as error:
        note("The runs cannot be read", str(error), "bad")
        return
    shown = _grid(store, base, runs, sequences, weights)
    if shown.active != ticking:
        st.rerun()  # the whole page once: the timer goes on or off, and what may be started changes
    if not shown.sequences or not shown.weights:
        show(tag("p", "Choose at least one number of sequences and one weight.", class_="say"))
        return
    show(heat.heat_map(shown, run.id, lambda run_id: address.carried(run=run_id)))
    done = sum(cell.state is RunState.DONE for cell in shown.cells.values())
    on_the_way = sum(cell.state in (RunState.QUEUED, RunState.RUNNING) for cell in shown.cells.values())
    figures = [f"{words.plural(done, 'square')} done"]
    if on_the_way:
        figures.append(f"{on_the_way} on the way")
    text = f"{', '.join(figures)}. {grids.say(shown)}"
    show(tag("p", text.strip(), class_="say", role="status"))
    with st.expander("The same as a table", key="grid-table"):
        st.dataframe(
            heat.as_table(shown),
            hide_index=True,
            alt="Every square of the grid with its state, its share of full data and its run",
            column_config={
                "Done": st.column_config.NumberColumn(format="percent"),
                "γ": st.column_config.NumberColumn(format="%g"),
                "Share of full data": st.column_config.NumberColumn(format="percent"),
                "± (share)": st.column_config.NumberColumn(format="percent"),
                "Recall@10, validation": st.column_config.NumberColumn(format="%.4f"),
            },
        )


def _chosen(selection: Selection, run: Run, shown: Grid) -> None:
    """The keyboard's way to a cell, and what its run has to say."""
    if not shown.cells:
        return
    names = {
        cell.run_id: f"{words.plural(place[0], 'sequence')}, γ\u00a0{place[1]:g}: {' '.join(heat.tell(cell)).strip()}"
        for place, cell in sorted(shown.cells.items())
    }
    st.session_state["grid-cell"] = run.id if run.id in names else None
    st.selectbox(
        "Open a square",
        list(names),
        format_func=lambda run_id: names.get(run_id, run_id),
        key="grid-cell",
        on_change=lambda: address.put(run=st.session_state["grid-cell"], step=None, sequence=None),
        placeholder="Choose a square",
        width=340,
    )
    if run.id not in names or selection.status is None:
        return
    _tell_run(selection, run, selection.status)


def _tell_run(selection: Selection, run: Run, status: RunStatus) -> None:
    try:
        report = load.report(run)
    except UserError as error:
        note("This run's report cannot be read", str(error), "bad")
        return
    if report is not None:
        entrant = Entrant("This run", run.id, label(run, status), run.spec, report)
        show(tag("p", reasons.worth(entrant, Metric.RECALL, Part.VALID), class_="say"))
    else:
        text = status.error or f"{words.share(status.fraction)} done."
        note(TITLES[status.state], text, "bad" if status.state in (RunState.FAILED, RunState.LOST) else "plain")
    with st.container(horizontal=True, gap="medium"):
        for page, name, icon in (
            ("pages/sequences.py", "Read its sequences", ":material/subject:"),
            ("pages/map.py", "See its map", ":material/scatter_plot:"),
            (
                "pages/distil.py",
                "See how it went" if report is not None else "Watch or resume it",
                ":material/science:",
            ),
        ):
            if report is not None or page == "pages/distil.py":
                st.page_link(page, label=name, icon=icon, query_params=address.carried(run=run.id))
