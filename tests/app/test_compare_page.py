"""The Compare page: several runs and their controls, data that do not belong together, and the grid of runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from compared_runs import lay_changed
from run_folders import HOSTILE, held, lay_run
from streamlit.testing.v1 import AppTest
from visits import check, check_escaped, shown, visit

from foster.runs import RunStore
from foster.spec import RunSpec

PAGE = "pages/compare.py"


def text(app: AppTest) -> str:
    """With plain spaces: those before a unit do not break."""
    return shown(app).replace("\u00a0", " ")


def charts(app: AppTest) -> list[dict]:
    return [json.loads(each.proto.spec) for each in app.get("plotly_chart")]


def test_one_run_is_compared_with_its_controls(store: Path) -> None:
    run = lay_changed(store, 1, rows={"k_centre": 0.12})
    app = visit(PAGE, run=run)
    said = text(app)
    assert "A's soft set reaches 87 % of full data (0.131 ± 0.004, n = 3; full data 0.151 ± 0.004, n = 3)" in said
    assert (
        "The best control, “Uniform items, a teacher's labels”, reaches 82 %: below the soft set, more than the spread"
        in said
    )
    assert "Validation items: each user's second last" in said
    labels = charts(app)[0]["layout"]["yaxis"]["ticktext"]
    assert "k_centre" in labels
    assert labels[0] == "Everything"
    assert len(labels) == 13


def test_chosen_runs_stand_beside_it_and_in_the_address(store: Path) -> None:
    a, b = lay_changed(store, 1), lay_changed(store, 2, soft=0.11, sequences=6)
    films = lay_changed(store, 3, data="/films")
    lay_changed(store, 4, report={"data": {"users": 2999}})  # the same folder, but it has changed since
    app = visit(PAGE, run=a)
    assert app.multiselect(key="url-beside").value == [b], "runs on the same data stand beside it unasked"
    said = text(app)
    assert "A's soft set reaches 87 % of full data, 14 points more than B's 73 %" in said
    assert "used twice the sequences (12 instead of 6)" in said
    check(app.multiselect(key="url-beside").set_value([films]).run())
    assert app.query_params["beside"] == films
    assert "These runs are on different data" in text(app)
    assert "points more than B's" not in text(app), "different data are never held against each other"
    check(app.multiselect(key="url-beside").set_value([]).run())
    assert app.query_params["beside"] == "-"
    assert "B's" not in text(app)


def test_the_settings_that_differ_are_listed_and_no_others(store: Path) -> None:
    a, b = lay_changed(store, 1), lay_changed(store, 2, sequences=6, regularisation=0.3)
    said = text(visit(PAGE, run=a, beside=b))
    assert '<th scope="row">Sequences</th><td>12</td><td>6</td>' in said
    assert '<th scope="row">Regularisation weight γ</th><td>0.1</td><td>0.3</td>' in said
    assert "Seed</th>" not in said
    said = text(visit(PAGE, run=a, beside=lay_changed(store, 3)))
    assert "Nothing: the runs were asked for exactly the same." in said


def test_test_items_are_shown_only_where_they_were_reported(store: Path) -> None:
    a, b = lay_changed(store, 1, test=True, report_test=True), lay_changed(store, 2)
    app = visit(PAGE, run=a, beside=b, split="test")
    said = text(app)
    assert "Test items: each user's last" in said
    assert "B: no test scores. A run reports test items only when it is asked to." in said
    assert charts(app)[0]["layout"]["xaxis"]["title"]["text"].startswith("Recall@10, test")


def test_test_items_are_shown_unasked_where_every_run_reports_them(store: Path) -> None:
    a = lay_changed(store, 1, test=True, report_test=True)
    b, c = lay_changed(store, 2, test=True, report_test=True), lay_changed(store, 3)

    def measured(app: AppTest) -> str:
        return str(charts(app)[0]["layout"]["xaxis"]["title"]["text"]).replace("<br>", " ").split(", ")[1]

    app = visit(PAGE, run=a, beside=b)
    assert measured(app) == "test"
    assert "split" not in app.query_params
    check(app.button_group(key="url-split").set_value("valid").run())
    assert app.query_params["split"] == "valid"
    assert measured(app) == "validation"
    assert measured(visit(PAGE, run=a, beside=b, split="valid")) == "validation"
    app = visit(PAGE, run=a, beside=f"{b},{c}")
    assert measured(app) == "validation", "one of them has no test items"
    said = "C has no test results, so all are shown on validation items."
    assert said in text(app)
    assert said not in text(visit(PAGE, run=a, beside=b))
    check(app.button_group(key="url-split").set_value("test").run())
    assert app.query_params["split"] == "test"


def test_metric_and_scale_change_the_picture(store: Path) -> None:
    run = lay_changed(store, 1)
    app = visit(PAGE, run=run, metric="ndcg@10", scale="score")
    assert charts(app)[0]["layout"]["xaxis"]["title"]["text"] == "NDCG@10, validation"
    assert charts(app)[0]["data"][0]["customdata"][0][1].startswith("0.083")


def test_what_cannot_take_part_is_named(store: Path) -> None:
    a, damaged = lay_changed(store, 1), lay_changed(store, 2)
    (store / damaged / "report.json").write_text("{half a rep")
    waiting = lay_changed(store, 3, state="queued")
    app = visit(PAGE, run=a, beside=f"{damaged},{waiting},no-such-run-<b>")
    said = text(app)
    assert "is not JSON" in said
    assert "has no report yet and is left out" in said
    assert "'no-such-run-<b>' is not in this store" in said
    assert "A's soft set" in said


@pytest.mark.parametrize("state", ["queued", "failed", "running"])
def test_an_unfinished_run_gives_way_to_the_finished(store: Path, state: str) -> None:
    run = lay_run(store, state=state, ready="nothing").name
    assert "Nothing to compare yet" in text(visit(PAGE, run=run))
    other = lay_changed(store, 2)
    said = text(visit(PAGE, run=run, beside=other))
    assert "has no report yet and is left out" in said
    assert "A's soft set" in said


def test_an_empty_store_and_an_unknown_run_offer_the_way_on(store: Path) -> None:
    assert "No run yet" in text(visit(PAGE))
    assert "There is no such run" in text(visit(PAGE, run="no-such-run"))


def test_hostile_rows_are_text(store: Path) -> None:
    run = lay_changed(store, 1, rows=dict.fromkeys(HOSTILE, 0.1))
    app = visit(PAGE, run=run)
    check_escaped(app)
    for each in app.get("plotly_chart"):
        spec = each.proto.spec.replace("\\u003c", "<").replace("<br>", "").replace("<extra></extra>", "")
        assert "<script" not in spec
        assert "<a href" not in spec


@pytest.mark.parametrize("query", [{"metric": "x"}, {"split": "?"}, {"beside": ",,"}, {"m": "a,b"}, {"students": "-1"}])
def test_nonsense_in_the_address_is_ignored(store: Path, query: dict[str, str]) -> None:
    run = lay_changed(store, 1)
    # links carry the address on; words are what is seen
    asked, plain = (re.sub("<[^>]*>", " ", text(app)) for app in (visit(PAGE, run=run, **query), visit(PAGE, run=run)))
    assert asked == plain
    assert "1 square done." in text(grid(run, **query))


def grid(run: str, **query: str) -> AppTest:
    return visit(PAGE, run=run, compare="grid", **query)


def test_the_grid_shows_what_the_store_has(store: Path) -> None:
    run = lay_changed(store, 1, soft=0.1208, sequences=10, regularisation=0.0)
    lay_changed(store, 2, soft=0.0906, sequences=10, regularisation=0.3)
    lay_changed(store, 3, state="queued", sequences=20, regularisation=0.3)
    lay_changed(store, 4, soft=0.15, sequences=40, length=9)
    app = grid(run)
    said = text(app)
    assert '<span class="value">80 %</span>' in said
    assert '<span class="value">60 %</span>' in said
    assert '<span class="state">queued</span>' in said
    assert "Best so far: 10 sequences at γ 0 with 80 % of full data." in said
    assert "99 %" not in said, "a run of another length is of another grid"
    assert "2 squares done, 1 on the way." in said
    assert "13 new runs. 3 of the grid are there or on the way." in said


def test_a_square_is_opened_by_keyboard(store: Path) -> None:
    run = lay_changed(store, 1, soft=0.12, sequences=10)
    other = lay_changed(store, 2, soft=0.09, sequences=20)
    app = grid(run)
    assert app.selectbox(key="grid-cell").value == run
    check(app.selectbox(key="grid-cell").set_value(other).run())
    assert app.query_params["run"] == other
    assert "This run's soft set reaches 60 % of full data" in text(app)
    assert any(other in link.proto.query_string for link in app.get("page_link") if link.proto.label == "See its map")


def test_a_sweep_starts_what_it_says(store: Path, launched: list[RunSpec]) -> None:
    run = lay_changed(store, 1, sequences=10, regularisation=0.1, report_test=True)
    app = grid(run, m="5,10", g="0.0,0.1")
    assert "3 new runs. 1 of the grid is there or on the way." in text(app)
    assert "in all, a guess from earlier runs" in text(app)
    start = app.button(key="start-grid")
    assert start.label == "Start 3 runs"
    check(start.click().run())
    base = RunStore(store, bundled=None).get(run).spec
    assert [(spec.sequences, spec.regularisation) for spec in launched] == [(5, 0.0), (5, 0.1), (10, 0.0)]
    assert {(spec.length, spec.steps, spec.report_test) for spec in launched} == {(base.length, base.steps, False)}
    assert "Every square is there or on its way." in text(app)
    assert app.button(key="start-grid").disabled
    assert text(app).count('<span class="state">queued</span>') == 3


def test_a_sweep_is_stopped_and_goes_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed: list[str] = []
    monkeypatch.setattr("foster.ui.guard.resume", lambda store, run_id: resumed.append(run_id))
    run = lay_changed(store, 1, sequences=10)
    waiting = lay_changed(store, 2, state="queued", sequences=5)
    working = lay_changed(store, 3, state="running", sequences=20)
    with held(store / working):
        app = grid(run, m="5,10,20", g="0.1")
        check(app.button(key="stop-grid").click().run())
        assert (store / working / "stop").exists()
        assert '<span class="state">stopped</span>' in text(app)
    app = grid(run, m="5,10,20", g="0.1")
    assert "2 runs that ended early go on." in text(app)
    check(app.button(key="start-grid").click().run())
    assert sorted(resumed) == [waiting, working]


def test_the_same_for_all_is_another_grid(store: Path) -> None:
    run = lay_changed(store, 1, sequences=10, students=3)
    app = grid(run, students="1", steps="50", m="10", g="0.1")
    assert "1 new run." in text(app)
    assert app.query_params["students"] == "1"


def test_nothing_starts_on_data_that_are_gone(store: Path) -> None:
    run = lay_changed(store, 1, data="/srv/secret/films")
    app = grid(run)
    assert "This server no longer lists the data of this run" in text(app)
    assert "secret" not in text(app)
    assert not [button for button in app.button if button.key == "start-grid"]


def test_a_failed_launch_says_why(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from foster.errors import UserError

    def full(store: RunStore, spec: RunSpec) -> object:
        raise UserError("only 3 MB are free")

    monkeypatch.setattr("foster.ui.guard.launch", full)
    app = grid(lay_changed(store, 1))
    check(app.button(key="start-grid").click().run())
    assert "only 3 MB are free" in text(app)
