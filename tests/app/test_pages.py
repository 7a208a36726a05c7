"""Every page in every state of a run, through streamlit's test runner: nothing raised, the right words shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from run_folders import HOSTILE, TITLES, held, lay_run
from streamlit.testing.v1 import AppTest
from visits import ROOT, RUN, check, check_escaped, links, markup, names, shown, visit

from foster.run_label import RunLabel, write_label
from foster.runs import RunStore

PAGES = ("app.py", "pages/distil.py", "pages/sequences.py", "pages/map.py")


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


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_offers_the_way_on(page: str, store: Path) -> None:
    app = visit(page)
    said = "Nothing is running" if page == "pages/distil.py" else "No run yet"
    assert said in shown(app)
    assert {"Start", "Distil", "Sequences", "Map", "Learn"} <= set(links(app))
    assert not store.exists(), "looking writes nothing"


@pytest.mark.parametrize("page", PAGES)
def test_a_finished_run_is_shown_and_links_keep_it(page: str, store: Path) -> None:
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
def test_the_name_of_the_chosen_run_is_shown_whole(name: str, told: str, store: Path) -> None:
    """In the picker as far as there is room for it, and beneath it where there may be too little."""
    write_label(RunStore(store, bundled=None).get(lay_run(store).name), RunLabel(name))
    app = visit("pages/sequences.py", run=RUN)
    (label,) = app.selectbox(key="url-run").options
    assert name in label
    assert f'<p class="{told}">{label}</p>' in shown(app)


@pytest.mark.parametrize("page", PAGES)
def test_an_unknown_run_is_named_and_the_others_are_offered(page: str, store: Path) -> None:
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
def test_an_unfinished_run_says_where_it_stands(page: str, ready: str, state: str, said: str, store: Path) -> None:
    """A run that says running while nobody holds its lock is lost."""
    lay_run(store, state=state, ready=ready, error="this machine has no GPU" if state == "failed" else None)
    app = visit(page, run=RUN)
    assert said in shown(app)
    assert ("Resume from the last checkpoint" in names(app)) == (state != "queued")
    if page == "app.py" and ready == "nothing":
        assert ("This run ended before its first picture." in shown(app)) == (state != "queued")


@pytest.mark.parametrize("page", PAGES)
def test_a_running_run_shows_what_it_has(page: str, store: Path) -> None:
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


def test_a_queued_run_waits_only_for_what_is_ahead_of_it(store: Path) -> None:
    first, second, third = (RUN.replace("0001", f"000{number}") for number in (1, 2, 3))
    for number, run_id in enumerate((third, second)):
        lay_run(store, run_id, "queued", ready="nothing", age=60.0 * number)
    for page in PAGES:
        assert "Starting…" in shown(visit(page, run=second))
        assert "Waiting in the queue" in shown(visit(page, run=third))
    with held(lay_run(store, first, "running", ready="nothing")):
        assert "Waiting in the queue" in shown(visit("pages/distil.py", run=second)), "one is at work"


def test_a_run_at_work_is_marked_so_that_a_narrow_screen_shows_it_first(store: Path) -> None:
    style = (ROOT / "foster" / "ui" / "style.css").read_text(encoding="utf-8")
    assert ".st-key-distil-working" in style
    lay_run(store)
    assert containers(visit("pages/distil.py", run=RUN)) >= {"distil-resting", "sight"}
    working = RUN.replace("0001", "0002")
    with held(lay_run(store, working, "running", ready="snapshots")):
        assert containers(visit("pages/distil.py", run=working)) >= {"distil-working", "sight"}


def test_pause_stop_and_resume_leave_their_marks(store: Path) -> None:
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


def test_a_lost_run_is_resumed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("foster.ui.guard.resume", lambda store, run_id: asked.append(run_id))
    lay_run(store, state="running", ready="snapshots")
    check(visit("pages/distil.py", run=RUN).button(key=f"resume-{RUN}").click().run())
    assert asked == [RUN]


def test_hostile_titles_are_text_everywhere(store: Path) -> None:
    lay_run(store, titles=HOSTILE, categories=HOSTILE, sequences=3, length=4)
    for page in PAGES:
        for query in ({}, {"sequence": "1", "q": "<"}, {"step": "0"}):
            app = visit(page, run=RUN, **query)
            check_escaped(app)
            for kind in ("markdown", "caption"):
                assert not any("owned" in str(each.value) or "**bold**" in str(each.value) for each in app.get(kind))
            for chart in app.get("plotly_chart"):
                for text in strings(json.loads(chart.proto.spec)):
                    text = text.replace("<br>", "").replace("<extra></extra>", "")  # our own hover templates
                    assert "<" not in text
                    assert "$" not in text


def test_the_scrubber_changes_titles_and_the_address(store: Path) -> None:
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


def test_search_keeps_the_sequences_that_hold_the_title(store: Path) -> None:
    lay_run(store)
    app = visit("pages/sequences.py", run=RUN)
    check(app.text_input(key="url-q").input("dune").run())
    assert app.query_params["q"] == "dune"
    assert 'class="found"' in markup(app)
    assert "“dune”" in shown(app)
    check(app.text_input(key="url-q").input("no such title at all").run())
    assert "No shown title holds" in shown(app)


def test_a_sequence_opens_to_its_alternatives(store: Path) -> None:
    lay_run(store)
    app = visit("pages/sequences.py", run=RUN)
    assert "and is taught to recommend" not in shown(app)
    check(app.button(key="open-3").click().run())
    assert app.query_params["sequence"] == "4"
    assert "and is taught to recommend" in shown(app)
    assert "Nearest real user of its hard form: <bdi>u0003" in shown(app)


def test_the_hard_form_has_no_weights(store: Path) -> None:
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


def test_a_finished_run_leads_on_and_says_that_it_has_finished(store: Path) -> None:
    lay_run(store)
    app = visit("pages/distil.py", run=RUN)
    labels = [each.proto.label for each in app.get("page_link")]
    for page in ("Compare", "Recommend"):
        assert labels.count(page) == 2, "in the head of the page and beside the run"
    assert 'role="status">Finished' in shown(app)
    lay_run(store, RUN.replace("0001", "0002"), state="running", ready="snapshots")
    working = visit("pages/distil.py", run=RUN.replace("0001", "0002"))
    assert [each.proto.label for each in working.get("page_link")].count("Compare") == 1


def test_the_map_says_whether_its_pictures_agree(store: Path) -> None:
    folder = lay_run(store)
    app = visit("pages/map.py", run=RUN)
    assert "3.6 on average are among its 10 nearest in the synthetic sequences" in shown(app)
    assert "3.1 are among its 10 nearest by text" in shown(app)
    assert "Do the two pictures agree?" not in shown(visit("pages/map.py", run=RUN, sight="text"))
    table = pd.read_parquet(folder / "map.parquet")
    table.drop(columns=["kept_text", "kept_synthetic"]).to_parquet(folder / "map.parquet")
    assert "Do the two pictures agree?" not in shown(visit("pages/map.py", run=RUN))


def test_the_map_lists_what_a_search_finds(store: Path) -> None:
    lay_run(store)
    app = visit("pages/map.py", run=RUN, q="emma", colour="synthetic mass", sight="text", sequence="2")
    assert "1 item with “emma” in the title" in shown(app)
    assert app.dataframe[0].value["title"].tolist() == ["Emma"]


@pytest.mark.parametrize("query", [{"step": "x"}, {"sequence": "-1"}, {"page": "99"}, {"colour": "<b>"}, {"form": ""}])
def test_nonsense_in_the_address_is_ignored(query: dict[str, str], store: Path) -> None:
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
