"""What the writer of a run writes, its readers read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foster.errors import UserError
from foster.run_files import to_json
from foster.runs import Run, RunState, RunStatus, RunStore, RunWriter
from foster.spec import RunSpec

SPEC = RunSpec(sequences=3, length=4, steps=7)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", bundled=None)


@pytest.fixture
def run(store: RunStore) -> Run:
    return store.create(SPEC)


def test_what_the_writer_writes_the_reader_reads(run: Run) -> None:
    table = pd.DataFrame({"item": [0, 1], "title": ["a", "<b>"]})
    with RunWriter(run.path) as writer:
        writer.status(state=RunState.RUNNING, stage="distil", fraction=0.5, message="half", device="cpu")
        writer.event("stage", stage="distil", message="m")
        writer.event("distil", step=1, gap=float("nan"), real=np.float32(0.5))
        writer.write_json("report.json", {"run_id": run.id, "mean": np.float64("inf"), "n": np.int64(3)})
        writer.write_table("items.parquet", table)
        writer.write_table("snapshots/000010.parquet", table)
        writer.write_table("snapshots/000000.parquet", table)
        writer.write_file("hard.json", lambda path: path.write_text("{}"))
        writer.log("one\ud800 line")
        assert writer.path("checkpoints/a/b").parent.is_dir()
        assert run.status().stage == "distil"
        assert run.status().state is RunState.RUNNING
    assert run.report() == {"run_id": run.id, "mean": None, "n": 3}
    items = run.items()
    assert items is not None
    pd.testing.assert_frame_equal(items, table, check_dtype=False)
    assert run.snapshots() == [0, 10]
    assert len(run.snapshot(10)) == 2
    with pytest.raises(UserError, match="no snapshot of step 3"):
        run.snapshot(3)
    kinds = [(event["kind"], event["line"]) for event in run.events()]
    assert kinds == [("stage", 1), ("distil", 2)]
    assert run.events("distil")[0]["gap"] is None
    assert run.events("distil")[0]["real"] == 0.5
    assert run.events(after=1) == run.events("distil")
    assert "one" in run.log()
    assert not list(run.path.rglob("*.tmp"))


def test_damaged_results_are_one_clear_error(run: Run) -> None:
    for name in ("items.parquet", "report.json", "data.json"):
        (run.path / name).write_bytes(b"PAR1 no more")
    for read in (run.items, run.report, run.data):
        with pytest.raises(UserError, match="damaged"):
            read()
    (run.path / "report.json").write_text('{"schema": 2}')
    with pytest.raises(UserError, match="schema 2"):
        run.report()


def test_a_half_written_event_is_left_out_and_does_not_spoil_the_next(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.event("distil", step=1)
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"time": 1, "kind": "dis')
    assert [event["step"] for event in run.events()] == [1]
    with RunWriter(run.path) as writer:
        writer.event("distil", step=2)
    assert [event["step"] for event in run.events()] == [1, 2]


def test_steps_repeated_after_a_resume_count_once(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.event("stage", stage="distil")
        for step, gap in ((1, 0.1), (2, 0.2), (3, 0.3), (2, 0.25), (3, 0.35), (4, 0.4)):
            writer.event("distil", step=step, gap=gap)
        writer.event("expert", expert=0, epoch=2)
        writer.event("expert", expert=1, epoch=2)
        writer.event("student", name="soft", seed=1)
        writer.event("stage", stage="distil")
    assert [(event["step"], event["gap"]) for event in run.events("distil")] == [
        (1, 0.1),
        (2, 0.25),
        (3, 0.35),
        (4, 0.4),
    ]
    assert [event["kind"] for event in run.events()].count("stage") == 2
    assert len(run.events("expert")) == 2


def test_the_log_is_its_tail(run: Run) -> None:
    with RunWriter(run.path) as writer:
        for number in range(50):
            writer.log(f"line {number}")
    assert run.log(lines=2).endswith("line 49")
    assert len(run.log(lines=2).splitlines()) == 2


def test_json_is_strict() -> None:
    assert json.loads(to_json({"a": [math.nan, -math.inf, 1.5], 2: np.arange(2), "t": (True, None)})) == {
        "a": [None, None, 1.5],
        "2": [0, 1],
        "t": [True, None],
    }


def test_status_json_round_trip() -> None:
    status = RunStatus(RunState.RUNNING, created=1.0, eta_s=3, error="é", paused=True, pid=4)
    assert RunStatus.from_json(json.loads(to_json(status.to_json()))) == status
