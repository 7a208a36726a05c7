"""One selection and one step, shared by Map, Sequences and Distil through the address."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from run_folders import TITLES, held, lay_run
from streamlit.testing.v1 import AppTest
from visits import RUN, check, links, markup, names, untagged, visit

MAP, SEQUENCES, DISTIL = "pages/map.py", "pages/sequences.py", "pages/distil.py"


@pytest.fixture
def folder(store: Path) -> Path:
    """A finished run in a store without the shipped ones."""
    return lay_run(store)


def opened(page: str, **query: str) -> AppTest:
    """A page of the run in `folder`, unless another is asked for."""
    return visit(page, **{"run": RUN, **query})


def text(app: AppTest) -> str:
    """Nothing where a tag was: a full stop follows a title."""
    return untagged(app, between="")


def figure(app: AppTest, number: int = 0) -> dict[str, Any]:
    return json.loads(app.get("plotly_chart")[number].proto.spec)


def numbers(value: Any) -> list[float]:
    """Of a plotly array, which travels as base64 or as a list."""
    if isinstance(value, dict):
        import base64

        return np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"]).tolist()
    return list(value)


def trace(app: AppTest, name: str, axis: str = "x") -> dict[str, Any] | None:
    return next((each for each in figure(app)["data"] if (each["name"], each["xaxis"]) == (name, axis)), None)


def around(folder: Path, item: int, view: str = "real") -> str:
    """An area that holds one item of a view and nothing else."""
    points = pd.read_parquet(folder / "map.parquet")
    places = points[[f"x_{view}", f"y_{view}"]].to_numpy()
    others = np.abs(places - places[item]).max(1)
    reach = 0.4 * float(np.partition(others, 1)[1])
    (x, y) = places[item]
    assert reach > 0.002, "the planted map is too dense for the address's three decimals"
    return f"{view}_{x - reach:.3f}_{y - reach:.3f}_{x + reach:.3f}_{y + reach:.3f}"


def using(folder: Path, item: int) -> set[int]:
    """Sequences, from 1, that show an item on a card of the result; by the table, not by the app's own rows."""
    table = pd.read_parquet(folder / "sequences.parquet")
    shown = table[(table["title"] == TITLES[item]) | (table["label_title"] == TITLES[item])]
    return {int(number) + 1 for number in shown["sequence"]}


def listed(app: AppTest) -> set[int]:
    return {int(number) for number in re.findall(r"<strong>Sequence (\d+)</strong>", markup(app))}


def some_item(folder: Path) -> int:
    """One that some sequences use, and others do not."""
    return next(item for item in range(len(TITLES)) if 1 < len(using(folder, item)) < 10)


@pytest.mark.parametrize("view", ["real", "synthetic", "text"])
def test_an_area_chooses_its_items_in_every_view_and_filters_table_and_sequences(view: str, folder: Path) -> None:
    item = some_item(folder)
    area = around(folder, item, view)
    app = opened(MAP, area=area)
    assert app.dataframe[0].value["title"].tolist() == [TITLES[item]]
    points = pd.read_parquet(folder / "map.parquet")
    for axis, panel in (("x", "real"), ("x2", "synthetic")):
        ring = trace(app, "chosen", axis)
        assert ring is not None
        assert numbers(ring["x"]) == pytest.approx([points[f"x_{panel}"][item]])
    shapes = figure(app)["layout"].get("shapes", [])
    assert len({json.dumps([shape["xref"], shape["x0"], shape["y1"]]) for shape in shapes}) == (view != "text"), (
        "drawn in its own view only"
    )
    assert f"{len(using(folder, item))} of 12 sequences show it on a card" in text(app)

    assert links(app)["Only sequences through these items"] == f"run={RUN}&area={area}"
    app = opened(SEQUENCES, area=area)
    assert (
        f"{len(using(folder, item))} of 12 sequences go through the 1 item chosen on the map: {TITLES[item]}."
        in text(app)
    )
    assert listed(app) == using(folder, item)
    assert set(app.dataframe[0].value["Sequence"]) == using(folder, item)
    assert links(app)["Change the selection on the map"] == f"run={RUN}&area={area}"


def test_listed_items_are_the_same_choice_and_are_cleared(folder: Path) -> None:
    item = some_item(folder)
    app = opened(MAP, chosen=f"{item}")
    assert f"All {len(TITLES)} items" in text(app), "a tick does not shorten the list one ticks in"
    assert "1 ticked" in text(app)
    rows = app.dataframe[0].value["title"].tolist()
    assert app.session_state["map-table"]["selection"]["rows"] == [rows.index(TITLES[item])]
    app = opened(SEQUENCES, chosen=f"{item}")
    assert listed(app) == using(folder, item)
    check(app.button(key="clear-chosen").click().run())
    assert "chosen" not in app.query_params
    assert len(listed(app)) == 10, "the first page of all rows"


def test_a_choice_without_sequences_says_so(folder: Path) -> None:
    app = opened(SEQUENCES, area="real_90_90_91_91")
    assert "0 of 12 sequences go through the 0 items chosen on the map." in text(app)
    assert not listed(app)
    assert "No item lies in the area" in text(opened(MAP, area="real_90_90_91_91"))
    assert "No title has it. Try another word." in text(opened(MAP, q="zzzz"))


def test_the_wheel_scrolls_the_page_and_leaves_the_map(folder: Path) -> None:
    (chart,) = opened(MAP).get("plotly_chart")
    assert json.loads(chart.proto.config)["scrollZoom"] is False


def test_the_hard_form_is_filtered_by_what_it_holds(folder: Path) -> None:
    table = pd.read_parquet(folder / "sequences.parquet")
    item = some_item(folder)
    hard = {int(number) + 1 for number in table[table["hard_title"] == TITLES[item]]["sequence"]}
    assert hard != using(folder, item)
    assert listed(opened(SEQUENCES, chosen=f"{item}", form="hard")) == hard


@pytest.mark.parametrize("page", [MAP, SEQUENCES])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"area": "real_1_2_3"}, "No such area"),
        ({"area": "<b>_1_2_3_4"}, "No such area"),
        ({"area": "real_nan_0_1_inf"}, "No such area"),
        ({"area": "real" + "_1_2" * 40}, "No such area"),
        ({"chosen": "x,-1,999,1e3,٣"}, "5 entries of the address's list cannot be used"),
        ({"chosen": "999999999999999999999"}, "1 entry of the address's list cannot be used"),
    ],
)
def test_nonsense_is_named_and_nothing_is_chosen(page: str, query: dict[str, str], said: str, folder: Path) -> None:
    app = opened(page, **query)
    assert said in text(app)
    assert "draw one on the map" in text(app) or "left out" in text(app)
    if page == MAP:
        assert "Nothing chosen yet" in text(app)
        assert trace(app, "chosen") is None
    else:
        assert len(listed(app)) == 10


def test_too_many_items_are_cut_and_said(folder: Path) -> None:
    app = opened(MAP, chosen=",".join(str(number) for number in range(900)))
    assert f"{len(TITLES)} items chosen" in text(app)
    assert f"{900 - len(TITLES)} entries of the address's list cannot be used" in text(app)


def test_another_run_starts_without_a_choice(folder: Path) -> None:
    other = lay_run(folder.parent, "20260921-1000-foster-sample-0002", sequences=5).name
    app = opened(MAP, chosen="1", area="real_0_0_1_1", step="0", sequence="2")
    runs = app.selectbox(key="url-run")
    check(runs.select_index(1 - runs.index).run())
    assert app.query_params["run"] == other
    assert not {"chosen", "area", "step", "sequence"} & set(app.query_params)


def test_a_single_title_has_its_neighbours_of_each_view(folder: Path) -> None:
    points = pd.read_parquet(folder / "map.parquet")
    app = opened(MAP, chosen="3")
    (panel,) = [each.proto.body for each in app.get("html") if 'class="picked"' in each.proto.body]
    found = [re.findall(r"<bdi[^>]*>([^<]*)</bdi>", part) for part in html.unescape(panel).split("<ul>")[1:]]
    for view, near in zip(("real", "synthetic", "text"), found, strict=True):
        places = points[[f"x_{view}", f"y_{view}"]].to_numpy()
        order = np.argsort(np.linalg.norm(places - places[3], axis=1))[1:6]
        assert near == [TITLES[row] for row in order]


def test_the_step_moves_mass_path_and_metrics_of_the_map(folder: Path) -> None:
    """Mass and path as they stand in the snapshot, summed here once more."""
    table = pd.read_parquet(folder / "sequences.parquet")
    first = table[(table["sequence"] == 1) & (table["position"] == 0)]["item"].iloc[0]  # what is read does not change
    seen = {}
    for step in (0, 300):
        app = opened(MAP, step=f"{step}", sequence="2")
        shot = pd.read_parquet(folder / "snapshots" / f"{step:06d}.parquet")
        mass = np.zeros(len(TITLES))
        for items, weights in zip(shot["items"], shot["weights"], strict=True):
            np.add.at(mass, items, weights)
        listed_mass = app.dataframe[0].value.set_index("title")["mass"]
        assert [listed_mass[title] for title in TITLES] == pytest.approx(mass.tolist(), abs=1e-5)
        mine = shot[shot["sequence"] == 1].sort_values("position")
        course = [int(first), *(int(items[0]) for items in mine["items"])]
        path = trace(app, "the open sequence", "x2")
        assert path is not None
        assert numbers(path["x"]) == pytest.approx(
            pd.read_parquet(folder / "map.parquet")["x_synthetic"][course].tolist()
        )
        (line,) = [each.proto.body for each in app.get("html") if 'class="moment"' in each.proto.body]
        seen[step] = (tuple(mass), tuple(course), line)
    assert all(early != late for early, late in zip(seen[0], seen[300], strict=True))
    valid = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()[:-1]]
    judged = next(event for event in valid if event["kind"] == "valid")
    assert f"a fresh student on the soft form reaches Recall@10 {judged['recall@10']:.3f} on validation" in seen[0][2]


def test_the_map_s_slider_keeps_the_step_for_the_other_pages(folder: Path) -> None:
    app = opened(MAP)
    check(app.select_slider(key="url-step").set_value("0").run())
    assert app.query_params["step"] == "0"
    assert links(app)["Sequences"] == f"run={RUN}&step=0"
    assert "Step 0:" in text(opened(SEQUENCES, step="0"))


def test_the_chart_of_distil_marks_the_step(folder: Path) -> None:
    app = opened(DISTIL, step="0")
    shapes = figure(app)["layout"]["shapes"]
    assert {(shape["x0"], shape["x1"]) for shape in shapes} == {(0, 0)}
    assert "Step 0:" in text(app)
    assert "A line marks step 0." in app.get("plotly_chart")[0].proto.alt
    assert not figure(opened(DISTIL))["layout"].get("shapes")


@pytest.mark.parametrize("page", [MAP, SEQUENCES, DISTIL])
@pytest.mark.parametrize(("asked", "shown"), [("2", "step 2"), ("299", "step 187"), ("x", "result"), ("-5", "result")])
def test_a_step_without_a_snapshot_becomes_the_one_before(page: str, asked: str, shown: str, folder: Path) -> None:
    kept = sorted(int(path.stem) for path in (folder / "snapshots").iterdir())
    assert 2 in kept
    assert kept[-2:] == [187, 300]
    app = opened(page, step=asked)
    assert ("has no snapshot" in text(app)) == (asked != "2")
    assert app.select_slider(key="url-step").value == shown.removeprefix("step ")


def test_a_paused_run_takes_a_step_and_the_button_waits(folder: Path) -> None:
    paused = lay_run(folder.parent, "20260921-1000-foster-sample-0003", "running", ready="snapshots", paused=True)
    (paused / "pause").touch()
    with held(paused):
        app = opened(DISTIL, run=paused.name)
        assert "Finished last: step 160 of 300." in text(app)
        assert not app.button(key="step").disabled
        check(app.button(key="step").click().run())
        assert (paused / "step").exists()
        assert app.button(key="step").disabled
        (paused / "step").unlink()  # as a worker does at the end of a step
        check(app.run())
        assert not app.button(key="step").disabled
        check(app.button(key="resume").click().run())
        assert "Step" not in names(app), "only a paused run is stepped"
