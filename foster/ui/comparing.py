"""The Compare page's content: runs → letters → standings, reasons, budget curve, settings that differ, cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import streamlit as st

from foster.errors import UserError
from foster.runs import Run, RunState, RunStatus
from foster.ui import address, contest, costs, lineup, load, reasons, words
from foster.ui.lineup import LETTERS, Entrant, Group, Metric, Part
from foster.ui.markup import Markup, plain, show, tag
from foster.ui.state import Selection, label
from foster.ui.states import note


class View(StrEnum):
    RUNS = "runs"
    GRID = "grid"


UNASKED, LOOKED_AT = 2, 20  # runs that stand beside the first when the address names none
VIEWS = {View.RUNS: "Runs side by side", View.GRID: "Budget × γ"}
_CHART = {"displayModeBar": False}  # it would lie over the legend on a phone
SCALES = {contest.Scale.SHARE: "Share of full data", contest.Scale.SCORE: "Score"}
BUDGETS = {contest.Budget.SEQUENCES: "By sequences", contest.Budget.BYTES: "By stored bytes"}


def view() -> View:
    return address.segments(
        "compare", "Compare", list(View), View.RUNS, format_func=VIEWS.__getitem__, label_visibility="collapsed"
    )


def comparison(selection: Selection, run: Run) -> None:
    entrants, left_out = _entrants(selection, run, _chosen(selection, run))
    for text in left_out:
        show(tag("p", text, class_="hint", role="status"))
    if not entrants:
        note("Nothing to compare yet", "A run takes part as soon as it has finished and has its report.")
        return
    show(_legend(entrants))
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        metric = address.segments(
            "metric", "Metric", list(Metric), Metric.RECALL, format_func=lineup.METRIC_NAMES.__getitem__
        )
        part = address.segments(
            "split",
            "Measured on",
            list(Part),
            lineup.shared_part(entrants),
            format_func=lineup.PART_NAMES.__getitem__,
        )
        scale = address.segments(
            "scale", "Shown as", list(contest.Scale), contest.Scale.SHARE, format_func=SCALES.__getitem__
        )
    _protocol(part)
    untested = [each for each in entrants if not each.rows(Part.TEST)]
    if address.asked("split") is None and 0 < len(untested) < len(entrants):
        names = " and ".join(each.letter for each in untested)
        have = "has" if len(untested) == 1 else "have"
        show(tag("p", f"{names} {have} no test results, so all are shown on validation items.", class_="hint"))
    found = lineup.groups(entrants)
    if len(found) > 1:
        names = "; ".join(f"{_letters(group)} on {group.data}" for group in found)
        note(
            "These runs are on different data",
            f"{names}. Scores of different data say nothing about each other, so each has its own picture below.",
        )
    for group in found:
        _group(selection, group, metric, part, scale, several=len(found) > 1)


def _chosen(selection: Selection, run: Run) -> list[str]:
    """The runs beside `run`, as the address asks, else the newest finished ones on the same data."""
    finished = [
        (each, status) for each, status in selection.runs if each.id != run.id and status.state is RunState.DONE
    ]
    names = {each.id: label(each, status) for each, status in finished}
    # A lesson is held against the demo, and stands beside nothing else unasked.
    others = [each for each, _ in finished if not each.is_lesson]
    if run.is_lesson and selection.demo is not None:
        others = [selection.demo]
    default = _on_the_same_data(run, others[:LOOKED_AT])
    return address.several(
        "beside",
        "Compare it with",
        list(names),
        default,
        format_func=lambda run_id: names.get(run_id, run_id),
        max_selections=len(LETTERS) - 1,
        placeholder="Other finished runs" if names else "No other run has finished yet",
    )


def _on_the_same_data(run: Run, others: Sequence[Run]) -> list[str]:
    """The newest few."""
    found: list[str] = []
    for other in others:
        try:
            pair = [entrant_of(each, "") for each in (run, other)] if other.spec.data == run.spec.data else []
        except UserError:  # a damaged report: nobody is compared with it unasked
            continue
        if len(lineup.groups(filter(None, pair))) == 1 and all(pair):
            found.append(other.id)
        if len(found) == UNASKED:
            break
    return found


def _entrants(selection: Selection, run: Run, others: Sequence[str]) -> tuple[list[Entrant], list[str]]:
    """The runs that have a report, with their letters; and what is said of those that have none."""
    known: dict[str, tuple[Run, RunStatus]] = {each.id: (each, status) for each, status in selection.runs}
    found: list[Entrant] = []
    left_out = []
    for run_id in dict.fromkeys([run.id, *others]):
        if run_id not in known:
            left_out.append(f"{plain(run_id, 60)!r} is not in this store and is left out.")
            continue
        each, status = known[run_id]
        name = label(each, status)
        try:
            entrant = entrant_of(each, name)
        except UserError as error:
            left_out.append(f"{name} is left out: {error}.")
            continue
        if entrant is None:
            left_out.append(f"{name} has no report yet and is left out.")
        elif len(found) == len(LETTERS):
            left_out.append(f"{name} is left out: {len(LETTERS)} runs can be told apart at once.")
        else:
            found.append(replace(entrant, letter=LETTERS[len(found)]))
    return found, left_out


def entrant_of(run: Run, name: str) -> Entrant | None:
    """A run as it enters a comparison, still without its letter; None without a report."""
    report = load.report(run)
    if report is None:
        return None
    trained = {event.get("expert") for event in load.events(run, "expert")}
    return Entrant("", run.id, name, run.spec, report, own_expert=0 < len(trained) == (report.get("experts") or 1))


def _letters(group: Group) -> str:
    return ", ".join(each.letter for each in group.entrants)


def _legend(entrants: Sequence[Entrant]) -> Markup:
    rows = [tag("li", tag("b", each.letter), tag("bdi", plain(each.name, 120))) for each in entrants]
    return tag("ul", *rows, class_="letters", aria_label="The compared runs and their letters")


def _protocol(part: Part) -> None:
    said = {
        Part.VALID: "Validation items: each user's second last. Choices between settings are made on these.",
        Part.TEST: "Test items: each user's last, for the number at the end. Choosing by them would flatter it.",
    }[part]
    st.caption(
        f"{said} Every row ranks the whole catalogue. Points are means and bars one standard deviation over students "
        "with different seeds (n); each set was distilled once, and the full-data model is a single one."
    )


def _group(
    selection: Selection, group: Group, metric: Metric, part: Part, scale: contest.Scale, *, several: bool
) -> None:
    present = [each for each in group.entrants if each.rows(part)]
    missing = [each.letter for each in group.entrants if not each.rows(part)]
    if several:
        show(tag("h2", f"{_letters(group)} on {group.data}", class_="group-head"))
    if missing:
        why = (
            "A run reports test items only when it is asked to."
            if part is Part.TEST
            else "Their reports are cut short."
        )
        note("Not measured on these items", f"{', '.join(missing)}: no {part.value} scores. {why}")
    if not present:
        return
    key = present[0].letter
    show(tag("h2", "What they are worth"))
    said, drawn = st.columns([4, 7], gap="large")
    with said:
        for text in _sentences(present, metric, part):
            show(tag("p", text, class_="say"))
        for text in reasons.cautions(present, metric, part):
            show(tag("p", text, class_="hint"))
    with drawn:
        _chart(contest.standings(present, metric, part, scale), f"standings-{key}")
    with st.expander("The same as a table", key=f"rows-{key}"):
        _table(present, metric, part)
    st.space("small")
    left, right = st.columns([6, 5], gap="large")
    with left:
        _budget(selection, present, metric, part, key)
    with right:
        _settings(present)
    st.space("small")
    _cost(present, part, key)


def _sentences(entrants: Sequence[Entrant], metric: Metric, part: Part) -> list[str]:
    first, *others = entrants
    return [reasons.worth(first, metric, part), *(reasons.duel(first, other, metric, part) for other in others)]


def _chart(chart: contest.Chart, key: str) -> None:
    st.plotly_chart(chart.figure, key=key, alt=chart.alt, config=_CHART)


def _table(entrants: Sequence[Entrant], metric: Metric, part: Part) -> None:
    rows = []
    for row in lineup.row_order(entrants, metric, part):
        for each in entrants:
            if score := each.score(row, metric, part):
                rows.append(
                    {
                        "Trained on": lineup.row_name(row),
                        "Run": each.letter,
                        f"{lineup.METRIC_NAMES[metric]}, {part.value}": score.mean,
                        "±": score.std if score.n > 1 else None,
                        "n": score.n,
                        "Share of full data": score.share,
                    }
                )
    numbers = st.column_config.NumberColumn
    st.dataframe(
        rows,
        hide_index=True,
        alt="Every row of every compared run with its score, spread and share of full data",
        column_config={
            f"{lineup.METRIC_NAMES[metric]}, {part.value}": numbers(format="%.4f"),
            "±": numbers(format="%.4f", help="Standard deviation over students"),
            "Share of full data": numbers(format="percent"),
        },
    )


def _budget(selection: Selection, entrants: Sequence[Entrant], metric: Metric, part: Part, key: str) -> None:
    show(tag("h2", "What a larger budget buys"))
    points = [*entrants, *_siblings(selection, entrants)]
    axis = address.segments(
        f"budget-{key}".lower(),
        "Budget",
        list(contest.Budget),
        contest.Budget.SEQUENCES,
        format_func=BUDGETS.__getitem__,
        label_visibility="collapsed",
    )
    _chart(contest.budget_curve(points, metric, part, axis), f"budget-chart-{key}")
    budgets = {(each.spec.sequences, each.spec.length) for each in points}
    if len(budgets) == 1:
        st.caption("One budget is a point, not a curve: start runs with other numbers of sequences under Budget × γ.")
    else:
        st.caption("A line joins runs that differ in the number of sequences alone, others of this store included.")


def _siblings(selection: Selection, entrants: Sequence[Entrant]) -> list[Entrant]:
    """Finished runs of the store that differ from the first entrant in the number of sequences alone."""
    base = entrants[0].spec
    shown = {each.run_id for each in entrants}
    found = []
    for run, status in selection.runs:
        alike = replace(run.spec, sequences=base.sequences, report_test=base.report_test) == base
        if run.id not in shown and alike and status.state is RunState.DONE:
            try:
                entrant = entrant_of(run, label(run, status))
            except UserError:  # a damaged report is no point of the curve; the run's own page says so
                continue
            if entrant is not None and entrant.rows(Part.VALID):
                found.append(replace(entrant, letter=words.moment(status.created)))
    return found[:40]


def _settings(entrants: Sequence[Entrant]) -> None:
    show(tag("h2", "What differs in their settings"))
    found = lineup.differences(entrants)
    if len(entrants) == 1:
        show(tag("p", "Choose a second run above to see what differs.", class_="hint"))
    elif not found:
        show(tag("p", "Nothing: the runs were asked for exactly the same.", class_="say"))
    else:
        head = tag("tr", tag("th", "Setting", scope="col"), *(tag("th", each.letter, scope="col") for each in entrants))
        body = [
            tag("tr", tag("th", each.name, scope="row"), *(tag("td", value) for value in each.values)) for each in found
        ]
        frame = tag("table", tag("thead", head), tag("tbody", *body), class_="settings")
        show(tag("div", frame, class_="scroll", tabindex=0, role="group", aria_label="Settings that differ"))
        show(tag("p", "Every setting that is not listed is the same in all of them.", class_="hint"))


def _cost(entrants: Sequence[Entrant], part: Part, key: str) -> None:
    show(tag("h2", "What they cost"))
    told, drawn = st.columns([4, 7], gap="large")
    with told:
        for each in entrants:
            show(tag("p", costs.told(each, entrants, part), class_="say"))
    with drawn:
        _chart(contest.seconds(entrants), f"seconds-{key}")
    st.caption(
        "A student's time is the students' stage divided by all students it trained, measuring included, so it is "
        "rather too long. The runs it took to choose the settings are in none of these numbers. Peak memory is that "
        "of the whole process, libraries included."
    )
    with st.expander("Seconds, memory and bytes as a table", key=f"cost-{key}"):
        numbers = st.column_config.NumberColumn
        rows = costs.table(entrants)
        formats = {name: numbers(format="%.1f") for name in rows[0] if name.endswith((", s", ", kB"))}
        st.dataframe(
            rows,
            hide_index=True,
            alt="Seconds of each stage, peak memory and stored bytes of the compared runs",
            column_config={**formats, "Peak memory, MB": numbers(format="%.0f")},
        )
