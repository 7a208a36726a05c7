"""What the map draws and says, without a page: points, shade, areas, agreement."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from styles import contrast, page_colours

from foster import map_facts
from foster.item_map import LAID_OUT
from foster.ui import maps, palette
from foster.ui.area import MOST_CORNERS, Area


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
