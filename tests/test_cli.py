"""The command line's contract: exit codes, one line for bad input, one JSON object and nothing else on stdout."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_foster import COMMAND, environment, execute, sequences

from foster.__main__ import main
from foster.console import Progress, duration, plain, table
from foster.launch import COMMAND as REAL_COMMAND
from foster.runs import Run, RunState, RunStatus, RunStore, RunWriter
from foster.spec import RunSpec

Foster = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "My Log"
    folder.mkdir()
    (folder / "items.csv").write_text("item_id,title\na,A\nb,B\nc,C\n")
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2\nu,c,3\n")
    return folder


@pytest.fixture
def foster(store: RunStore, capsys: pytest.CaptureFixture[str]) -> Foster:
    """Calls the command line in this process with the fake experiment; gives code, stdout and stderr."""

    def call(*argv: str, root: bool = True, **arguments: object) -> tuple[int, str, str]:
        handler = signal.getsignal(signal.SIGINT)
        try:
            code = main(
                [*argv, *(["--runs", str(store.root)] if root else [])],
                **{"execute": execute, "command": COMMAND, "has_gpu": lambda: False, **arguments},  # type: ignore[arg-type]
            )
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            signal.signal(signal.SIGINT, handler)
        return (code, *capsys.readouterr())

    return call


# --- run


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
    process = _start("run", "--data", str(data), "--steps", "400", "--json", "--runs", str(store.root))
    run = _running(store)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert f"foster resume {run.id} --runs {store.root}" in err
    assert "Traceback" not in err
    assert run.status().state is RunState.STOPPED
    assert run.events("distil")


def test_a_stop_from_elsewhere_ends_the_command(foster: Foster, store: RunStore, data: Path) -> None:
    process = _start("run", "--data", str(data), "--steps", "400", "--json", "--runs", str(store.root))
    run = _running(store)
    assert foster("pause", run.id)[0] == 0
    _until(lambda: run.status().paused)
    assert foster("resume", run.id)[0] == 0
    _until(lambda: not run.status().paused)
    code, out, _ = foster("stop", run.id)
    assert (code, run.id in out) == (0, True)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (3, "")
    assert "was stopped and is kept" in err


# --- runs, show, stop, pause, resume


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
    run = _finished(store)
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


@pytest.mark.parametrize("command", ["show", "stop", "pause", "resume"])
@pytest.mark.parametrize("run_id", ["nonsense", "../../etc", "20260101-0000-foster-none", "\x1b[31m-escape\nnewline"])
def test_unknown_runs_are_one_line(foster: Foster, command: str, run_id: str) -> None:
    code, out, err = foster(command, run_id)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "\x1b" not in err


def test_requests_that_make_no_sense_are_one_line(foster: Foster, store: RunStore) -> None:
    done, queued = _finished(store), store.create(RunSpec())
    for command, run in (("stop", done), ("pause", done), ("resume", done), ("show", queued)):
        code, out, err = foster(command, run.id)
        assert (code, out, err.count("\n")) == (2, "", 1)


def test_stopping_a_queued_run_and_resuming_it(foster: Foster, store: RunStore) -> None:
    run = store.create(RunSpec(steps=0))
    assert foster("stop", run.id)[:2] == (0, f"run {run.id} is stopped and is kept\n")
    assert foster("resume", run.id)[0] == 0
    _until(lambda: run.status().state is RunState.DONE)


def test_the_root_comes_from_the_environment(foster: Foster, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.create(RunSpec())
    monkeypatch.setenv("FOSTER_RUNS", str(store.root))
    assert run.id in foster("runs", root=False)[1]


# --- app


def test_app_becomes_streamlit_with_the_runs_of_this_root(
    foster: Foster, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOSTER_RUNS", "elsewhere")
    became: list[list[str]] = []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    assert foster("app", "--port", port, become=became.append)[0] == 0
    (command,) = became
    assert command[:5] == [sys.executable, "-P", "-m", "streamlit", "run"]
    assert Path(command[5]).name == "app.py"
    assert command[6:] == ["--server.port", port]
    assert os.environ["FOSTER_RUNS"] == str(store.root)


def test_a_taken_or_impossible_port_is_one_line(foster: Foster) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for given, message in ((port, f"port {port} cannot be used"), ("99999", "no port"), ("x", "no whole number")):
            code, out, err = foster("app", "--port", given, become=pytest.fail)
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert message in err


def test_opening_the_app_wakes_the_queue(foster: Foster, store: RunStore) -> None:
    run = store.create(RunSpec(steps=0))
    assert foster("app", become=lambda command: None)[0] == 0
    _until(lambda: run.status().state is RunState.DONE)


# --- the program as a whole


def test_help_names_every_public_command_and_hides_the_others(foster: Foster) -> None:
    code, out, _ = foster("--help", root=False)
    assert code == 0
    assert all(f"\n    {name} " in out for name in ("app", "run", "runs", "show", "stop", "pause", "resume"))
    assert "_work" not in out
    assert "_drain" not in out
    assert foster("run", "--help", root=False)[0] == 0


@pytest.mark.parametrize("argv", [[], ["fly"], ["--fly"]])
def test_unknown_commands_are_one_line(foster: Foster, argv: list[str]) -> None:
    code, out, err = foster(*argv, root=False)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_listing_runs_imports_no_heavy_library(store: RunStore) -> None:
    store.create(RunSpec())
    code = (
        "import sys; from foster.__main__ import main; code = main(['runs', '--runs', sys.argv[1]]);"
        "heavy = {'torch', 'streamlit', 'pandas', 'numpy', 'transformers', 'umap', 'plotly'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(store.root)], env=environment(), capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_foster_starts_as_a_module_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the folder lent a module')")
    result = subprocess.run(
        [*REAL_COMMAND, "runs", "--runs", "nowhere"], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_closed_pipe_is_quiet(store: RunStore) -> None:
    for _ in range(3):
        store.create(RunSpec())
    process = _start("runs", "--runs", str(store.root))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


# --- text for a terminal


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


def _finished(store: RunStore) -> Run:
    run = store.create(RunSpec())
    with RunWriter(run.path) as writer:
        writer.write_table("sequences.parquet", sequences())
        writer.finish(RunState.DONE)
    return run


def _start(*argv: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *argv], env=environment(), stdout=pipe, stderr=pipe, text=True)


def _running(store: RunStore) -> Run:
    """The run that has just been started, once it is at work."""

    def at_work() -> list[Run]:
        return [run for run in store.list() if not run.read_only and run.events("distil")]

    _until(lambda: bool(at_work()))
    return at_work()[0]


def _until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
