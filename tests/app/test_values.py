"""What the pages are made of, without a page: words, markup, curves, scores, moments."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from run_folders import HOSTILE
from styles import contrast, page_colours, rules, style

from foster.ui import charts, markup, moment, scores

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "foster" / "ui").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"foster.ui.{name}")).failed == 0


def test_values_need_no_streamlit() -> None:
    """Figures and texts can be made where no page is."""
    code = "import sys, foster.ui.palette, foster.ui.words; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    for name in ("charts", "maps", "shade", "area", "near", "film", "scores", "titles", "rows", "words", "palette"):
        assert "import streamlit" not in (ROOT / "foster" / "ui" / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("title", HOSTILE)
def test_a_title_becomes_text_in_markup_and_in_hover_labels(title: str) -> None:
    cell = markup.tag("bdi", markup.plain(title), title=title)
    assert cell.count("<") == 2
    assert cell.count('"') == 2
    hover = charts.hover_text(title)
    assert not set("<>$%{}") & set(hover)
    assert len(markup.plain(title)) <= 120


def test_markup_refuses_a_name_that_is_no_element() -> None:
    with pytest.raises(ValueError, match="not an element name"):
        markup.tag("img src=x")


def test_curves_are_thinned_and_keep_their_ends() -> None:
    events = [{"step": step, "gap": 1.0 / (step + 1)} for step in range(50_001)]
    kept = charts.thin(events)
    assert len(kept) == charts.MAX_POINTS
    assert (kept[0]["step"], kept[-1]["step"]) == (0, 50_000)


def test_losses_say_in_words_what_they_show() -> None:
    step = {"synthetic_theta": 5.0, "synthetic_omega": 4.0, "gap": 1.0, "real": 6.0, "regulariser": None}
    distil = [{"step": 0, **step}, {"step": 10, **step, "gap": 0.5}]
    chart = charts.losses(distil, [{"step": 10, "recall@10": 0.1234}], 20)
    assert "gap, θ − ω: 1.000 to 0.500" in chart.alt
    assert "best 0.123 at step 10" in chart.alt
    assert {trace.name: len(trace.x) for trace in chart.figure.data}["regulariser"] == 0
    assert "no step" in charts.losses([], []).alt


def test_a_few_steps_have_no_halves() -> None:
    step = {"synthetic_theta": 5.0, "synthetic_omega": 4.0, "gap": 1.0, "real": 6.0, "regulariser": None}
    ticks = [charts.losses([{"step": 1, **step}], [], steps).figure.layout.xaxis.dtick for steps in (2, 60, None)]
    assert ticks == [1, None, None]


def test_a_regulariser_that_was_not_asked_for_is_not_told_as_nothing_to_mend() -> None:
    step = {"synthetic_theta": 5.0, "synthetic_omega": 4.0, "gap": 1.0, "real": 6.0}
    for value, there in ((0.0, False), (2.4, True)):
        distil = [{"step": 1, **step, "regulariser": value}]
        chart = charts.losses(distil, [], 20)
        assert {trace.name: len(trace.x) for trace in chart.figure.data}["regulariser"] == there
        assert ("regulariser: " in chart.alt) == there
        titles = [each.text for each in chart.figure.layout.annotations]
        assert ("Regulariser: not computed at γ = 0" in titles) == (not there)
        assert ("regulariser" in moment.sentence(distil, [], "1")) == there


def test_a_link_to_a_page_has_a_focus_that_is_seen_in_light_and_dark() -> None:
    focus = rules(style(), '.stApp [data-testid="stPageLink-NavLink"]:focus-visible')
    assert "outline: 2px solid var(--accent)" in focus
    (accents,) = re.findall(r"--accent: light-dark\((#\w{6}), (#\w{6})\)", style())
    for accent, page in zip(accents, page_colours(), strict=True):
        assert contrast(accent, page) >= 3


def test_scores_compare_with_everything() -> None:
    def row(mean: float) -> dict[str, dict[str, float]]:
        return {"recall@10": {"mean": mean, "std": 0.01, "n": 3}}

    report = {"budget": {"sequences": 20}, "valid": {"full": row(0.2), "soft": row(0.17), "random": row(0.05)}}
    assert scores.sentence(report).replace("\u00a0", " ") == (
        "A recommender trained on 20 synthetic sequences reaches 85 % of what the whole log teaches; as many real "
        "sequences drawn at random reach 25 %."
    )
    others = {"start_soft": row(0.16), "teacher_uniform": row(0.15), "bigram": row(0.1), "start_hard": row(0.19)}
    told = scores.sentence({**report, "valid": report["valid"] | others}).replace("\u00a0", " ")
    work = "it was 80 %, which is no clear difference: the labels that it begins with do the work."
    assert work in told
    assert told.endswith("The best control, “Uniform items, a teacher's labels”, reaches 75 %.")
    for changed, said in (
        ({"start_soft": row(0.13)}, "it was 65 %."),
        ({"start_soft": row(0.16) | {"recall@10": {"mean": 0.17, "std": 0.0, "n": 1}}}, "it was 85 %."),  # one student
        ({"start_soft": row(0.16), "untrained": row(0.18)}, "it was 80 %, which is no clear difference. The best"),
    ):
        told = scores.sentence({**report, "valid": report["valid"] | changed}).replace("\u00a0", " ")
        assert f"Before the first step of the distillation {said}" in told
    assert scores.split_of({**report, "test": report["valid"]})[0] == "test"
    assert scores.bars({"valid": {}}) is None
    assert "no comparison" in scores.sentence({})


def test_a_moment_names_the_student_and_the_loss_at_or_before_it() -> None:
    valid = [{"step": step, "recall@10": recall} for step, recall in ((0, 0.1), (50, 0.2), (100, 0.3))]
    distil = [{"step": step, "gap": -0.5 * step, "real": None} for step in (1, 2, 50, 60)]
    said = moment.sentence(distil, valid, "60").replace("\u00a0", " ")
    judged = "a fresh student on the soft form of step 50 reaches Recall@10 0.200 on validation"
    assert said == f"Step 60: {judged}; loss terms: gap −30.000."
    assert "a fresh student on the soft form reaches Recall@10 0.200" in moment.sentence(distil, valid, "50")
    assert "loss terms at step 2:" in moment.sentence(distil, valid, "49")
    assert moment.sentence(distil, [], "0") == "Step 0: no student had been judged yet; no step had been taken."
    assert "of step 100 reaches Recall@10 0.300" in moment.sentence(distil, valid, moment.RESULT)
