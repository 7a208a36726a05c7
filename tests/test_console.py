"""Text for a terminal."""

from __future__ import annotations

import pytest

from foster.console import Progress, duration, plain, table
from foster.runs import RunState, RunStatus


def test_plain_text_folds_replaces_and_cuts() -> None:
    assert plain("a\n b\tc") == "a b c"
    assert plain("\x1b]0;title\x07\u202e") == "�]0;title��"
    assert plain("éß 漢字") == "éß 漢字"
    assert plain("x" * 20, width=5) == "xxxx…"


def test_tables_are_aligned() -> None:
    assert table(("name", "n"), [("a", 1), ("bcdef", 22)], numbers=(1,)) == "name    n\na       1\nbcdef  22"


def test_durations_are_readable() -> None:
    assert [duration(seconds) for seconds in (5, 600, 9000)] == ["5 s", "10 min", "2.5 h"]


def test_progress_says_each_stage_and_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress(RunStatus(RunState.QUEUED, created=0))
    for percent in range(0, 30, 2):
        progress(RunStatus(RunState.RUNNING, created=0, stage="distil", fraction=percent / 100, eta_s=60.0))
    progress(RunStatus(RunState.RUNNING, created=0, stage="map", fraction=0.28, paused=True))
    assert capsys.readouterr().err.splitlines() == [
        "queued, waits for its turn",
        "0% · distil · about 60 s left",
        "10% · distil · about 60 s left",
        "20% · distil · about 60 s left",
        "28% · map · paused",
    ]
