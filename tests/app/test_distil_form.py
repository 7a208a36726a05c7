"""The form on Distil: it launches what it says, is filled from a run, and hides where the server keeps things."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from run_folders import lay_run
from streamlit.testing.v1 import AppTest
from visits import RUN, check, press, shown, visit

from foster.runs import RunStore
from foster.spec import RunSpec

PAGE = "pages/distil.py"


def test_the_form_launches_what_it_says(store: Path, launched: list[RunSpec]) -> None:
    app = visit(PAGE)
    app.select_slider(key="form-sequences").set_value(5)
    app.select_slider(key="form-length").set_value(10)
    app.number_input(key="form-steps").set_value(30)
    check(app.run())
    assert "50 positions, stored in at most 13 kB" in shown(app)
    press(app, "Distil")
    assert launched == [RunSpec(sequences=5, length=10, steps=30)]
    assert "Starting…" in shown(app)
    assert app.query_params["run"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("steps", -1, "Distillation steps is -1; give a whole number from 0 to 1000000"),
        ("students", 0, "Fresh students a row is 0; give a whole number from 1 to 100"),
        ("seed", 2**31, "Seed is 2147483648; give a whole number from 0 to 2147483647"),
        ("tuned-layers", 7, "Encoder layers that learn is 7; give a whole number from 0 to 6"),
    ],
)
def test_a_number_out_of_bounds_starts_nothing_and_forecasts_nothing(
    store: Path, launched: list[RunSpec], field: str, value: int, said: str
) -> None:
    app = visit(PAGE)
    check(app.number_input(key="form-steps").set_value(2).run())
    check(app.number_input(key=f"form-{field}").set_value(value).run())
    assert said in shown(app)
    assert "positions, stored in at most" not in shown(app)
    button = next(each for each in app.button if each.label == "Distil")
    assert button.disabled
    assert launched == []


def test_a_set_as_large_as_the_log_is_said_to_save_no_bytes(store: Path) -> None:
    said = "about as much: what is saved is training time and sequences to read, not bytes."
    app = visit(PAGE)  # 20 × 20 on the sample
    assert said in shown(app)
    app.select_slider(key="form-sequences").set_value(5)
    assert said not in shown(check(app.run()))


def test_a_set_larger_than_the_log_is_told_with_one_that_saves_bytes(store: Path) -> None:
    app = visit(PAGE)
    app.select_slider(key="form-sequences").set_value(100)
    app.select_slider(key="form-length").set_value(100)
    said = re.search(r"which is less: this set saves nothing, one of (\d+) × (\d+) would\.", shown(check(app.run())))
    assert said is not None
    app.select_slider(key="form-sequences").set_value(int(said[1]))
    app.select_slider(key="form-length").set_value(int(said[2]))
    told = shown(check(app.run()))
    assert "which is less" not in told
    assert "about as much" not in told


def test_of_a_tiny_log_no_set_saves_bytes(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "items.csv").write_text("item_id,title\na,A\nb,B\nc,C\n")
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2\nu,c,3\nv,c,1\nv,b,2\nv,a,3\n")
    monkeypatch.setenv("FOSTER_DATA", str(folder))
    assert "so small a log cannot be stored in less, though" in shown(visit(PAGE, data="tiny"))


def test_a_gpu_that_is_not_there_is_refused_before_there_is_a_run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    app = visit(PAGE)
    app.button_group(key="form-device").set_value("cuda")
    press(app, "Distil")
    assert "torch finds no CUDA device on this machine; choose auto or cpu" in shown(app)
    assert not RunStore(store, bundled=None).list()


def form(app: AppTest) -> dict[str, object]:
    """What the form on Distil holds."""
    fields = [app.select_slider(key=f"form-{name}") for name in ("sequences", "length", "regularisation")]
    fields += [app.number_input(key=f"form-{name}") for name in ("steps", "students", "seed", "tuned-layers")]
    fields += [app.button_group(key="form-device"), app.toggle(key="form-report-test"), app.selectbox(key="url-data")]
    return {str(field.key).removeprefix("form-"): field.value for field in fields}


def varied(folder: Path, **fields: object) -> dict[str, object]:
    """Writes settings into a run, and gives what a form filled with them holds."""
    spec = json.loads((folder / "spec.json").read_text()) | fields
    (folder / "spec.json").write_text(json.dumps(spec))
    names = ("sequences", "length", "regularisation", "steps", "students", "seed", "device")
    source = "sample" if spec["data"] == "sample" else Path(spec["data"]).name
    more = {"report-test": spec["report_test"], "tuned-layers": spec.get("tuned_layers", 0), "url-data": source}
    return {name: spec[name] for name in names} | more


def test_the_form_is_filled_from_the_run_that_the_address_asks_for(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOSTER_DATA", "/srv/films")
    odd = {"sequences": 17, "length": 9, "regularisation": 0.07, "steps": 123, "students": 5, "seed": 42}
    odd |= {"tuned_layers": 2}
    first = varied(lay_run(store), **odd, device="cpu", report_test=True, data="/srv/films")
    second = varied(lay_run(store, RUN.replace("0001", "0002")), steps=None, seed=7)
    untouched = form(visit(PAGE))
    app = visit(PAGE, run=RUN)
    assert form(app) == first
    assert form(visit(PAGE)) == untouched

    check(app.select_slider(key="form-sequences").set_value(40).run())
    check(app.number_input(key="form-seed").set_value(3).run())
    check(app.selectbox(key="url-data").set_value("sample").run())
    check(app.run())
    assert form(app) == first | {"sequences": 40, "seed": 3, "url-data": "sample"}, "what was typed stays"
    runs = app.selectbox(key="url-run")
    check(runs.select_index(1 - runs.index).run())
    assert form(app) == second, "another run fills it again"
    assert "data" not in app.query_params
    check(app.number_input(key="form-seed").set_value(8).run())
    app.switch_page("pages/sequences.py")
    check(app.run())
    app.switch_page(PAGE)
    assert form(check(app.run())) == second | {"seed": 8}, "a switch of pages keeps it"


def test_a_run_on_data_that_are_not_listed_fills_the_rest_of_the_form(store: Path) -> None:
    lay_run(store, data="/srv/secret/films", sequences=5)
    varied(store / RUN, sequences=5)
    app = visit(PAGE, run=RUN)
    assert form(app)["sequences"] == 5
    assert "The data of the run are not listed here" in shown(app)
    assert "secret" not in shown(app)


def test_an_encoder_that_is_not_listed_is_told_and_replaced(store: Path) -> None:
    lay_run(store)
    varied(store / RUN, encoder="/srv/secret/encoder")
    app = visit(PAGE, run=RUN)
    assert "does not list the text encoder of the run, encoder: MiniLM reads" in shown(app)
    assert "secret" not in shown(app)
    assert "does not list" not in shown(visit(PAGE))


def test_data_folders_come_from_the_server_and_hide_their_path(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOSTER_DATA", os.pathsep.join(["/srv/secret/films", "/srv/other/films"]))
    app = visit(PAGE)
    assert app.selectbox(key="url-data").options == ["sample books", "films (secret)", "films (other)"]
