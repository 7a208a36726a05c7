"""What the pages are made of, without a page: words, markup, figures, the film."""

from __future__ import annotations

import doctest
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_folders import HOSTILE

from foster import map_facts
from foster.item_map import LAID_OUT
from foster.ui import charts, film, maps, markup, moment, palette, scores, titles
from foster.ui.area import MOST_CORNERS, Area
from foster.ui.rows import UNKNOWN, Option, Place, Row, rows_of_snapshot, without_history
from foster.ui.summary import figures

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


def points(count: int) -> pd.DataFrame:
    world = np.random.default_rng(0)
    places = {f"{axis}_{view}": world.normal(size=count) for axis in "xy" for view in maps.View}
    names = [f"genre {min(int(n), 11)}" for n in world.geometric(0.3, count)]
    return pd.DataFrame({"item": np.arange(count), "title": [f"title {i}" for i in range(count)], "category": names,
                         "popularity": np.arange(count), "mass": world.random(count), **places})  # fmt: skip


@pytest.mark.parametrize("colour", list(maps.Colour))
@pytest.mark.parametrize(("count", "kind"), [(200, "scatter"), (3_000, "scattergl")])
def test_every_item_is_drawn_once_a_view(colour: maps.Colour, count: int, kind: str) -> None:
    table = points(count)
    nothing = np.zeros(count, dtype=bool)
    chart = maps.item_map(table, [maps.View.REAL, maps.View.SYNTHETIC], colour, nothing)
    for axis in ("x", "x2"):
        drawn = [trace for trace in chart.figure.data if trace.xaxis == axis]
        assert sum(len(trace.x) for trace in drawn) == count
        assert all(trace.type == kind for trace in drawn)
    if colour is maps.Colour.CATEGORY:
        looks = {(trace.marker.color, trace.marker.symbol) for trace in chart.figure.data}
        assert len(looks) == maps.GROUPS + 1, "each group has its own colour and marker"
    assert f"{count:,} items as points" in chart.alt


def test_a_large_map_keeps_what_was_found() -> None:
    table = points(25_000)
    drawn = maps.sample(table, keep=[0, 3])
    assert len(drawn) == maps.MAX_POINTS
    assert {0, 3, 24_999} <= set(drawn["item"])


def test_what_is_laid_out_is_drawn_as_a_point() -> None:
    """Items that only stand beside others are the ones in the shade."""
    assert maps.MAX_POINTS == LAID_OUT


def test_items_too_many_for_points_are_a_shade_behind_them() -> None:
    table = points(60)
    nothing = np.zeros(40, dtype=bool)
    chart = maps.item_map(
        table[:40], [maps.View.REAL, maps.View.TEXT], maps.Colour.CATEGORY, nothing, shaded=table[40:]
    )
    for axis, view in (("x", "real"), ("x2", "text")):
        first, *others = (trace for trace in chart.figure.data if trace.xaxis == axis)
        assert first.type == "heatmap", "drawn before the points"
        assert np.expm1(np.asarray(first.z)).sum() == pytest.approx(20, rel=1e-4)
        row, column = np.unravel_index(np.asarray(first.z).argmax(), np.asarray(first.z).shape)
        peak = np.array([first.x[column], first.y[row]])
        away = np.abs(table.loc[40:, [f"x_{view}", f"y_{view}"]].to_numpy() - peak)
        assert (away <= [np.diff(first.x)[0], np.diff(first.y)[0]]).all(1).any(), "the darkest cell holds an item"
        assert sum(len(trace.x) for trace in others) == 40
    assert "20 more items are a grey shade" in chart.alt
    assert "shade" not in maps.item_map(table, [maps.View.TEXT], maps.Colour.MASS, np.zeros(60, dtype=bool)).alt


def test_many_points_are_small_ones() -> None:
    def sizes(count: int) -> np.ndarray:
        nothing = np.zeros(count, dtype=bool)
        (trace,) = maps.item_map(points(count), [maps.View.TEXT], maps.Colour.MASS, nothing).figure.data
        return np.asarray(trace.marker.size)

    assert sizes(200).max() == pytest.approx(15)
    assert 1 < sizes(20_000).min() < sizes(20_000).max() < 8


def test_a_search_and_a_sequence_are_drawn_on_top() -> None:
    table = points(50)
    found = np.arange(50) == 7
    chart = maps.item_map(table, [maps.View.TEXT], maps.Colour.CATEGORY, found, drawn=maps.Drawn([3, 9, 3, 999]))
    names = [trace.name for trace in chart.figure.data]
    assert "chosen" in names
    assert len(next(trace for trace in chart.figure.data if trace.name == "the open sequence").x) == 3
    assert "1 chosen item in a double ring" in chart.alt


def contrast(first: str, second: str) -> float:
    """Of two colours as #rrggbb, by WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    light, dark = sorted([luminance(first), luminance(second)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def page_colours() -> list[str]:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    return [config["theme"][scheme]["backgroundColor"] for scheme in ("light", "dark")]


@pytest.mark.parametrize("colour", list(maps.Colour))
def test_what_is_chosen_is_told_apart_from_every_colour_and_page(colour: maps.Colour) -> None:
    """By lightness alone, which every colour vision sees, and by a shape that no category has."""
    table = points(50)
    chart = maps.item_map(
        table, [maps.View.REAL], colour, np.arange(50) == 7, outline=(maps.View.REAL, ((0.0, 0.0), (1.0, 1.0)))
    )
    layers = {trace.name: trace.marker for trace in chart.figure.data}
    rings = [layers["around the chosen"], layers["chosen"]]
    assert rings[0].line.width > rings[1].line.width + 2, "both lines are seen"
    assert {ring.symbol for ring in rings} == {"circle-open"}
    assert contrast(rings[0].color, rings[1].color) > 10
    others = {*palette.CATEGORY_COLOURS, *(stop for _, stop in palette.SEQUENTIAL)}
    lines = [shape.line.color for shape in chart.figure.layout.shapes]
    for pair in ([ring.color for ring in rings], lines):
        assert not set(pair) & others
        for other in [*page_colours(), *others]:
            assert max(contrast(line, other) for line in pair) >= 3, other


def test_the_titles_of_the_map_stand_below_the_toolbar() -> None:
    table = points(50)
    chart = maps.item_map(table, list(maps.View), maps.Colour.CATEGORY, np.zeros(50, dtype=bool))
    layout = chart.figure.layout
    assert [title.text for title in layout.annotations] == list(maps.VIEW_TITLES.values())
    assert all((title.y, title.yanchor) == (1, "bottom") for title in layout.annotations), "right above the points"
    title = 1.6 * 16  # pixels of a line
    assert layout.margin.t - title > 40, "what is left above them is for the tools"


def taught(*words: str) -> list[Row]:
    places = (Place(i, (Option(f"read {i}", 1.0),), (Option(word, 0.5),)) for i, word in enumerate(words))
    return [Row(0, tuple(places))]


def test_a_snapshot_takes_what_is_read_from_the_result_when_it_cannot_change() -> None:
    shot = pd.DataFrame(
        {"sequence": [0, 0], "position": [0, 1], "items": [[1, 0], [2, 1]], "weights": [[0.4, 0.1]] * 2}
    )
    rows = rows_of_snapshot(shot, {0: "a", 1: "b"}, taught("x", "y"))
    assert [place.titles for place in rows[0].places] == [("read 0", "b"), ("read 1", UNKNOWN)]
    mixed = [Row(0, (Place(0, (Option("m", 0.6), Option("n", 0.4))),))]
    assert rows_of_snapshot(shot, {1: "b"}, mixed)[0].places[0].read == ()
    stored = shot.assign(input_items=[[0], [1]], input_weights=[[1.0], [1.0]])
    assert rows_of_snapshot(stored, {0: "a", 1: "b"}, mixed)[0].places[0].titles == ("a", "b")


def test_what_was_read_is_not_what_a_card_recommends() -> None:
    labels = (Option("b", 0.6), Option("a", 0.2), Option("c", 0.1))
    row = Row(0, (Place(0, (Option("a", 1.0),), labels), Place(1, (Option("b", 1.0),), labels)))
    (told,) = without_history([row])
    assert [place.shown.title for place in told.places] == ["b", "c"]
    assert told.places[1].labels == labels, "nothing is lost"
    assert told.matches("C") == {1}
    only_known = replace(told.places[1], labels=labels[:2])
    assert only_known.shown.title == "b"


def test_in_a_new_session_nothing_was_read_yet() -> None:
    labels = (Option("a", 0.6), Option("b", 0.4))
    places = [Place(n, (Option("a", 1.0),), labels, session=n // 2) for n in range(4)]
    row = Row(0, tuple(places))
    assert row.opens == {2}
    (told,) = without_history([row])
    assert [place.shown.title for place in told.places] == ["b"] * 4
    other = replace(row, places=(*places[:2], *(replace(p, read=(Option("c", 1.0),)) for p in places[2:])))
    (told,) = without_history([other])
    assert [place.shown.title for place in told.places] == ["b", "b", "a", "a"], "c was read, a was in another session"
    assert [titles.strip(told).count(f">{n} · new session<") for n in (1, 2, 3, 4)] == [0, 0, 1, 0]
    assert titles.ladder(told).count("· new session<") == 1


def test_rows_of_tables_without_sessions_are_one() -> None:
    shot = pd.DataFrame({"sequence": [0, 0], "position": [0, 1], "items": [[0], [1]], "weights": [[0.4], [0.1]]})
    assert rows_of_snapshot(shot, {})[0].opens == frozenset()
    assert rows_of_snapshot(shot.assign(session=[0, 1]), {})[0].opens == {1}


def test_the_film_shows_each_word_while_it_lasts() -> None:
    scenes = [film.Scene(0, taught("A", "B")), film.Scene(5, taught("A", "C"), 0.1)]
    picture = film.film(scenes, HOSTILE, "The log: 3 users.", "The result: 1 sequence.", "How titles condense")
    assert picture.count(">A<") == 1, "a title that stays is one word"
    assert "starts as: after read 0 comes A; after read 1 comes B" in picture
    assert "ends as: after read 0 comes A; after read 1 comes C" in picture
    assert "<script" not in picture


def test_the_film_of_a_small_set_has_fewer_titles_of_the_log_and_only_its_columns() -> None:
    wall = [f"book {n}" for n in range(film.WALL)]

    def told(rows: list[Row]) -> str:
        return film.film([film.Scene(0, rows)], wall, "The log.", "The result.", "How titles condense")

    small, large = told(taught("A", "B")), told(5 * taught(*"ABCDEFG"))
    assert sum(f">{title}<" in small for title in wall) == film.WALL // film.SEQUENCES
    assert sum(f">{title}<" in large for title in wall) == film.WALL
    assert "--columns:2" in small
    assert f"--columns:{film.POSITIONS}" in large


def test_the_wall_of_the_film_ends_above_its_caption() -> None:
    picture = film.film([film.Scene(0, taught("A"))], ["title"], "The log.", "The result.", "How titles condense")
    stage, _, caption = picture.partition('<div class="film-caption">')
    assert stage.count("<div") - 1 == stage.count("</div>"), "the stage is closed: only the picture is open"
    assert 'class="film-stage"><div class="film-wall">' in stage
    assert "The log." in caption
    wall, said = (rules(style(), name) for name in (".film-wall", ".film-caption p"))
    assert "overflow: hidden" in wall
    assert "position" not in said, "its height is that of the longest caption"


def style() -> str:
    return (ROOT / "foster" / "ui" / "style.css").read_text(encoding="utf-8")


def rules(sheet: str, selector: str) -> str:
    """What a style sheet says of a selector, outside of conditions."""
    return " ".join(re.findall(rf"^{re.escape(selector)} \{{([^}}]*)\}}", sheet, re.MULTILINE))


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


def test_json_of_a_figure_is_small() -> None:
    """20,000 items stay under 8 MB on the wire: titles travel once, in customdata."""
    table = points(20_000)
    figure = maps.item_map(table, [maps.View.TEXT], maps.Colour.CATEGORY, np.zeros(20_000, dtype=bool)).figure
    assert len(json.dumps(figure.to_plotly_json(), default=lambda value: np.asarray(value).tolist())) < 8e6


def test_a_map_says_how_many_neighbours_are_kept_where_it_knows() -> None:
    told = pd.DataFrame({"kept_synthetic": [0.5, 0.3] * 50, "kept_text": [0.2] * 100})
    table = pd.concat([told, pd.DataFrame({"kept_synthetic": [np.nan], "kept_text": [np.nan]})])
    assert map_facts.kept(table) == (pytest.approx(4.0), pytest.approx(2.0), pytest.approx(1.0))
    assert "4.0 on average" in map_facts.agreement(table)
    assert "most popular" not in map_facts.agreement(table)
    many = pd.concat([table, pd.DataFrame({"kept_synthetic": [np.nan] * 5_000, "kept_text": [np.nan] * 5_000})])
    assert "Counted of the 5,000 most popular items, before" in map_facts.agreement(many)
    for unknown in (table.iloc[100:], table[["kept_text"]]):
        assert map_facts.kept(unknown) is None
        assert map_facts.agreement(unknown) == ""


def test_an_area_holds_what_lies_inside() -> None:
    table = pd.DataFrame({"x_real": [0.5, 1.5, 0.1, 2.0], "y_real": [0.5, 0.5, 0.9, 2.0]})
    box = Area(maps.View.REAL, ((1.0, 1.0), (0.0, 0.0)))
    assert box.holds(table).tolist() == [True, False, True, False]
    triangle = Area.parse("real_0_0_2_0_0_2")  # x + y < 2
    assert triangle.holds(table).tolist() == [True, False, True, False]
    bow = Area.parse("real_0_0_1_1_1_0_0_1")  # crosses itself: left and right are inside, above and below are not
    cross = pd.DataFrame({"x_real": [0.1, 0.9, 0.5, 0.5], "y_real": [0.5, 0.5, 0.1, 0.9]})
    assert bow.holds(cross).tolist() == [True, True, False, False]


def test_what_was_drawn_last_becomes_a_short_area() -> None:
    views = (maps.View.REAL, maps.View.SYNTHETIC)
    turn = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    lasso = {"xref": "x2", "yref": "y2", "x": np.cos(turn).tolist(), "y": np.sin(turn).tolist()}
    area = Area.drawn({"box": [], "lasso": [lasso]}, views)
    assert area is not None
    assert (area.view, len(area.corners)) == (maps.View.SYNTHETIC, MOST_CORNERS)
    assert len(str(area)) < 500
    again = Area.parse(str(area))
    disc = pd.DataFrame({"x_synthetic": [0.0, 0.95, 1.05, 0.71], "y_synthetic": [0.0, 0.0, 0.0, 0.71]})
    assert again.holds(disc).tolist() == [True, True, False, False]
    box = {"xref": "x", "yref": "y", "x": [0.25, -0.5], "y": [1, 2]}
    assert str(Area.drawn({"box": [box], "lasso": []}, views)) == "real_0.25_1_-0.5_2"
    assert Area.drawn({"box": [], "lasso": []}, views) is None
    assert Area.drawn({"box": [{**box, "xref": "x3"}]}, views) is None


def test_a_row_leads_from_what_it_reads_first_through_what_it_teaches() -> None:
    first = Place(0, (Option("a", 0.7, 10), Option("b", 0.3, 11)), (Option("c", 0.6, 12), Option("d", 0.2, 13)))
    row = Row(0, (first, Place(1, (Option("d", 1.0, 13),), (Option("a", 0.5, 10),))))
    assert (row.course, row.reads) == ([10, 12, 10], [10, 13])
    assert row.through({12}) == {0}
    assert row.through({13}) == {1}, "an alternative is on no card"
    assert row.through({11, 99}) == set()
    assert Row(0, (Place(0, (Option("?", 1.0),)),)).course == []


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


def test_other_readings_are_told_without_weights_and_their_titles_are_counted() -> None:
    read = (Option("First", 0.5), Option(HOSTILE[0], 0.5))
    row = Row(0, (Place(0, read, (Option("Taught", 0.25),)), Place(1, (Option("Second", 1.0),))))
    shown = str(titles.ladder(row))
    told, others = shown.split("In other readings it reads")
    assert "25" in told
    assert "50" not in shown, "how often a reading comes is no strength of a title"
    assert str(markup.tag("bdi", markup.plain(HOSTILE[0], 70))) in others
    counted = next(each for each in figures([row]) if each.name == "Titles read")
    assert (counted.value, counted.hint) == ("3", "at 2 positions, up to 2 at each")
