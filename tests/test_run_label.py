"""Names and notes of runs: beside the run, never in its way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_folders import HOSTILE, lay_run

from foster.errors import UserError
from foster.run_label import MAX_NAME, MAX_NOTE, RunLabel, read_label, write_label
from foster.runs import Run, RunStore

RUN = "20260921-1000-foster-sample-0001"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    lay_run(tmp_path / "runs")
    return RunStore(tmp_path / "runs", bundled=None).get(RUN)


def test_a_name_and_a_note_are_kept_and_the_specification_is_untouched(run: Run) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert read_label(run) == RunLabel()
    write_label(run, RunLabel("  First\ntry ", "two lines\nof a note\n"))
    assert read_label(run) == RunLabel("First try", "two lines\nof a note")
    assert {path: path.read_bytes() for path in before} == before
    assert json.loads((run.path / "label.json").read_text())["schema"] == 1
    write_label(run, RunLabel())
    assert {path for path in run.path.rglob("*") if path.is_file()} == set(before)


@pytest.mark.parametrize("name", [name for name in HOSTILE if len(name) <= MAX_NAME])
def test_any_text_is_a_name(run: Run, name: str) -> None:
    write_label(run, RunLabel(name, name))
    assert read_label(run).name == " ".join(name.split())


def test_too_long_a_name_is_refused_and_the_old_one_stays(run: Run) -> None:
    write_label(run, RunLabel("good"))
    for label in ({"name": "x" * (MAX_NAME + 1)}, {"note": "x" * (MAX_NOTE + 1)}):
        with pytest.raises(UserError, match="shorten it"):
            write_label(run, RunLabel(**label))
    assert read_label(run) == RunLabel("good")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"schema": 2}', b'{"name": 3, "note": null}', b'{"schema": 1}', b"\xff", b"[" * 99999],
)
def test_a_damaged_label_hides_no_run(run: Run, content: bytes) -> None:
    (run.path / "label.json").write_bytes(content)
    assert read_label(run) == RunLabel()
    write_label(run, RunLabel("new"))
    assert read_label(run) == RunLabel("new")


def test_a_shipped_run_keeps_its_name(tmp_path: Path) -> None:
    lay_run(tmp_path / "shipped")
    run = RunStore(tmp_path / "own", bundled=tmp_path / "shipped").get(RUN)
    with pytest.raises(UserError, match="shipped with the sample"):
        write_label(run, RunLabel("mine"))
    assert not (run.path / "label.json").exists()
