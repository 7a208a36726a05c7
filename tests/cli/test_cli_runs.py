"""foster runs, show, stop, pause and resume."""

from __future__ import annotations

import json

import pytest
from cli_tools import Foster, finished
from patience import until

from foster.runs import RunState, RunStore
from foster.spec import RunSpec


def test_runs_lists_what_there_is(foster: Foster, store: RunStore) -> None:
    run = store.create(RunSpec(steps=1))
    (store.root / "Foreign").mkdir()
    code, out, err = foster("runs")
    assert code == 0
    assert run.id in out
    assert "queued" in out
    assert "skipped Foreign" in err
    code, out, err = foster("runs", "--json")
    listed = json.loads(out)
    assert (code, err) == (0, "")
    assert [each["run_id"] for each in listed["runs"] if not each["read_only"]] == [run.id]
    assert listed["runs"][0]["status"]["state"] == "queued"
    assert set(listed["skipped"]) == {"Foreign"}


def test_runs_without_a_root_is_no_error(foster: Foster, store: RunStore) -> None:
    assert foster("runs")[0] == 0
    assert not store.root.exists()


def test_show_prints_titles_that_cannot_steer_the_terminal(foster: Foster, store: RunStore) -> None:
    run = finished(store)
    code, out, _ = foster("show", run.id)
    assert code == 0
    assert all(letter.isprintable() or letter == "\n" for letter in out)
    assert max(map(len, out.splitlines())) < 140
    lines = [line.split() for line in out.splitlines()]
    assert ["0", "The", "Hobbit", "0.88", "Dune", "0.50"] in lines
    assert ["1", "�[31mRed��<script>", "0.50"] in lines
    code, out, _ = foster("show", run.id, "--json")
    shown = json.loads(out)
    assert (code, out.isascii(), len(shown["sequences"])) == (0, True, 4)
    assert shown["sequences"][1]["title"] == "\x1b[31mRed\x07\u202e<script>"
    assert shown["sequences"][1]["label_title"] is None
    assert shown["sequences"][0]["alternatives"][0]["weight"] == 0.875


@pytest.mark.parametrize("command", ["show", "stop", "pause", "step", "resume"])
@pytest.mark.parametrize("run_id", ["nonsense", "../../etc", "20260101-0000-foster-none", "\x1b[31m-escape\nnewline"])
def test_unknown_runs_are_one_line(foster: Foster, command: str, run_id: str) -> None:
    code, out, err = foster(command, run_id)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "\x1b" not in err


def test_requests_that_make_no_sense_are_one_line(foster: Foster, store: RunStore) -> None:
    done, queued = finished(store), store.create(RunSpec())
    refused = [*((name, done) for name in ("stop", "pause", "step", "resume")), ("step", queued), ("show", queued)]
    for command, run in refused:
        code, out, err = foster(command, run.id)
        assert (code, out, err.count("\n")) == (2, "", 1)


def test_stopping_a_queued_run_and_resuming_it(foster: Foster, store: RunStore) -> None:
    run = store.create(RunSpec(steps=0))
    assert foster("stop", run.id)[:2] == (0, f"run {run.id} is stopped and is kept\n")
    assert foster("resume", run.id)[0] == 0
    until(lambda: run.status().state is RunState.DONE)


def test_the_root_comes_from_the_environment(foster: Foster, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.create(RunSpec())
    monkeypatch.setenv("FOSTER_RUNS", str(store.root))
    assert run.id in foster("runs", root=False)[1]
