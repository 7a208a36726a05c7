"""The Data page and what it hands to Distil: look inside, bring one's own, refuse, save, delete."""

from __future__ import annotations

import importlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from run_folders import HOSTILE, lay_run
from streamlit.testing.v1 import AppTest
from visits import RUN, check, check_escaped, names, press, shown, visit

from foster.data_store import DataStore
from foster.runs import RunStore
from foster.spec import RunSpec
from foster.ui import state, widgets

PAGE = "pages/data.py"

LOG = "reader;book;when;title;genre\n" + "".join(
    f"r{reader};b{book};2020-01-{step + 1:02d};Book {book};{'sf' if book % 2 else 'love'}\n"
    for reader in range(6)
    for step in range(5)
    for book in [(reader + step) % 7]
)
EXTRA = "r0;b0;2020-01-01;Book 0;love\nr9;b1;2020-01-01;Book 1;sf\n;b1;2020-01-01;Book 1;sf\n"


@pytest.fixture
def store(runs_folder: Path) -> DataStore:
    """An empty one. The shipped runs stay: Distil guesses from them how long a run takes."""
    return DataStore(RunStore(runs_folder))


def upload(app: AppTest, log: str | bytes, name: str = "my log.csv", items: str | None = None) -> AppTest:
    app.file_uploader(key="upload-log").set_value((name, log if isinstance(log, bytes) else log.encode(), "text/csv"))
    if items is not None:
        app.file_uploader(key="upload-items").set_value(("items.csv", items.encode(), "text/csv"))
    return check(app.run())


def column(app: AppTest, label: str) -> str | None:
    return next(box.value for box in app.selectbox if box.label == label)


# --- looking


def test_the_sample_is_opened_up(store: DataStore) -> None:
    app = visit(PAGE)
    text = shown(app)
    for said in ("3,000", "953", "69,657", "Half of the users have at most 21 events", "for validation", "for the test",
                 "Leave one out", "63,657 events are the training log", "Nothing: every row"):  # fmt: skip
        assert said in text
    assert "The books are real, the readers are simulated." in [each.value for each in app.caption]
    assert len(app.get("plotly_chart")) == 2
    assert all(chart.proto.alt for chart in app.get("plotly_chart"))
    assert len(app.dataframe[0].value) == 953
    assert not store.runs.root.exists(), "looking writes nothing"


def test_five_others_are_others_and_the_address_holds_them(store: DataStore) -> None:
    app = visit(PAGE)
    before = shown(app)
    press(app, "Five others")
    assert app.query_params["five"] == "1"
    assert shown(app) != before
    assert shown(visit(PAGE, five="1")) == shown(app)


def test_titles_are_searched_in_the_address(store: DataStore) -> None:
    app = visit(PAGE, q="BEACH")
    found = app.dataframe[0].value["Title"].tolist()
    assert found
    assert all("beach" in title.lower() for title in found)
    assert f"{len(found)} item" in shown(app)
    assert "0 items with “no such title” in the title" in shown(visit(PAGE, q="no such title"))


@pytest.mark.parametrize(
    "query", [{"data": "../../etc"}, {"data": "<b>"}, {"five": "-1"}, {"five": "9" * 40}, {"view": "x"}]
)
def test_nonsense_in_the_address_is_refused_or_ignored(query: dict[str, str], store: DataStore) -> None:
    assert ("There is no such data set" in shown(visit(PAGE, **query))) == ("data" in query)


def test_folders_of_the_server_are_listed_without_their_path(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secret" / "Films"
    folder.mkdir(parents=True)
    (folder / "items.csv").write_text("item_id,title\na,A\nb,B\n")
    monkeypatch.setenv("FOSTER_DATA", os.pathsep.join([str(folder), "/gone/away"]))
    app = visit(PAGE, data="films")
    assert "This data set cannot be read" in shown(app), "half of it is missing"
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2\nu,a,3\nu,zzz,4\nx,a,1\n")
    text = shown(check(app.run()))
    assert "Events of unknown items: <b>1</b>" in text
    assert "Users with fewer than 3 events: <b>1</b>" in text
    assert "100\u00a0% of the test items were taken by the same user before" in text
    gone = shown(visit(PAGE, data="away"))
    assert "cannot be read" in gone
    assert "secret" not in text
    assert "/gone" not in gone


def test_a_run_opens_the_data_it_is_made_of(store: DataStore, tmp_path: Path) -> None:
    slug = save(store)
    lay_run(tmp_path / "runs")
    spec = tmp_path / "runs" / RUN / "spec.json"
    spec.write_text(json.dumps({**json.loads(spec.read_text()), "data": str(store.path(slug))}))
    assert "<dd>3</dd>" in shown(visit(PAGE, run=RUN)), "three items"


# --- bringing


def save(store: DataStore, titles: tuple[str, ...] = ("A", "B", "C")) -> str:
    import pyarrow as pa

    items = [f"i{number}" for number in range(len(titles))]
    events = {"user_id": ["u"] * len(items), "item_id": items, "timestamp": [float(n) for n in range(len(items))]}
    return store.save("my shop", pa.table({"item_id": items, "title": list(titles)}), pa.table(events))


def test_a_log_is_brought_previewed_saved_and_distilled(store: DataStore, launched: list[RunSpec]) -> None:
    app = visit(PAGE, view="bring")
    assert "Nothing leaves this machine" in shown(app)
    upload(app, LOG + EXTRA, "My Café log.csv")
    assert [column(app, label) for label in ("Users", "Items", "Times", "Titles")] == [
        "reader",
        "book",
        "when",
        "title",
    ]
    assert app.multiselect[0].value == ["genre"]
    assert app.dataframe[0].value.iloc[0].tolist() == ["r0", "b0", "2020-01-01", "Book 0", "love"]
    text = shown(app)
    for said in ("Exact duplicate rows: <b>1</b>", "Users with fewer than 3 events: <b>1</b>",
                 "Events with a missing id: <b>1</b>", "of 33 rows", "Book 0; genre: love"):  # fmt: skip
        assert said in text
    assert not store.root.exists(), "nothing is written before it is asked for"
    press(app, "Save this log")
    assert store.list() == ("my-cafe-log",)
    assert app.query_params["data"] == "my-cafe-log"
    assert "Saved" in shown(app)
    assert "Leave one out" in shown(app)
    assert "Exact duplicate rows: <b>1</b>" in shown(app), "what was left out is still told"

    distil = visit("pages/distil.py", data="my-cafe-log")
    assert "6 users, 7 items, 30 events. About " in shown(distil)
    press(distil, "Distil")
    assert launched == [RunSpec(data=str(store.path("my-cafe-log")))]


@pytest.mark.parametrize(
    ("users", "events", "few"),
    [
        (49, 7, "49 users and 245 training events: with fewer than 50 users results"),
        (50, 5, "50 users and 150 training events: with fewer than 200 training events results"),
        (9, 4, "9 users and 18 training events: with fewer than 50 users and fewer than 200 training events results"),
        (50, 6, ""),
    ],
)
def test_a_very_small_log_is_told_to_say_little_and_not_refused(
    store: DataStore, users: int, events: int, few: str
) -> None:
    """Of each user's events one is for validation and one for the test."""
    log = "user,item,time,title\n" + "".join(
        f"u{user},i{(user + step) % 11},{step},Book {(user + step) % 11}\n"
        for user in range(users)
        for step in range(events)
    )
    app = upload(visit(PAGE, view="bring"), log)
    for page in (app, press(app, "Save this log")):
        text = shown(page)
        assert ("A very small log" in text) == bool(few)
        assert few in text
    assert store.list() == ("my-log",)


def test_titles_may_come_in_a_second_file(store: DataStore) -> None:
    items = "code,name,maker\n" + "".join(f"b{n},Real {n},X\n" for n in range(7))
    app = upload(visit(PAGE, view="bring"), LOG, items=items)
    assert "Not all columns are known yet" in shown(app)
    check(next(box for box in app.selectbox if box.label == "Items, in the file of items").set_value("code").run())
    assert column(app, "Titles") == "name"
    assert "Real 0; maker: X" in shown(app)
    press(app, "Save this log")
    assert pd.read_parquet(store.path("my-log") / "items.parquet").columns.tolist() == ["item_id", "title", "maker"]


def test_parquet_and_json_lines_are_brought_too(store: DataStore) -> None:
    frame = pd.read_csv(io.StringIO(LOG), sep=";")
    parquet = frame.to_parquet(index=False)
    for name, content in (("x.parquet", parquet), ("x.jsonl", frame.to_json(orient="records", lines=True).encode())):
        assert "of 30 rows" in shown(upload(visit(PAGE, view="bring"), content, name))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (LOG.replace("Book", "Böök").encode("latin-1"), "is not UTF-8 text; save the file as UTF-8"),
        (LOG.replace("2020-01-02", "tomorrow").encode(), "'tomorrow' is not a time"),
        (b"reader;book;when;title\nr;b;1;T\n", "no user has 3 events or more"),
        (b"a,b\n1,2\n", "Choose the columns of users, items, times and titles. If the titles are"),
        (b"a,b\n1,2,3\n", "is not a readable table"),
        (b"\x00\xff" * 1000, "is not UTF-8"),
    ],
)
def test_what_cannot_be_handled_is_refused_with_a_way_forward(store: DataStore, content: bytes, said: str) -> None:
    app = upload(visit(PAGE, view="bring"), content)
    assert said in shown(app)
    assert "Save this log" not in names(app)
    assert not store.root.exists()


def test_a_file_keeps_its_name_where_it_is_refused(store: DataStore) -> None:
    said = shown(upload(visit(PAGE, view="bring"), b"", "my orders.csv"))
    assert "my_orders.csv is empty" in said


def test_one_column_for_two_things_is_refused(store: DataStore) -> None:
    app = upload(visit(PAGE, view="bring"), LOG)
    check(next(box for box in app.selectbox if box.label == "Items").set_value("reader").run())
    assert "choose different ones" in shown(app)


def test_hostile_files_are_text_and_stay_in_their_place(store: DataStore) -> None:
    rows = [{"user <b>": f"u{u}", "item": f"i{i}", "title": title, "time": i}
            for u in range(2) for i, title in enumerate(HOSTILE)]  # fmt: skip
    log = "".join(json.dumps(row) + "\n" for row in rows)
    app = upload(visit(PAGE, view="bring"), log, "../../../<script>alert(1)</script>\u202e.jsonl")
    check(next(box for box in app.selectbox if box.label == "Users").set_value("user <b>").run())
    press(app, "Save this log")
    (slug,) = store.list()
    for page in (app, visit(PAGE, data=slug, q="<")):
        check_escaped(page)
        for kind in ("markdown", "caption"):
            assert not any("owned" in str(each.value) or "alert" in str(each.value) for each in page.get(kind))
    assert len(visit(PAGE, data=slug).dataframe[0].value) == len(HOSTILE)


def test_without_uploads_there_is_no_way_to_bring_or_delete(store: DataStore, monkeypatch: pytest.MonkeyPatch) -> None:
    slug = save(store)
    module, real = importlib.import_module("foster.ui.frame"), state.select
    monkeypatch.setattr(module, "select", lambda *given: replace(real(*given), uploads=False))
    app = visit(PAGE, view="bring", data=slug)
    assert not app.get("file_uploader")
    assert "Leave one out" in shown(app)
    assert not any("Delete" in button.label for button in app.button)


# --- taking away


def test_a_data_set_is_deleted_when_asked_twice_and_never_under_a_run(store: DataStore) -> None:
    slug = save(store)
    run = store.runs.create(RunSpec(data=str(store.path(slug))))
    app = visit(PAGE, data=slug)
    assert "It is used by 1 run" in shown(app)
    assert "delete-data" not in {button.key for button in app.button}
    (run.path / "status.json").unlink()
    (run.path / "spec.json").unlink()
    check(app.run())
    check(app.button(key="delete-data").click().run())
    assert store.list() == ()
    assert "data" not in app.query_params
    assert "3,000" in shown(app), "the sample again"


def test_the_sample_and_folders_of_the_server_cannot_be_deleted(store: DataStore) -> None:
    assert "delete-data" not in {button.key for button in visit(PAGE).button}


# --- the form


def test_the_form_offers_the_servers_encoders_only(
    store: DataStore, launched: list[RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any(box.label == "Text encoder" for box in visit("pages/distil.py").selectbox)
    monkeypatch.setenv("FOSTER_ENCODERS", os.pathsep.join(["org/model", "/srv/secret/tiny"]))
    app = visit("pages/distil.py")
    box = app.selectbox(key="form-encoder")
    assert box.options == ["MiniLM, the default", "org/model", "tiny"]
    check(app.selectbox(key="form-encoder").set_value("/srv/secret/tiny").run())
    press(app, "Distil")
    assert [spec.encoder for spec in launched] == ["/srv/secret/tiny"]


def test_an_encoder_that_is_not_listed_is_never_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forged message can put any text into a widget's value."""
    monkeypatch.setenv("FOSTER_ENCODERS", "org/model")
    monkeypatch.setattr("streamlit.selectbox", lambda *given, **more: "/etc/passwd")
    monkeypatch.setattr("streamlit.number_input", lambda *given, **more: 1)  # without a session it would say 0
    spec = widgets.spec_form(RunSpec())
    assert spec is not None
    assert spec.encoder == "minilm"


def test_the_form_does_not_launch_on_data_that_is_not_there(store: DataStore, tmp_path: Path) -> None:
    app = visit("pages/distil.py", data="gone")
    assert "There is no such data set" in shown(app)
    slug = save(store)
    (store.path(slug) / "items.parquet").write_bytes(b"damaged")
    app = visit("pages/distil.py", data=slug)
    assert "This data set cannot be read" in shown(app)
    assert next(button for button in app.button if button.label == "Distil").disabled
