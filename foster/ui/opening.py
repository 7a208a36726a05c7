"""The Start page's content: a picture that moves from a run's snapshots, its numbers, what they depend on, ways on."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from foster.errors import UserError
from foster.runs import Run, RunState, RunStatus
from foster.ui import address, load, scores, words
from foster.ui.film import POSITIONS, SEQUENCES, WALL, Scene, film, pick_steps
from foster.ui.lesson_runs import LESSONS, Lesson, beside_demo
from foster.ui.lineup import Entrant
from foster.ui.markup import show, tag
from foster.ui.rows import rows_of_result, rows_of_snapshot
from foster.ui.state import Selection, data_name, simulated


def opening(selection: Selection, run: Run) -> None:
    report = load.report(run)
    _picture(run, selection.status, report)
    if report is not None:
        st.space("small")
        _numbers(run, report)
    st.space("small")
    _lessons(selection)
    st.space("small")
    _ways_on(run)


def _picture(run: Run, status: RunStatus | None, report: dict | None) -> None:
    items = load.table(run, "items")
    data = run.data() or {}
    scenes = _scenes(run)
    if items is None or not scenes:
        ended = status is not None and status.is_terminal
        said = "This run ended before its first picture." if ended else "No pictures yet; they appear while it distils."
        show(tag("p", said, class_="hint"))
        return
    wall = items.sort_values("popularity", ascending=False)["title"].iloc[: 3 * WALL : 3].tolist()
    log = f"{words.count(data.get('users', 0))} users, {words.count(data.get('interactions', 0))} events"
    if name := data_name(run.spec.data):
        log += f" ({name}{', simulated readers' if simulated(run.spec.data) else ''})"
    budget = f"{words.plural(run.spec.sequences, 'sequence')} of {run.spec.length} positions"
    result = f"The result: {budget}"
    if report is not None and (kept := scores.of_full(scores.split_of(report)[1], "soft")) is not None:
        result += f", worth {words.share(kept)} of the whole log"
    show(film(scenes, wall, f"The log: {log}.", f"{result}.", "How titles condense during distillation"))


def _scenes(run: Run) -> list[Scene]:
    items, stored = load.table(run, "items"), load.table(run, "sequences")
    if items is None:
        return []
    title_of = dict(zip(items["item"].tolist(), items["title"].tolist(), strict=True))
    result = [] if stored is None else rows_of_result(_shown(stored), None)
    recalls = {event["step"]: event["recall@10"] for event in load.events(run, "valid")}
    scenes = []
    for step in pick_steps(run.snapshots()):
        shot = load.snapshot(run, step)
        if shot is not None:
            rows = rows_of_snapshot(_shown(shot), title_of, result)
            scenes.append(Scene(step, load.told(run, rows), recalls.get(step)))
    return scenes or ([Scene(run.spec.steps or 0, result)] if result else [])


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["sequence"] < SEQUENCES) & (table["position"] < POSITIONS)]


def _numbers(run: Run, report: dict) -> None:
    split, _ = scores.split_of(report)
    left, right = st.columns([5, 3], gap="large")
    with left:
        show(tag("h2", "What it is worth"))
        show(tag("p", scores.sentence(report), class_="say"))
        if (drawn := scores.bars(report)) is not None:
            show(drawn)
        st.caption(
            f"Recall@10 on {split} items: how often the next item is among the ten recommended, out of the whole "
            "catalogue. Mean ± standard deviation over n students trained from scratch on the stored result."
        )
    with right:
        show(tag("h2", "How small it is"))
        show(tag("p", scores.stored(report) or "The stored size is not known yet.", class_="say"))
        seconds = sum((report.get("seconds") or {}).values())
        if seconds:
            took = f"The whole run took {words.duration(seconds)} on {words.device(report.get('device'))}."
            show(tag("p", took, class_="hint"))
        with st.expander("Every comparison of this run"):
            st.dataframe(
                scores.table(report),
                hide_index=True,
                alt="All rows of the report",
                column_config={"Share of everything": st.column_config.NumberColumn(format="percent")},
            )


def _lessons(selection: Selection) -> None:
    show(tag("h2", "What matters, and how much"))
    demo = None if selection.demo is None else _entrant(selection.demo)
    runs = {run.id: run for run, status in selection.runs if run.is_lesson and status.state is RunState.DONE}
    told = {}
    for lesson in LESSONS:
        if demo is not None and lesson.run_id in runs and (entrant := _entrant(runs[lesson.run_id])) is not None:
            told[lesson.run_id] = beside_demo(entrant, demo)
    lead = "Finished runs with other settings, held against the demo run; below, toys to try what such a setting does."
    show(tag("p", lead if told else "In a world of 24 books, computed while you look.", class_="say"))
    for column, lesson in zip(st.columns(3, gap="large"), LESSONS, strict=True):
        with column:
            if demo is not None and lesson.run_id in told:
                st.page_link(
                    "pages/compare.py",
                    label=f"**{lesson.name}**",
                    icon=":material/compare_arrows:",
                    query_params={"run": demo.run_id, "beside": lesson.run_id},
                )
                show(tag("p", told[lesson.run_id], class_="hint"))
            _toy(lesson, small=lesson.run_id in told)
            if lesson.run_id not in told:
                show(tag("p", lesson.toy_text, class_="hint"))


def _toy(lesson: Lesson, small: bool) -> None:
    st.page_link(
        "pages/learn.py",
        label=f"Toy lesson: {lesson.name.lower()}" if small else f"**{lesson.name}**",
        icon=":material/school:",
        query_params={**address.carried(), **lesson.toy},
        help=lesson.toy_text if small else None,
    )


def _entrant(run: Run) -> Entrant | None:
    """Steps chosen by rule are told by the last snapshot. None without a report that can be read."""
    try:
        report = load.report(run)
    except UserError:
        return None
    steps = next(reversed(run.snapshots()), None) if run.spec.steps is None else run.spec.steps
    return None if report is None else Entrant("", run.id, "", replace(run.spec, steps=steps), report)


WAYS = (
    ("pages/sequences.py", "Sequences", "Read what was learned, title by title, and scrub through the distillation."),
    ("pages/map.py", "Map", "See which items stand together for readers, and which in the synthetic sequences."),
    ("pages/distil.py", "Distil", "Choose a budget, start your own run and watch it condense."),
)


def _ways_on(run: Run) -> None:
    show(tag("h2", "Go on"))
    for column, (page, name, text) in zip(st.columns(3, gap="large"), WAYS, strict=True):
        with column:
            st.page_link(
                page,
                label=f"**{name}**",
                icon=":material/arrow_forward:",
                icon_position="right",
                query_params=address.carried(run=run.id),
            )
            show(tag("p", text, class_="hint"))
