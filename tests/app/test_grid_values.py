"""The grid of budget × γ: which runs are its cells, what a sweep would start, and colours that can be read."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from foster.runs import Run, RunState, RunStatus
from foster.spec import RunSpec
from foster.ui import grid as grids
from foster.ui import heat
from foster.ui.forecast import Earlier
from foster.ui.grid import Grid
from foster.ui.lineup import Entrant

BASE = RunSpec(sequences=10, length=8, regularisation=0.1)


@dataclass(frozen=True)
class Planted(Run):
    """A run with a specification in memory."""

    planted: RunSpec = BASE

    @property
    def spec(self) -> RunSpec:  # type: ignore[override]
        return self.planted


def member(name: str, state: RunState = RunState.DONE, read_only: bool = False, **spec: Any) -> tuple[Run, RunStatus]:
    run = Planted(name, Path(name), read_only, False, replace(BASE, **spec))
    return run, RunStatus(state, created=0.0, fraction=0.4 if state is RunState.RUNNING else 0.0)


def entrant(name: str, share: float, std: float = 0.01, n: int = 3) -> Entrant:
    rows = {"full": (0.2, 0.0, 1), "soft": (0.2 * share, 0.2 * std, n)}
    valid = {row: {"recall@10": {"mean": mean, "std": s, "n": k}} for row, (mean, s, k) in rows.items()}
    return Entrant("", name, "", BASE, {"valid": valid})


def shown(*runs: tuple[Run, RunStatus], scores: dict[str, float] | None = None, **axes: Any) -> Grid:
    reports = {name: entrant(name, share) for name, share in (scores or {}).items()}
    return grids.grid(grids.members(BASE, runs), reports, **axes)


def test_cells_share_everything_but_budget_and_weight() -> None:
    found = grids.members(
        BASE,
        [
            member("same"),
            member("more", sequences=20),
            member("tested", regularisation=0.3, report_test=True),
            member("longer", length=9),
            member("seed", seed=1),
            member("students", students=5),
            member("steps", steps=7),
            member("films", data="/films"),
        ],
    )
    assert {place: mine[0][0].id for place, mine in found.items()} == {
        (10, 0.1): "same",
        (20, 0.1): "more",
        (10, 0.3): "tested",
    }


def test_of_several_runs_of_a_cell_the_finished_one_stands_for_it() -> None:
    runs = [member("newest", RunState.FAILED), member("working", RunState.RUNNING), member("old"), member("older")]
    cell = shown(*runs).cells[10, 0.1]
    assert (cell.run_id, cell.runs) == ("old", 4)


def test_axes_are_the_chosen_numbers_and_those_that_are_there() -> None:
    found = shown(member("a", sequences=40), sequences=[10, 5], weights=[0.3, 0.0])
    assert (found.sequences, found.weights) == ((5, 10, 40), (0.0, 0.1, 0.3))
    assert not found.active
    assert shown(member("a", RunState.QUEUED)).active


def test_a_plan_starts_what_is_missing_and_resumes_what_ended_early() -> None:
    found = shown(
        member("done"),
        member("queued", RunState.QUEUED, sequences=20),
        member("stopped", RunState.STOPPED, regularisation=0.3),
        member("shipped", RunState.FAILED, read_only=True, sequences=20, regularisation=0.3),
    )
    base = replace(BASE, report_test=True)
    plan = grids.plan(base, found, [20, 10, 5], [0.3, 0.1])
    assert [(spec.sequences, spec.regularisation) for spec in plan.new] == [(5, 0.1), (5, 0.3), (20, 0.3)]
    assert plan.again == ("stopped",)
    assert (plan.there, plan.count) == (2, 4)
    assert not any(spec.report_test for spec in plan.new), "choices are made on validation items"
    assert {replace(spec, sequences=10, regularisation=0.1) for spec in plan.new} == {BASE}
    assert grids.plan(base, found, [], [0.1]).count == 0


@dataclass(frozen=True)
class Log:
    events: int = 1000
    items: int = 100


def test_the_full_data_model_is_paid_for_once() -> None:
    seconds = {"experts": 100.0, "distil": 10.0, "students": 10.0}
    earlier = [Earlier(BASE, 1000, 100, seconds, "cpu", None)]
    plan = grids.Plan((BASE, replace(BASE, regularisation=0.3)), (), 0)
    first = grids.time_needed(plan, [], Log(), earlier, expert_there=False)
    again = grids.time_needed(plan, [BASE], Log(), earlier, expert_there=True)
    assert first is not None
    assert again is not None
    assert first[0] < 140 < first[1], "100 s once, and two runs of 20 s"
    assert again[0] < 60 < again[1], "three runs of 20 s"
    assert grids.time_needed(plan, [], Log(), [], expert_there=True) is None


def test_the_grid_says_which_is_best_and_whether_clearly() -> None:
    runs = [member("a"), member("b", sequences=20), member("c", sequences=40, regularisation=0.0)]
    clear = grids.say(shown(*runs, scores={"a": 0.5, "b": 0.7, "c": 0.6})).replace("\u00a0", " ")
    assert clear.startswith("Best so far: 20 sequences at γ 0.1 with 70 % of full data.")
    assert "40 sequences at γ 0 comes next with 60 %, by more than the students' spread." in clear
    assert "no clear winner" in grids.say(shown(*runs, scores={"a": 0.5, "b": 0.7, "c": 0.695}))
    assert grids.say(shown(*runs, scores={"a": 0.5})) == ""


def cells(markup: str) -> list[str]:
    return [
        html.unescape(re.sub("<[^>]+>", " ", cell)).strip()
        for cell in re.findall(r"<td(?! class=.corner).*?</td>", markup)
    ]


def test_a_cell_says_its_number_or_its_state_and_leads_to_its_run() -> None:
    found = shown(
        member("good"),
        member("busy", RunState.RUNNING, regularisation=0.3),
        member("wait", RunState.QUEUED, sequences=20),
        member("bad", RunState.FAILED, sequences=20, regularisation=0.3),
        scores={"good": 0.5},
        sequences=[5],
    )
    markup = str(heat.heat_map(found, "good", lambda run_id: {"run": run_id, "compare": "grid"}))
    said = [re.sub(r"\s+", " ", cell) for cell in cells(markup)]
    assert said == ["no run", "no run", "50 % ± 1.0, n = 3", "running 40 % done", "queued", "failed"]
    assert 'href="?run=busy&amp;compare=grid"' in markup
    assert 'aria-label="10 sequences, γ 0.1: 50\u00a0%, ±\u00a01.0, n\u00a0=\u00a03; open this run"' in markup
    assert markup.count('aria-current="true"') == 1
    assert re.search(r'<td class="done chosen"><a [^>]*run=good', markup)
    rows = heat.as_table(found)
    assert [row["State"] for row in rows] == ["no run", "no run", "done", "running", "queued", "failed"]
    assert rows[2]["Share of full data"] == pytest.approx(0.5)


def test_near_shares_do_not_span_all_colours() -> None:
    runs = [member("a"), member("b", sequences=20)]
    low, high = heat.scale(shown(*runs, scores={"a": 0.50, "b": 0.51}))
    assert (low, high) == (pytest.approx(0.455), pytest.approx(0.555))
    assert heat.scale(shown(*runs, scores={"a": 0.2, "b": 0.9})) == (pytest.approx(0.2), pytest.approx(0.9))


@pytest.mark.parametrize("ends", [heat.LIGHT, heat.DARK])
def test_text_stands_out_on_every_shade(ends: tuple[heat.RGB, heat.RGB]) -> None:
    for step in range(101):
        shine = heat.luminance(heat.mixed(ends, step / 100))
        text = 0.0 if heat.ink(heat.mixed(ends, step / 100)) == "#000000" else 1.0
        lighter, darker = max(shine, text), min(shine, text)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, step
