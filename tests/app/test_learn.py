"""The Learn page: every step opens, every switch shows a difference, a prediction is answered from the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from visits import check, shown, visit

from foster.ui.experiments import EXPERIMENTS
from foster.ui.syllabus import LESSONS

PAGE = "pages/learn.py"
STEPS = tuple(range(1, len(LESSONS) + 1))


def finding(app: AppTest) -> str:
    return next(each.proto.body for each in app.get("html") if 'role="status" class="say finding' in each.proto.body)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_is_whole_and_every_switch_tells_another_story(step: int, store: Path) -> None:
    lesson = LESSONS[step - 1]
    told = set()
    for value, _ in lesson.switches:
        app = visit(PAGE, lesson=str(step), broken=value)
        assert lesson.title in shown(app)
        (chart,) = app.get("plotly_chart")
        assert chart.proto.alt
        assert app.get("latex") or lesson.formula in shown(app)
        assert all(name in shown(app) for _, name, _ in lesson.code)
        told.add(finding(app))
    assert len(told) == len(lesson.switches)
    assert not store.exists(), "a lesson writes nothing"


@pytest.mark.parametrize("step", STEPS)
def test_a_prediction_is_answered_from_the_numbers(step: int, store: Path) -> None:
    question, answer = LESSONS[step - 1].question, EXPERIMENTS[step - 1][1]()
    for guess in (answer.right, (answer.right + 1) % 3):
        app = visit(PAGE, lesson=str(step))
        assert app.button(key=f"reveal-{step}").disabled
        assert answer.why not in shown(app)
        check(app.radio(key=f"guess-{step}").set_value(question.options[guess]).run())
        check(app.button(key=f"reveal-{step}").click().run())
        assert answer.why in shown(app)
        assert "Revealing has set the experiment to show it" in shown(app)
        assert ("As you said" in shown(app)) == (guess == answer.right)
        assert app.query_params.get("broken", "nothing") == question.looks[1]


def test_lost_labels_are_lost_in_every_figure_and_on_every_card(store: Path) -> None:
    whole, lost = (shown(visit(PAGE, lesson="2", dial="20", **query)) for query in ({}, {"broken": "labels"}))
    assert "Distilled, labels lost" in lost
    assert "Distilled, labels lost" not in whole
    assert "a student is taught what may come next" in whole
    assert "a student is taught what may come next" not in lost
    assert whole.count('class="weight"') == 8
    assert 'class="weight"' not in lost


def test_the_way_through_is_in_the_address(store: Path) -> None:
    app = visit(PAGE)
    assert app.button(key="previous").disabled
    check(app.button_group(key="url-broken").set_value("order").run())
    assert app.query_params["broken"] == "order"
    for step in STEPS[1:]:
        check(app.button(key="next").click().run())
        assert app.query_params["lesson"] == str(step)
        assert "broken" not in app.query_params
        assert f"Step {step} of 6" in shown(app)
    with pytest.raises(KeyError):
        app.button(key="next")
    check(app.button(key="previous").click().run())
    assert app.query_params["lesson"] == "5"


def test_a_class_sees_the_lesson_alone(store: Path) -> None:
    app = visit(PAGE, lesson="3")
    assert 'class="presenting"' not in shown(app)
    check(app.button(key="present").click().run())
    assert app.query_params["present"] == "1"
    assert 'class="presenting"' in shown(app)
    assert "To read" not in shown(app)
    check(app.button(key="present").click().run())
    assert "present" not in app.query_params


@pytest.mark.parametrize("asked", ["0", "7", "x", "<b>", "1.0"])
def test_a_step_that_is_none_is_said_and_the_first_is_shown(asked: str, store: Path) -> None:
    app = visit(PAGE, lesson=asked, broken="<i>", dial="999")
    assert "There is no such step" in shown(app)
    assert "<b>" not in "".join(each.proto.body for each in app.get("html") if "no such step" in each.proto.body)
    assert "Step 1 of 6" in shown(app)
