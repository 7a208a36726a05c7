"""The Runs page and the Take away panel: listed, named, deleted, pruned, taken away; and a launch without room."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from run_folders import HOSTILE, held, lay_run
from streamlit.runtime.media_file_manager import MediaFileManager
from visits import RUN, check, check_escaped, names, press, shown, visit

from foster.run_label import RunLabel, read_label, write_label
from foster.runs import RunState, RunStore
from foster.ui import takeaway

PAGE = "pages/runs.py"
OTHER = "20260921-1000-foster-sample-0002"


@pytest.fixture
def store(store: Path) -> RunStore:
    """The empty one, opened."""
    return RunStore(store, bundled=None)


def test_an_empty_store_says_so_and_is_not_made(store: RunStore) -> None:
    app = visit(PAGE)
    assert "No run yet" in shown(app)
    assert not store.root.exists()


def test_runs_are_listed_with_state_name_result_and_size(store: RunStore) -> None:
    folder = lay_run(store.root)
    lay_run(store.root, OTHER, "failed", ready="snapshots", error="no GPU", age=60.0)
    write_label(store.get(RUN), RunLabel("My first", "shown in class"))
    (store.cache / "trajectories").mkdir(parents=True)
    (store.cache / "trajectories" / "x").write_bytes(b"x" * 4_200)
    text = shown(visit(PAGE))
    for said in ("My first", "shown in class", "Finished", "Failed", "0.131 ± 0.004, n = 3", "no result", "4.2 kB"):
        assert said in text, said
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert f"{size / 1000:.0f} kB" in text
    assert text.index("My first") < text.index(OTHER), "the newest first"


def test_a_folder_that_is_no_run_is_told_without_its_path(store: RunStore) -> None:
    lay_run(store.root)
    (store.root / "Foreign").mkdir()
    text = shown(visit(PAGE))
    assert "1 folder in the store cannot be read as a run: Foreign." in text
    assert str(store.root) not in text


def test_many_runs_have_pages_and_the_address_opens_the_right_one(store: RunStore) -> None:
    for number in range(12):
        lay_run(store.root, f"20260921-1000-foster-sample-{number:04d}", ready="nothing", age=float(number))
    app = visit(PAGE)
    assert sum(label == "Manage" for label in (button.label for button in app.button)) == 10
    app = visit(PAGE, run="20260921-1000-foster-sample-0011")
    assert app.button(key="manage-20260921-1000-foster-sample-0011").label == "Close"
    app = visit(PAGE, q="sample-0003")
    assert "1 run of 12 with “sample-0003”." in shown(app)
    assert sum(button.label == "Manage" for button in app.button) == 1


def test_a_run_is_named_and_noted(store: RunStore) -> None:
    lay_run(store.root)
    app = visit(PAGE)
    check(app.button(key=f"manage-{RUN}").click().run())
    assert app.query_params["run"] in (RUN, [RUN])
    app.text_input(key=f"name-{RUN}").set_value("<b>Mine</b>")
    app.text_area(key=f"note-{RUN}").set_value("line one\nline two")
    press(app, "Save name and note")
    assert read_label(store.get(RUN)) == RunLabel("<b>Mine</b>", "line one\nline two")
    assert "are kept." in shown(app)
    assert "<b>Mine</b>" in shown(app)
    assert all("<b>Mine" not in each.proto.body for each in app.get("html"))
    picker = app.selectbox(key="url-run")
    assert any(option.startswith("<b>Mine</b> · sample books") for option in picker.options)


def test_a_run_is_deleted_only_when_confirmed(store: RunStore) -> None:
    lay_run(store.root)
    lay_run(store.root, OTHER)
    app = visit(PAGE, run=RUN)
    check(app.button(key=f"delete-{RUN}").click().run())
    assert "for good?" in shown(app)
    check(app.button(key=f"keep-{RUN}").click().run())
    assert "for good?" not in shown(app)
    check(app.button(key=f"delete-{RUN}").click().run())
    assert store.get(RUN)
    check(app.button(key=f"sure-{RUN}").click().run())
    assert f"Run {RUN} is deleted." in shown(app)
    assert "run" not in app.query_params
    assert [run.id for run in store.list()] == [OTHER]
    check(app.run())
    assert "is deleted." not in shown(app), "said once"


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_live_run_can_be_stopped_but_not_deleted(store: RunStore, state: str) -> None:
    folder = lay_run(store.root, state=state, ready="snapshots")
    with held(folder):
        app = visit(PAGE, run=RUN)
        assert app.button(key=f"delete-{RUN}").disabled
        check(app.button(key=f"stop-{RUN}").click().run())
        assert (folder / "stop").exists()


def test_a_run_that_came_alive_meanwhile_is_not_deleted(store: RunStore) -> None:
    folder = lay_run(store.root, state="stopped")
    app = visit(PAGE, run=RUN)
    check(app.button(key=f"delete-{RUN}").click().run())
    with held(folder):
        check(app.button(key=f"sure-{RUN}").click().run())
    assert "another process works on it" in shown(app)
    assert store.get(RUN)


def test_a_lost_run_is_resumed(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("foster.ui.guard.resume", lambda store, run_id: asked.append(run_id))
    lay_run(store.root, state="running", ready="snapshots")
    check(visit(PAGE, run=RUN).button(key=f"resume-{RUN}").click().run())
    assert asked == [RUN]


def test_a_shipped_run_is_listed_and_left_alone(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = runs_folder.parent / "shipped"
    monkeypatch.setattr("foster.runs.RunStore.__init__.__defaults__", (shipped,))
    lay_run(shipped)
    app = visit(PAGE, run=RUN)
    assert "cannot be renamed or deleted" in shown(app)
    assert not {"Save name and note", "Delete …", "Delete"} & names(app)
    assert app.get("download_button")


def test_the_cache_is_pruned_and_a_live_run_prevents_it(store: RunStore) -> None:
    folder = lay_run(store.root)
    (folder / "cache.json").write_text(json.dumps({"schema": 1, "uses": ["embeddings/kept"]}))
    (store.cache / "embeddings").mkdir(parents=True)
    for name in ("kept", "gone"):
        (store.cache / "embeddings" / name).write_bytes(b"x" * 1_000)
    app = visit(PAGE)
    check(app.button(key="prune-False").click().run())
    assert "1 entry removed, 1.0 kB freed." in shown(app)
    assert [path.name for path in (store.cache / "embeddings").iterdir()] == ["kept"]
    with held(lay_run(store.root, OTHER, "running")):
        check(app.button(key="prune-True").click().run())
    assert "cannot prune the cache" in shown(app)
    assert (store.cache / "embeddings" / "kept").exists()


def test_hostile_names_and_notes_are_text(store: RunStore) -> None:
    for number, text in enumerate(HOSTILE):
        folder = lay_run(
            store.root, f"20260921-1000-foster-sample-{number:04d}", data=f"/data/{text[:60].replace('/', '')}"
        )
        (folder / "label.json").write_text(json.dumps({"schema": 1, "name": text[:80], "note": text[:2000]}))
    for page in ("1", "2"):
        app = visit(PAGE, page=page)
        check_escaped(app)
        for kind in ("markdown", "caption"):
            assert not app.get(kind)


# --- take away


def test_nothing_is_made_before_its_button_is_pressed(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr("foster.exporters.finished.read_finished", made.append)
    lay_run(store.root)
    app = visit("pages/sequences.py", run=RUN)
    assert [each.proto.label for each in app.get("download_button")] == [
        *("Download the zip", "Download the report", "CSV", "Parquet")
    ]
    assert made == []


def test_an_unfinished_run_has_nothing_to_take_away(store: RunStore) -> None:
    lay_run(store.root, state="stopped", ready="snapshots")
    app = visit("pages/sequences.py", run=RUN)
    assert "once it is finished" in shown(app)
    assert not app.get("download_button")


def test_what_the_buttons_make_is_the_export(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    deferred: dict[str, Callable[[], bytes]] = {}

    def keep(
        self: MediaFileManager, data: Callable[[], bytes], *args: object, file_name: str, **options: object
    ) -> str:
        deferred[file_name] = data
        return "0" * 8

    monkeypatch.setattr(MediaFileManager, "add_deferred", keep)
    lay_run(store.root, titles=HOSTILE, sequences=3, length=4)
    visit("pages/sequences.py", run=RUN)
    made = {name.removeprefix(f"foster-{RUN}"): make() for name, make in deferred.items()}
    assert set(made) == {".zip", ".html", ".csv", ".parquet"}
    with zipfile.ZipFile(io.BytesIO(made[".zip"])) as archive:
        assert archive.read(f"foster-{RUN}/report.html") == made[".html"]
        assert archive.read(f"foster-{RUN}/sequences.csv") == made[".csv"]
        assert archive.read(f"foster-{RUN}/sequences.parquet") == made[".parquet"]
    assert b"\"'=cmd|" in takeaway._table(store.get(RUN), "items.csv")


def test_a_launch_without_room_is_refused(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 400_000_000

    monkeypatch.setattr("foster.disk.shutil.disk_usage", lambda path: Full)
    app = visit("pages/distil.py")
    press(app, "Distil")
    assert "only 400 MB are free" in shown(app)
    assert "foster cache prune" in shown(app)
    assert not [run for run in store.list() if run.status().state is RunState.QUEUED]
