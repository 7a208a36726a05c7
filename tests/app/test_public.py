"""The app for visitors: what is offered, what is refused when asked for all the same, and that it works otherwise.

A session of the test runner has no cookie, so each is a visitor of its own.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from run_folders import held, lay_run
from visits import ROOT, RUN, check, names, press, shown, visit

from foster.data_store import DataStore
from foster.launch import launch
from foster.run_label import RunLabel, read_label, write_label
from foster.runs import Run, RunStore
from foster.spec import RunSpec
from foster.ui import guard, managing, state
from foster.visitors import FOLDER, OWNER, owner_of

PAGES = ("app.py", *(f"pages/{path.name}" for path in sorted((ROOT / "pages").glob("*.py"))))
STOPPED, ALIVE = (f"20260921-1000-foster-sample-000{number}" for number in (2, 3))
MINE, OTHERS = "20260921-1100-foster-sample-0011", "20260921-1100-foster-sample-0012"
WHO = "a" * 32


@pytest.fixture
def root(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a finished run on data of somebody, and a stopped one; open to visitors. Nothing really starts."""
    monkeypatch.setenv("FOSTER_PUBLIC", "toys")
    monkeypatch.setenv("FOSTER_QUEUE_LIMIT", "3")
    monkeypatch.setattr("foster.ui.guard.launch", lambda store, spec: store.create(spec))
    lay_run(store, data="/home/ada/secret/shop")
    lay_run(store, STOPPED, "stopped", ready="snapshots")
    return store


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The visitor is the one whose runs `lay_visitors` lays."""
    monkeypatch.setattr(guard, "visitor", lambda: WHO)


def lay_visitors(root: Path, state: str = "queued", ready: str = "nothing") -> tuple[Path, Path]:
    """A run of the visitor and one of another."""
    folders = []
    for name, owner in ((MINE, WHO), (OTHERS, "b" * 32)):
        folder = lay_run(root / FOLDER, name, state, ready=ready)
        (folder / OWNER).write_text(json.dumps({"schema": 1, "owner": owner}))
        folders.append(folder)
    return folders[0], folders[1]


def own(root: Path) -> list[Run]:
    return list(RunStore(root / FOLDER, bundled=None).list())


@pytest.mark.parametrize("page", PAGES)
def test_every_page_tells_the_rules_and_no_folder(page: str, root: Path) -> None:
    app = visit(page, run=RUN)
    assert "You are a visitor here" in shown(app)
    texts = shown(app) + "".join(str(option) for box in app.selectbox for option in box.options)
    assert "/home/ada" not in texts
    assert str(root) not in texts
    assert not app.get("file_uploader")
    assert not any(button.label.startswith(("Delete", "Save", "Empty", "Remove what")) for button in app.button)


@pytest.mark.parametrize("page", PAGES)
def test_without_the_flag_no_page_speaks_of_visitors(page: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOSTER_PUBLIC")
    assert "You are a visitor here" not in shown(visit(page, run=RUN))


def test_words_that_no_server_writes_close_every_page(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOSTER_PUBLIC", "yes")
    for page in PAGES:
        app = visit(page)
        assert "This page stays closed" in shown(app)
        assert not app.button


def test_only_finished_runs_of_the_store_are_listed_and_can_be_taken_away(root: Path) -> None:
    app = visit("pages/runs.py", run=RUN)
    assert STOPPED not in shown(app)
    assert len(app.get("download_button")) == 4
    assert names(app) == {"Close"}
    assert "There is no such run" in shown(visit("app.py", run=STOPPED))
    assert "They take" not in shown(app)


def test_logs_and_reasons_do_not_tell_where_the_server_keeps_things(
    root: Path, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lay_run(root / FOLDER, MINE, "failed", ready="snapshots", error="cannot write /home/ada/x/y.json: full")
    (folder / OWNER).write_text(json.dumps({"schema": 1, "owner": WHO}))
    text = shown(visit("pages/distil.py", run=MINE))
    assert "cannot write …/y.json: full" in text
    assert "3,000 users, 69,066 events" not in text
    monkeypatch.delenv("FOSTER_PUBLIC")
    lay_run(root, ALIVE, "failed", ready="snapshots", error="cannot write /home/ada/x/y.json: full")
    text = shown(visit("pages/distil.py", run=ALIVE))
    assert "cannot write /home/ada/x/y.json: full" in text
    assert "3,000 users, 69,066 events" in text


# --- launching


def test_distil_offers_and_starts_a_toy_apart_from_the_store(root: Path) -> None:
    app = visit("pages/distil.py")
    assert {slider.label: slider.options[-1] for slider in app.select_slider if slider.label != "Regularisation γ"} == {
        "Sequences": "10",
        "Positions in each": "10",
    }
    assert app.slider(key="form-steps").max == 40
    assert app.selectbox(key="url-data").options == ["sample books"]
    press(app, "Distil")
    (run,) = own(root)
    assert run.spec == RunSpec(sequences=10, length=10, steps=40, students=1)
    assert owner_of(run)
    assert "Stop" in names(app), "it is the visitor's own"
    assert {each.id for each in RunStore(root).list()} == {RUN, STOPPED}


def test_a_run_fills_the_form_of_a_toy_as_far_as_it_goes(root: Path) -> None:
    app = visit("pages/distil.py", run=RUN)  # 12 sequences of 8 positions, 300 steps
    press(app, "Distil")
    assert own(root)[0].spec == RunSpec(sequences=10, length=8, steps=40, students=1)


def test_what_a_form_could_not_send_is_refused_where_it_would_start(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page whose form gives more than a toy, as a forged message would."""
    widgets = importlib.import_module("foster.ui.widgets")
    real = widgets.spec_form
    monkeypatch.setattr(widgets, "spec_form", lambda start: replace(real(start), sequences=100))
    app = press(visit("pages/distil.py"), "Distil")
    assert "at most 10 sequences are allowed here, not 100" in shown(app)
    assert own(root) == []


def test_a_visitor_has_a_limit_and_all_together_have_one(root: Path) -> None:
    first, second, third = (visit("pages/distil.py") for _ in range(3))
    for _ in range(2):
        press(first, "Distil")
    press(first, "Distil")
    assert "2 runs at a time is the limit" in shown(first)
    press(second, "Distil")
    press(third, "Distil")
    assert "3 runs of all visitors work or wait, and 3 is the limit" in shown(third)
    assert len(own(root)) == 3
    assert len({owner_of(run) for run in own(root)}) == 2


def test_a_class_launches_any_size_but_still_only_so_many(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOSTER_PUBLIC", "full")
    app = visit("pages/distil.py")
    app.select_slider(key="form-sequences").set_value(100).run()
    press(app, "Distil")
    assert own(root)[0].spec == RunSpec(sequences=100)
    for _ in range(3):
        press(app, "Distil")
    assert "at a time is the limit" in shown(app)
    assert len(own(root)) == 3
    assert not {"Delete", "Delete …", "Save name and note"} & names(visit("pages/runs.py", run=own(root)[0].id))


def test_the_grid_starts_no_full_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_run(root, ALIVE)
    app = visit("pages/compare.py", run=ALIVE, compare="grid", m="5", g="0.1")
    assert "only small runs start here" in shown(app).lower()
    assert app.button(key="start-grid").disabled
    monkeypatch.delenv("FOSTER_PUBLIC")
    app = visit("pages/compare.py", run=ALIVE, compare="grid", m="5", g="0.1")
    button = app.button(key="start-grid")  # a browser can press what is greyed
    monkeypatch.setenv("FOSTER_PUBLIC", "toys")
    assert not button.disabled
    assert "only small runs start here" in shown(check(button.click().run())).lower()
    assert own(root) == []


# --- other people's runs


def test_ones_own_run_is_stopped_and_anothers_is_not(root: Path, known: None) -> None:
    mine, others = lay_visitors(root, "running", "snapshots")
    with held(mine), held(others):
        app = visit("pages/distil.py", run=OTHERS)
        assert "only they can stop, pause or resume it" in shown(app)
        assert not {"Stop", "Pause"} & names(app)
        app = visit("pages/runs.py", run=OTHERS)
        assert "only they can stop, pause or resume it" in shown(app)
        assert not {"Stop", "Pause"} & names(app)
        app = visit("pages/distil.py", run=MINE)
        press(app, "Stop")
    assert (mine / "stop").exists()
    assert not (others / "stop").exists()


@pytest.mark.parametrize("label", ["Stop", "Pause", "Step"])
def test_a_button_of_before_does_not_stop_the_run_of_another(
    label: str, root: Path, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page was drawn for its owner; by the time of the press the session is another visitor's."""
    mine, _ = lay_visitors(root, "running", "snapshots")
    if label == "Step":
        (mine / "pause").touch()
    with held(mine):
        app = visit("pages/distil.py", run=MINE)
        assert label in names(app)
        refused = guard.refusal
        monkeypatch.setattr(guard, "visitor", lambda: "c" * 32)
        monkeypatch.setattr(guard, "refusal", lambda run: "")  # so that the button is drawn all the same
        press(app, label)
        monkeypatch.setattr(guard, "refusal", refused)
    assert "only they can stop, pause or resume it" in shown(app)
    assert not (mine / "stop").exists()
    assert not (mine / "step").exists()
    assert (mine / "pause").exists() == (label == "Step")


def test_a_stopped_run_is_resumed_by_its_owner_only(root: Path, known: None, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed: list[str] = []
    monkeypatch.setattr(guard, "resume", lambda store, run_id: resumed.append(run_id) or store.get(run_id))
    for folder in lay_visitors(root, "stopped", "snapshots"):
        spec = RunSpec(sequences=5, length=5, steps=10, students=1)
        (folder / "spec.json").write_text(json.dumps(spec.to_json()))
        status = json.loads((folder / "status.json").read_text())
        (folder / "status.json").write_text(json.dumps({**status, "heartbeat": 9e9}))
    assert not {"Resume from the last checkpoint"} & names(visit("pages/distil.py", run=OTHERS))
    press(visit("pages/distil.py", run=MINE), "Resume from the last checkpoint")
    assert resumed == [MINE]


def test_ended_runs_of_others_are_not_listed_but_open_by_their_address(root: Path, known: None) -> None:
    lay_visitors(root, "done", "all")
    listed = shown(visit("pages/runs.py"))
    assert MINE in listed
    assert OTHERS not in listed
    assert "There is no such run" not in shown(visit("pages/sequences.py", run=OTHERS))


# --- changing what is kept


def test_no_deed_of_the_runs_page_changes_a_store_that_visitors_look_at(
    root: Path, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page as it is drawn for the owner of the store, whose every button is then pressed as a visitor."""
    mine, _ = lay_visitors(root, "done", "all")
    monkeypatch.delenv("FOSTER_PUBLIC")
    monkeypatch.setattr(state.guard, "store", lambda: RunStore(root / FOLDER))
    write_label(RunStore(root / FOLDER).get(MINE), RunLabel("before"))
    (root / FOLDER / ".cache" / "embeddings").mkdir(parents=True)
    (root / FOLDER / ".cache" / "embeddings" / "x").write_bytes(b"x")

    def pressed(key: str) -> str:
        monkeypatch.delenv("FOSTER_PUBLIC", raising=False)
        app = visit("pages/runs.py", run=MINE)
        if key.startswith("sure-"):
            check(app.button(key=f"delete-{MINE}").click().run())
        if key == "label":
            app.text_input(key=f"name-{MINE}").set_value("after")
        button = next(each for each in app.button if each.key == key or (key == "label" and "Save" in each.label))
        monkeypatch.setenv("FOSTER_PUBLIC", "toys")
        return shown(check(button.click().run()))

    for key in ("label", f"sure-{MINE}", "prune-True", "prune-False"):
        assert "visitors cannot change what is kept here" in pressed(key), key
    assert read_label(RunStore(root / FOLDER).get(MINE)).name == "before"
    assert (root / FOLDER / ".cache" / "embeddings" / "x").exists()
    assert mine.exists()


def test_data_of_others_are_neither_listed_nor_deleted_nor_brought(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    items = pa.table({"item_id": list("abc"), "title": ["A", "B", "C"]})
    events = pa.table({"user_id": ["u"] * 3, "item_id": list("abc"), "timestamp": [1, 2, 3]})
    slug = DataStore(RunStore(root)).save("shop", items, events)
    monkeypatch.setenv("FOSTER_DATA", "/home/ada/films")
    app = visit("pages/data.py", view="bring")
    assert app.selectbox(key="url-data").options == ["sample books, comes with foster"]
    assert not app.get("file_uploader")
    assert "There is no such data set" in shown(visit("pages/data.py", data=slug))
    monkeypatch.delenv("FOSTER_PUBLIC")
    monkeypatch.delenv("FOSTER_DATA")
    app = visit("pages/data.py", data=slug)
    button = app.button(key="delete-data")
    monkeypatch.setenv("FOSTER_PUBLIC", "toys")
    check(button.click().run())
    assert DataStore(RunStore(root)).list() == (slug,)


def test_the_owner_of_a_private_app_changes_what_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOSTER_PUBLIC")
    monkeypatch.setattr(guard, "launch", launch)
    app = visit("pages/runs.py", run=RUN)
    app.text_input(key=f"name-{RUN}").set_value("mine")
    press(app, "Save name and note")
    assert read_label(RunStore(root).get(RUN)).name == "mine"
    assert managing.SAID not in app.session_state
