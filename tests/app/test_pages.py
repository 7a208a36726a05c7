"""Every page in every state of a run, through streamlit's test runner: nothing raised, the right words shown."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S
from run_folders import HOSTILE, TITLES, held, lay_run
from streamlit.testing.v1 import AppTest

from foster.run_label import RunLabel, write_label
from foster.runs import RunStore
from foster.spec import RunSpec

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("app.py", "pages/distil.py", "pages/sequences.py", "pages/map.py")
RUN = "20260921-1000-foster-sample-0001"

Open = Callable[..., AppTest]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store without the shipped runs."""
    monkeypatch.setenv("FOSTER_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("FOSTER_DATA", raising=False)
    monkeypatch.setattr("foster.runs.RunStore.__init__.__defaults__", (None,))
    return tmp_path / "runs"


@pytest.fixture
def visit() -> Open:
    """Opens a page, with what its address asks for."""

    def visit(page: str, /, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE_S)
        for name, value in query.items():
            app.query_params[name] = value
        if page != "app.py":
            app.switch_page(page)
        return check(app.run())

    return visit


def check(app: AppTest) -> AppTest:
    assert not app.exception, [each.value for each in app.exception]
    return app


def shown(app: AppTest) -> str:
    """All text of the page, as a person reads it."""
    parts = [html.unescape(each.proto.body) for each in app.get("html")]
    for kind in ("text", "markdown", "caption", "code"):
        parts += [str(each.value) for each in app.get(kind)]
    return "\n".join(parts)


def strings(value: object) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings(each)


def containers(app: AppTest) -> set[str]:
    """The keys of the page's containers, to which the style sheet refers."""

    def inside(block: Any) -> Iterator[str]:
        for each in getattr(block, "children", {}).values():
            if (proto := getattr(each, "proto", None)) is not None and getattr(proto, "id", ""):
                yield str(proto.id)
            yield from inside(each)

    return {name.split("-", 2)[-1] for name in inside(app.main)}


def links(app: AppTest) -> dict[str, str]:
    return {each.proto.label: each.proto.query_string for each in app.get("page_link")}


def names(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_offers_the_way_on(page: str, store: Path, visit: Open) -> None:
    app = visit(page)
    said = "Nothing is running" if page == "pages/distil.py" else "No run yet"
    assert said in shown(app)
    assert {"Start", "Distil", "Sequences", "Map", "Learn"} <= set(links(app))
    assert not store.exists(), "looking writes nothing"


@pytest.mark.parametrize("page", PAGES)
def test_a_finished_run_is_shown_and_links_keep_it(page: str, store: Path, visit: Open) -> None:
    lay_run(store)
    app = visit(page, run=RUN, sequence="2")
    assert links(app)["Map"] == f"run={RUN}&sequence=2"
    text = shown(app)
    assert {
        "app.py": "87\u00a0% of what the whole log teaches",
        "pages/distil.py": "0.131 ± 0.004, n = 3",
        "pages/sequences.py": "and is taught to recommend",
        "pages/map.py": f"All {len(TITLES)} items",
    }[page] in text
    assert page != "pages/map.py" or app.get("plotly_chart")


@pytest.mark.parametrize(
    ("name", "told"),
    [("", "run-name"), ("Half of the users", "run-name"), ("本" * 60, "run-name always")],
)
def test_the_name_of_the_chosen_run_is_shown_whole(name: str, told: str, store: Path, visit: Open) -> None:
    """In the picker as far as there is room for it, and beneath it where there may be too little."""
    write_label(RunStore(store, bundled=None).get(lay_run(store).name), RunLabel(name))
    app = visit("pages/sequences.py", run=RUN)
    (label,) = app.selectbox(key="url-run").options
    assert name in label
    assert f'<p class="{told}">{label}</p>' in shown(app)


@pytest.mark.parametrize("page", PAGES)
def test_an_unknown_run_is_named_and_the_others_are_offered(page: str, store: Path, visit: Open) -> None:
    lay_run(store)
    app = visit(page, run="../../etc/<b>passwd")
    assert "There is no such run" in shown(app)
    assert RUN in links(app)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("ready", ["nothing", "snapshots"])
@pytest.mark.parametrize(
    ("state", "said"),
    [("queued", "Starting…"), ("failed", "no GPU"), ("stopped", "Stopped on request"), ("running", "Lost")],
)
def test_an_unfinished_run_says_where_it_stands(
    page: str, ready: str, state: str, said: str, store: Path, visit: Open
) -> None:
    """A run that says running while nobody holds its lock is lost."""
    lay_run(store, state=state, ready=ready, error="this machine has no GPU" if state == "failed" else None)
    app = visit(page, run=RUN)
    assert said in shown(app)
    assert ("Resume from the last checkpoint" in names(app)) == (state != "queued")


@pytest.mark.parametrize("page", PAGES)
def test_a_running_run_shows_what_it_has(page: str, store: Path, visit: Open) -> None:
    with held(lay_run(store, state="running", ready="snapshots")):
        app = visit(page, run=RUN)
        text = shown(app)
    assert "55\u00a0%" in text or page == "pages/distil.py"
    if page == "pages/distil.py":
        assert {"Pause", "Stop"} <= names(app)
        assert app.get("plotly_chart")
        assert "Now: step 160 of 300." in text
    if page == "pages/sequences.py":
        assert "Sequence 1" in text
    if page == "pages/map.py":
        assert "No map yet" in text


def test_a_queued_run_waits_only_for_what_is_ahead_of_it(store: Path, visit: Open) -> None:
    first, second, third = (RUN.replace("0001", f"000{number}") for number in (1, 2, 3))
    for number, run_id in enumerate((third, second)):
        lay_run(store, run_id, "queued", ready="nothing", age=60.0 * number)
    for page in PAGES:
        assert "Starting…" in shown(visit(page, run=second))
        assert "Waiting in the queue" in shown(visit(page, run=third))
    with held(lay_run(store, first, "running", ready="nothing")):
        assert "Waiting in the queue" in shown(visit("pages/distil.py", run=second)), "one is at work"


def test_a_run_at_work_is_marked_so_that_a_narrow_screen_shows_it_first(store: Path, visit: Open) -> None:
    style = (ROOT / "foster" / "ui" / "style.css").read_text(encoding="utf-8")
    assert ".st-key-distil-working" in style
    lay_run(store)
    assert containers(visit("pages/distil.py", run=RUN)) >= {"distil-resting", "sight"}
    working = RUN.replace("0001", "0002")
    with held(lay_run(store, working, "running", ready="snapshots")):
        assert containers(visit("pages/distil.py", run=working)) >= {"distil-working", "sight"}


def test_pause_stop_and_resume_leave_their_marks(store: Path, visit: Open) -> None:
    folder = lay_run(store, state="running", ready="snapshots")
    with held(folder):
        app = visit("pages/distil.py", run=RUN)
        check(app.button(key="pause").click().run())
        assert (folder / "pause").exists()
        assert "Resume" in names(app)
        check(app.button(key="resume").click().run())
        assert not (folder / "pause").exists()
        check(app.button(key="stop").click().run())
        assert (folder / "stop").exists()


def test_a_lost_run_is_resumed(store: Path, visit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("foster.ui.guard.resume", lambda store, run_id: asked.append(run_id))
    lay_run(store, state="running", ready="snapshots")
    check(visit("pages/distil.py", run=RUN).button(key=f"resume-{RUN}").click().run())
    assert asked == [RUN]


def test_the_form_launches_what_it_says(store: Path, visit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    launched = []

    def launch(store: object, spec: object) -> object:
        launched.append(spec)
        return store.create(spec)  # type: ignore[attr-defined]

    monkeypatch.setattr("foster.ui.guard.launch", launch)
    app = visit("pages/distil.py")
    app.select_slider(key="form-sequences").set_value(5)
    app.select_slider(key="form-length").set_value(10)
    app.number_input(key="form-steps").set_value(30)
    check(app.run())
    assert "50 positions, stored in at most 13 kB" in shown(app)
    check(next(button for button in app.button if button.label == "Distil").click().run())
    assert launched == [RunSpec(sequences=5, length=10, steps=30)]
    assert "Starting…" in shown(app)
    assert app.query_params["run"]


def test_a_set_as_large_as_the_log_is_said_to_save_no_bytes(store: Path, visit: Open) -> None:
    said = "about as much: what is saved is training time and sequences to read, not bytes."
    app = visit("pages/distil.py")  # 20 × 20 on the sample
    assert said in shown(app)
    app.select_slider(key="form-sequences").set_value(5)
    assert said not in shown(check(app.run()))


def test_a_gpu_that_is_not_there_is_refused_before_there_is_a_run(
    store: Path, visit: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    app = visit("pages/distil.py")
    app.button_group(key="form-device").set_value("cuda")
    app = check(next(button for button in app.button if button.label == "Distil").click().run())
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
    store: Path, visit: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOSTER_DATA", "/srv/films")
    odd = {"sequences": 17, "length": 9, "regularisation": 0.07, "steps": 123, "students": 5, "seed": 42}
    odd |= {"tuned_layers": 2}
    first = varied(lay_run(store), **odd, device="cpu", report_test=True, data="/srv/films")
    second = varied(lay_run(store, RUN.replace("0001", "0002")), steps=None, seed=7)
    untouched = form(visit("pages/distil.py"))
    app = visit("pages/distil.py", run=RUN)
    assert form(app) == first
    assert form(visit("pages/distil.py")) == untouched

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
    app.switch_page("pages/distil.py")
    assert form(check(app.run())) == second | {"seed": 8}, "a switch of pages keeps it"


def test_a_run_on_data_that_are_not_listed_fills_the_rest_of_the_form(store: Path, visit: Open) -> None:
    lay_run(store, data="/srv/secret/films", sequences=5)
    varied(store / RUN, sequences=5)
    app = visit("pages/distil.py", run=RUN)
    assert form(app)["sequences"] == 5
    assert "The data of the run are not listed here" in shown(app)
    assert "secret" not in shown(app)


def test_an_encoder_that_is_not_listed_is_told_and_replaced(store: Path, visit: Open) -> None:
    lay_run(store)
    varied(store / RUN, encoder="/srv/secret/encoder")
    app = visit("pages/distil.py", run=RUN)
    assert "does not list the text encoder of the run, encoder: MiniLM reads" in shown(app)
    assert "secret" not in shown(app)
    assert "does not list" not in shown(visit("pages/distil.py"))


def test_data_folders_come_from_the_server_and_hide_their_path(
    store: Path, visit: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOSTER_DATA", os.pathsep.join(["/srv/secret/films", "/srv/other/films"]))
    app = visit("pages/distil.py")
    assert app.selectbox(key="url-data").options == ["sample books", "films (secret)", "films (other)"]


def test_hostile_titles_are_text_everywhere(store: Path, visit: Open) -> None:
    lay_run(store, titles=HOSTILE, categories=HOSTILE, sequences=3, length=4)
    for page in PAGES:
        for query in ({}, {"sequence": "1", "q": "<"}, {"step": "0"}):
            app = visit(page, run=RUN, **query)
            for each in app.get("html"):
                assert "<script" not in each.proto.body
                assert "<img" not in each.proto.body
                assert "\u202e" not in each.proto.body
            for kind in ("markdown", "caption"):
                assert not any("owned" in str(each.value) or "**bold**" in str(each.value) for each in app.get(kind))
            for chart in app.get("plotly_chart"):
                for text in strings(json.loads(chart.proto.spec)):
                    text = text.replace("<br>", "").replace("<extra></extra>", "")  # our own hover templates
                    assert "<" not in text
                    assert "$" not in text


def test_the_scrubber_changes_titles_and_the_address(store: Path, visit: Open) -> None:
    lay_run(store)
    app = visit("pages/sequences.py", run=RUN)
    slider = app.select_slider(key="url-step")
    assert slider.value == "result"
    before = shown(app)
    check(slider.set_value("0").run())
    assert app.query_params["step"] == "0"
    assert shown(app) != before
    check(app.select_slider(key="url-step").set_value("result").run())
    assert "step" not in app.query_params


def test_search_keeps_the_sequences_that_hold_the_title(store: Path, visit: Open) -> None:
    lay_run(store)
    app = visit("pages/sequences.py", run=RUN)
    check(app.text_input(key="url-q").input("dune").run())
    assert app.query_params["q"] == "dune"
    assert 'class="found"' in "".join(each.proto.body for each in app.get("html"))
    assert "“dune”" in shown(app)
    check(app.text_input(key="url-q").input("no such title at all").run())
    assert "No shown title holds" in shown(app)


def test_a_sequence_opens_to_its_alternatives(store: Path, visit: Open) -> None:
    lay_run(store)
    app = visit("pages/sequences.py", run=RUN)
    assert "and is taught to recommend" not in shown(app)
    check(app.button(key="open-3").click().run())
    assert app.query_params["sequence"] == "4"
    assert "and is taught to recommend" in shown(app)
    assert "Nearest real user of its hard form: <bdi>u0003" in shown(app)


def test_the_hard_form_has_no_weights(store: Path, visit: Open) -> None:
    lay_run(store)
    soft = shown(visit("pages/sequences.py", run=RUN))
    assert 'class="weight"' in soft
    assert "plain lists reach" not in soft
    hard = shown(visit("pages/sequences.py", run=RUN, form="hard"))
    assert 'class="title"' in hard
    assert 'class="weight"' not in hard
    assert re.search(
        r"Fresh students on these plain lists reach Recall@10 0\.\d{3} on \w+ items, \d+\u00a0% of full data", hard
    )


def test_the_map_lists_what_a_search_finds(store: Path, visit: Open) -> None:
    lay_run(store)
    app = visit("pages/map.py", run=RUN, q="emma", colour="synthetic mass", sight="text", sequence="2")
    assert "1 item with “emma” in the title" in shown(app)
    assert app.dataframe[0].value["title"].tolist() == ["Emma"]


@pytest.mark.parametrize("query", [{"step": "x"}, {"sequence": "-1"}, {"page": "99"}, {"colour": "<b>"}, {"form": ""}])
def test_nonsense_in_the_address_is_ignored(query: dict[str, str], store: Path, visit: Open) -> None:
    lay_run(store)
    for page in PAGES:
        asked = shown(visit(page, run=RUN, **query)).splitlines()
        plain = shown(visit(page, run=RUN)).splitlines()
        assert [line for line in asked if "The address's step has no snapshot" not in line] == plain


def test_pages_hold_no_paths_no_tensors_and_no_unsafe_html() -> None:
    sources = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "foster" / "ui").glob("*.py")]
    for source in sources:
        text = source.read_text(encoding="utf-8")
        assert "unsafe_allow" not in text, source
        assert "import torch" not in text, source
        assert "st.navigation" not in text, source
