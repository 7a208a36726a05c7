"""The Start page's content: a run's snapshots as a picture that moves, its headline numbers, and the ways on."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from foster.runs import Run
from foster.ui import address, load, scores, words
from foster.ui.film import POSITIONS, SEQUENCES, WALL, Scene, film, pick_steps
from foster.ui.markup import show, tag
from foster.ui.rows import rows_of_result, rows_of_snapshot
from foster.ui.state import data_name


def opening(run: Run) -> None:
    report = load.report(run)
    _picture(run, report)
    if report is not None:
        st.space("small")
        _numbers(run, report)
    st.space("small")
    _lessons()
    st.space("small")
    _ways_on(run)


def _picture(run: Run, report: dict | None) -> None:
    items = load.table(run, "items")
    data = run.data() or {}
    scenes = _scenes(run)
    if items is None or not scenes:
        show(tag("p", "This run has no pictures yet; they appear while it distils.", class_="hint"))
        return
    wall = items.sort_values("popularity", ascending=False)["title"].iloc[: 3 * WALL : 3].tolist()
    log = f"{words.count(data.get('users', 0))} users, {words.count(data.get('interactions', 0))} events"
    if name := data_name(run.spec.data):
        log += f" ({name})"
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


LESSONS = (
    (
        "A tiny budget",
        {"lesson": "2", "dial": "1"},
        "One sequence of eight books instead of 400 readers.",
    ),
    ("No labels", {"lesson": "2", "broken": "labels"}, "The same books as plain lists, without what may come next."),
    ("Too much regulariser", {"lesson": "5", "dial": "10.0"}, "Pushed a hundred times harder than foster pushes."),
)


def _lessons() -> None:
    show(tag("h2", "See it break"))
    show(tag("p", "In a world of 24 books, computed while you look.", class_="say"))
    for column, (name, query, text) in zip(st.columns(3, gap="large"), LESSONS, strict=True):
        with column:
            st.page_link(
                "pages/learn.py",
                label=f"**{name}**",
                icon=":material/school:",
                query_params={**address.carried(), **query},
            )
            show(tag("p", text, class_="hint"))


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
