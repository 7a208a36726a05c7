"""foster run: exit codes, one line for bad input, one JSON object and nothing else on stdout."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from cli_tools import Foster, running, start
from patience import PATIENCE_S, until

from foster.runs import RunState, RunStore
from foster.spec import RunSpec


def test_run_blocks_and_prints_one_json_object(foster: Foster, store: RunStore, data: Path) -> None:
    code, out, err = foster("run", "--data", str(data), "--steps", "12", "--report-test", "--json")
    report = json.loads(out)
    assert code == 0
    assert out.count("\n") == 1
    assert report["total"] == sum(step * step for step in range(12))
    run = store.get(report["run_id"])
    assert run.status().state is RunState.DONE
    assert run.spec == RunSpec(data=str(data), steps=12, report_test=True)
    assert report["spec_hash"] == run.spec.hash()
    assert run.id in err
    assert "distil" in err


def test_run_prints_a_table(foster: Foster, data: Path) -> None:
    code, out, _ = foster("run", "--data", str(data), "--steps", "0", "--report-test")
    assert code == 0
    head = "trained on  valid recall@10    valid ndcg@10   test recall@10     test ndcg@10"
    assert out.splitlines()[0] == head
    assert "soft        0.2500 ± 0.0100" in out
    assert "soft 10,240" in out
    assert "students 2.2" in out


def test_options_reach_the_spec_and_relative_paths_become_absolute(
    foster: Foster, store: RunStore, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    (data.parent / "models" / "mine").mkdir(parents=True)
    options = "--sequences 3 --length 4 --regularisation 0.5 --steps 0 --students 2 --seed 7 --device cpu"
    code, *_ = foster("run", "--data", data.name, *options.split(), "--encoder", "models/mine", "--json")
    assert code == 0
    assert next(run for run in store.list() if not run.read_only).spec == RunSpec(
        data=str(data),
        sequences=3,
        length=4,
        regularisation=0.5,
        steps=0,
        students=2,
        seed=7,
        encoder=str(data.parent / "models" / "mine"),
        device="cpu",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "--data"),
        ("--data missing-folder", "missing-folder"),
        ("--data .", "holds no data"),
        ("--data {data} --sequences 0", "sequences is 0"),
        ("--data {data} --sequences many", "'many' is no whole number"),
        ("--data {data} --length 2.5", "'2.5' is no whole number"),
        ("--data {data} --regularisation -1", "regularisation is -1"),
        ("--data {data} --regularisation nan", "regularisation is nan"),
        ("--data {data} --steps -3", "steps is -3"),
        ("--data {data} --method magic", "method is 'magic'"),
        ("--data {data} --device tpu", "device is 'tpu'"),
        ("--data {data} --device cuda", "no CUDA device"),
        ("--data {data} --colour red", "--colour"),
        ("--data {data} --seq 3", "--seq"),
    ],
)
def test_bad_input_is_one_line_and_no_run(
    foster: Foster,
    store: RunStore,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    message: str,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, out, err = foster("run", "--json", *(word.format(data=data) for word in options.split()))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not store.root.exists()


def test_a_root_that_cannot_be_written_is_one_line(foster: Foster, store: RunStore, data: Path) -> None:
    store.root.write_text("a file")
    code, out, err = foster("run", "--data", str(data), "--json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "cannot" in err


def test_a_failed_run_says_why(foster: Foster, data: Path) -> None:
    code, out, err = foster("run", "--data", str(data), "--encoder", "user-error", "--json")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].endswith("failed: the catalogue is empty; give one item")
    code, out, err = foster("run", "--data", str(data), "--encoder", "crash", "--json")
    assert (code, out) == (1, "")
    assert "Traceback" not in err


def test_ctrl_c_stops_the_run_keeps_it_and_says_how_to_go_on(foster: Foster, store: RunStore, data: Path) -> None:
    process = start("run", "--data", str(data), "--steps", "100000", "--json", "--runs", str(store.root))
    run = running(store)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130, "")
    assert f"foster resume {run.id} --runs {store.root}" in err
    assert "Traceback" not in err
    assert run.status().state is RunState.STOPPED
    assert run.events("distil")


def test_a_stop_from_elsewhere_ends_the_command(foster: Foster, store: RunStore, data: Path) -> None:
    process = start("run", "--data", str(data), "--steps", "100000", "--json", "--runs", str(store.root))
    run = running(store)
    assert foster("pause", run.id)[0] == 0
    until(lambda: run.status().paused)
    before = len(run.events("distil"))
    said = f"run {run.id} took one step and waits again: step {before + 1} of 100000\n"
    assert foster("step", run.id) == (0, said, "")
    assert len(run.events("distil")) == before + 1
    assert foster("resume", run.id)[0] == 0
    until(lambda: not run.status().paused)
    code, out, _ = foster("stop", run.id)
    assert (code, run.id in out) == (0, True)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (3, "")
    assert "was stopped and is kept" in err
