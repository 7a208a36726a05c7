"""A run while it works: one fragment that looks at the disk every moment, and is quiet when there is nothing to see."""

from __future__ import annotations

import time

import streamlit as st

from foster.runs import Run, RunState, RunStatus, RunStore
from foster.spec import RunSpec
from foster.ui import address, charts, guard, load, moment, scores, words
from foster.ui.markup import show, tag
from foster.ui.state import Selection, label
from foster.ui.states import attempt, banner, note
from foster.ui.titles import stats

EVERY_S, STEPPING_S = 1.5, 0.4
STAGES = {
    "data": "Reading the data",
    "embed": "Encoding the titles",
    "experts": "Training experts on the whole log",
    "distil": "Distilling",
    "students": "Training fresh students",
    "map": "Drawing the map",
}
STEP = "Step goes on to the next thing that the run reports, and waits there."
STEPS = {
    "experts": "Step goes on to the next check of the expert, and waits there.",
    "distil": "Step takes one step of the distillation.",
    "students": "Step trains one student.",
}
_CHART = {"displayModeBar": False}  # it would lie over the first chart's title on a phone


def pace(run: Run, status: RunStatus) -> float | None:
    """Seconds between two looks; None when nothing can change without a person: it has ended, or it is paused."""
    if status.is_terminal:
        return None
    if run.step_requested:
        return STEPPING_S
    return None if status.paused and run.pause_requested else EVERY_S


def live(selection: Selection, run: Run, status: RunStatus) -> None:
    every = pace(run, status)
    st.fragment(_live, run_every=every)(selection.store, run, status.state, every)


def _live(store: RunStore, run: Run, before: RunState, every: float | None) -> None:
    status = run.status()
    if status.state is not before or pace(run, status) != every:
        st.rerun()  # the whole page once: the timer goes on or off, and the frame and the queue follow
    show(tag("h2", label(run, status)))
    _progress(store, run, status)
    _controls(store, run, status)
    _figures(run, status)
    _curves(run, status)
    if guard.policy().logs and (log := run.log()):
        with st.expander("Log", key=f"log-{run.id}"):
            st.code(log, language=None, height=280)


def _progress(store: RunStore, run: Run, status: RunStatus) -> None:
    if status.state is RunState.DONE:
        when = f" {words.moment(status.finished)}" if status.finished else ""
        show(tag("p", f"Finished{when}.", class_="hint", role="status"))
    if status.state is not RunState.RUNNING:
        banner(store, run, status, here=True)
        return
    doing = STAGES.get(status.stage, "Starting")
    if run.stop_requested:
        doing = "Stopping at the next step"
    elif run.step_requested:
        doing = f"Taking one step: {doing.lower()}"
    elif status.paused:
        doing = f"Paused: {doing.lower()}"
    elif run.pause_requested:
        doing = "Pausing at the next step"
    st.progress(status.fraction, text=f"{doing} · {words.share(status.fraction)}")
    if status.message and not status.paused:
        show(tag("p", f"Now: {status.message}.", class_="hint"))
    if status.paused and not run.step_requested:
        told = f"Finished last: {status.message}. " if status.message else ""
        show(tag("p", f"{told}{STEPS.get(status.stage, STEP)}", class_="hint", role="status"))


def _controls(store: RunStore, run: Run, status: RunStatus) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not status.is_terminal and not run.read_only:
            if refusal := guard.refusal(run):
                show(tag("p", refusal, class_="hint"), "content")
            else:
                _buttons(store, run, status)
        if run.snapshots() or status.state is RunState.DONE:
            st.page_link(
                "pages/sequences.py",
                label="Read the sequences",
                icon=":material/subject:",
                query_params=address.carried(run=run.id),
            )
        if load.table(run, "map") is not None:
            st.page_link(
                "pages/map.py",
                label="See the map",
                icon=":material/scatter_plot:",
                query_params=address.carried(run=run.id),
            )
        if status.state is RunState.DONE:
            for page, what, icon in (("compare", "Compare", "compare_arrows"), ("recommend", "Recommend", "checklist")):
                st.page_link(
                    f"pages/{page}.py",
                    label=what,
                    icon=f":material/{icon}:",
                    query_params=address.carried(run=run.id),
                )


def _buttons(store: RunStore, run: Run, status: RunStatus) -> None:
    if run.pause_requested:
        asked = st.button("Resume", key="resume", icon=":material/play_arrow:", type="primary")
    else:
        asked = st.button("Pause", key="pause", icon=":material/pause:", disabled=status.state is RunState.QUEUED)
    if asked and attempt(lambda: guard.go_on(run) if run.pause_requested else guard.pause(store, run)):
        st.rerun()
    if run.pause_requested:
        asked = st.button("Step", key="step", icon=":material/skip_next:", disabled=run.step_requested)
        if asked and attempt(lambda: guard.step(run)):
            st.rerun()
    hint = "Stops at the next step and keeps what was computed; a stopped run can be resumed."
    ends = st.button("Stop", key="stop", icon=":material/stop:", disabled=run.stop_requested, help=hint)
    if ends and attempt(lambda: guard.stop(run)):
        st.rerun()


def _figures(run: Run, status: RunStatus) -> None:
    figures = []
    if status.started:
        spent = max(0.0, (status.finished or time.time()) - status.started)
        figures.append(("Time", words.duration(spent), "since its start"))
    if status.state is RunState.RUNNING and not status.paused:
        figures.append(("To go", words.duration(status.eta_s) if status.eta_s else "…", "an estimate"))
    if status.device:
        figures.append(("Device", status.device, "where it computes"))
    distil = load.events(run, "distil")
    if distil:
        figures.append(("Step", words.count(distil[-1]["step"]), f"of {words.count(distil[-1]['steps'])}"))
    valid = load.events(run, "valid")
    if valid:
        figures.append(("Recall@10", words.score(valid[-1]["recall@10"]), f"fresh student, step {valid[-1]['step']}"))
    if figures:
        show(stats(figures))


def _curves(run: Run, status: RunStatus) -> None:
    distil, valid = load.events(run, "distil"), load.events(run, "valid")
    trained = load.events(run, "expert")
    if distil or valid:
        steps = int(distil[-1]["steps"]) if distil else None
        _chart(charts.losses(distil, valid, steps, _marked(run, status)), f"losses-{run.id}")
    if trained:
        if distil:
            with st.expander("How the experts were trained", key=f"experts-{run.id}"):
                _chart(charts.experts(trained), f"experts-chart-{run.id}")
        else:
            _chart(charts.experts(trained), f"experts-chart-{run.id}")
    report = load.report(run)
    if report is not None and (drawn := scores.bars(report)) is not None:
        show(tag("h2", "The result"))
        show(tag("p", scores.sentence(report), class_="say"))
        show(drawn)


def _marked(run: Run, status: RunStatus) -> int | None:
    """The step that the address asks for; a run that waits or has ended offers its snapshots to choose from."""
    moments = moment.moments(run)
    if not moments:
        return None
    asked = address.asked("step")
    now = moment.RESULT if asked is None else moment.before(moments, asked)
    if pace(run, status) is None and len(moments) > 1:
        now = moment.scrub(moments, "Mark a moment")
        moment.figures(run, now)
    return None if now == moment.RESULT else int(now)


def _chart(chart: charts.Chart, key: str) -> None:
    st.plotly_chart(chart.figure, key=key, alt=chart.alt, config=_CHART)


def start(selection: Selection, spec: RunSpec) -> None:
    """Puts a run into the queue and shows it from here on."""

    def begin() -> None:
        run = guard.start(selection.store, [spec])[0]
        address.put(run=run.id, step=None, sequence=None, area=None, chosen=None)

    if attempt(begin):
        st.rerun()


def queue(selection: Selection) -> None:
    """The runs that are worked on and those that wait, in their order."""
    active = selection.active
    if len(active) < 2 and (not active or active[0][0] == selection.run):
        return
    show(tag("h2", "Queue"))
    for place, (run, status) in enumerate(active, start=1):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.text(f"{place}.  {label(run, status)}", width="content")
            if run != selection.run:
                st.page_link("pages/distil.py", label="Show", query_params={"run": run.id})


def idle(selection: Selection) -> None:
    """What stands in the place of a run while there is none."""
    note(
        "Nothing is running",
        "Choose a budget and press Distil. The run is a process of its own: it goes on when this page is closed.",
    )
