"""Runs shipped beside the demo to show what a setting is worth: what Start says of them, where else they stand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kept_students import lay_students
from run_folders import lay_run
from streamlit.testing.v1 import AppTest
from visits import untagged, visit

from foster.runs import RunStore
from foster.ui.lesson_runs import LESSONS
from foster.ui.syllabus import LESSONS as TOYS

DEMO, TINY, FREE, LONG = "demo-sample-20x20", "lesson-tiny-budget", "lesson-no-regulariser", "lesson-too-many-steps"
OWN = "20260921-1000-foster-sample-0001"


@pytest.fixture
def shipped(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is shipped: the demo run alone, older than any other."""
    folder = runs_folder.parent / "shipped"
    monkeypatch.setattr("foster.runs.RunStore.__init__.__defaults__", (folder,))
    lay_run(folder, DEMO, age=600.0)
    return folder


def copied(shipped: Path, run_id: str, soft: float, n: int = 3, test: bool = False, **spec: object) -> Path:
    """A copy of the demo run with other settings, fewer snapshots and another score."""
    folder = shipped / run_id
    shutil.copytree(shipped / DEMO, folder, ignore=shutil.ignore_patterns("models"))
    for shot in sorted((folder / "snapshots").iterdir())[1:-1:2]:
        shot.unlink()
    status, asked, report = (json.loads((folder / f"{name}.json").read_text()) for name in ("status", "spec", "report"))
    report["valid"]["soft"]["recall@10"] = {"mean": soft, "std": 0.004, "n": n}
    if test:
        report["test"] = report["valid"]
    for name, value in (
        ("status", status | {"created": status["created"] + 300}),
        ("spec", asked | spec),
        ("report", report | {"run_id": run_id}),
    ):
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def links(app: AppTest) -> dict[str, tuple[str, str]]:
    """With the page: a lesson leads to Compare, or to Learn where its run is missing."""
    return {each.proto.label: (each.proto.page, each.proto.query_string) for each in app.get("page_link")}


def test_a_lesson_run_is_opened_beside_the_demo_and_told_from_the_reports(shipped: Path) -> None:
    copied(shipped, TINY, 0.1027, sequences=3, length=4)
    copied(shipped, FREE, 0.1329, regularisation=0.0)
    copied(shipped, LONG, 0.1329, steps=3000)
    app = visit("app.py")
    said, found = untagged(app), links(app)
    assert (
        "It used a quarter of the sequences (3 instead of 12) and sequences of 4 positions instead of 8. Its soft set "
        "reaches 68 % of full data, 19 points less than the demo's 87 %: more than the spread of 3 students each"
    ) in said
    assert (
        "It used γ 0 instead of 0.1. Its soft set reaches 88 % of full data, 1 point more than the demo's 87 %" in said
    )
    assert "It used distillation steps 3,000 instead of 300." in said
    assert "within the spread of 3 students each" in said, "a gap that may be chance is called so"
    for lesson in LESSONS:
        page, query = found[f"**{lesson.name}**"]
        assert (page, query) == ("compare", f"run={DEMO}&beside={lesson.run_id}")
        page, query = found[f"Toy lesson: {lesson.name.lower()}"]
        assert page == "learn"
        assert all(f"{name}={value}" in query for name, value in lesson.toy.items())
    compared = visit("pages/compare.py", run=DEMO, beside=TINY)
    assert "A's soft set reaches 87 % of full data, 19 points more than B's 68 %" in untagged(compared)


def test_what_is_told_follows_the_reports(shipped: Path) -> None:
    copied(shipped, TINY, 0.143, n=1)
    (shipped / FREE).mkdir()
    folder = copied(shipped, LONG, 0.1)
    (folder / "report.json").write_text("{half a rep")
    app = visit("app.py")
    said = untagged(app)
    assert "It was asked for the same as the demo run. Its soft set reaches 95 % of full data, 8 points more" in said
    assert "how far students scatter is unknown" in said
    assert links(app)["**Too many steps**"][0] == "learn", "a damaged run is no lesson"


@pytest.mark.parametrize("demo", [True, False])
def test_a_lesson_run_that_is_missing_leaves_the_toy_lesson(shipped: Path, demo: bool) -> None:
    if not demo:
        copied(shipped, TINY, 0.1)
        shutil.rmtree(shipped / DEMO)
    app = visit("app.py")
    found = links(app)
    for lesson in LESSONS:
        assert found[f"**{lesson.name}**"][0] == "learn"
        assert lesson.toy_text in untagged(app)
        toy = TOYS[int(lesson.toy["lesson"]) - 1]
        assert lesson.toy.get("broken", "nothing") in dict(toy.switches)
        assert lesson.toy.get("dial") in {None, *map(str, toy.dial[1])}
    assert not any(label.startswith("Toy lesson") for label in found)
    assert "computed while you look" in untagged(app)


def test_the_demo_stays_the_run_that_opens_and_lessons_stand_after_it(shipped: Path) -> None:
    for run_id in (LONG, TINY, FREE):
        copied(shipped, run_id, 0.1)
    lay_run(RunStore(shipped.parent / "runs").root, OWN)
    app = visit("pages/sequences.py")
    picker = app.selectbox(key="url-run")
    assert picker.value == DEMO
    assert [option.partition(" ·")[0].partition(",")[0] for option in picker.options] == [
        "sample books",
        "Demo: sample books",
        "Lesson: no regulariser",
        "Lesson: tiny budget",
        "Lesson: too many steps",
    ]
    beside = visit("pages/compare.py", run=DEMO).multiselect(key="url-beside")
    assert beside.value == [OWN], "lessons stand beside the demo only when they are asked to"
    assert visit("pages/compare.py", run=TINY).multiselect(key="url-beside").value == [DEMO]


def test_a_lesson_tells_nothing_about_how_long_a_run_takes(shipped: Path) -> None:
    copied(shipped, TINY, 0.1, sequences=3, length=4)
    said = untagged(visit("pages/distil.py", run=TINY))
    assert "12 positions, stored" in said, "the form is filled with it"
    assert "a guess by size, from a run of 12 × 8" in said, "and the time is told by the demo"


def test_recommend_says_what_is_missing_and_offers_the_demo(shipped: Path) -> None:
    copied(shipped, TINY, 0.1)
    app = visit("pages/recommend.py", run=TINY)
    assert "shipped without the models of its students" in untagged(app)
    assert links(app)["Ask the students of the demo"] == ("recommend", f"run={DEMO}")
    own = lay_students(shipped.parent / "runs", names=())
    assert "It was made before foster kept them" in untagged(visit("pages/recommend.py", run=own))
