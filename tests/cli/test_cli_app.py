"""foster app becomes the server."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from cli_tools import Foster, until

from foster.runs import RunState, RunStore
from foster.spec import RunSpec


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
    until(lambda: run.status().state is RunState.DONE)


def test_app_offers_the_folders_and_encoders_it_is_given(
    foster: Foster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOSTER_DATA", "/from/before")
    monkeypatch.setenv("FOSTER_ENCODERS", "")
    for folder, file in (("films", "u.data"), ("books", "items.csv"), ("tiny-bert", "model.safetensors")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    given = ("--data", "films", "--data", str(tmp_path / "books"), "--encoder", "org/model", "--encoder", "tiny-bert")
    assert foster("app", *given, become=lambda command: None)[0] == 0
    assert os.environ["FOSTER_DATA"].split(os.pathsep) == [
        str(tmp_path / "films"),
        str(tmp_path / "books"),
        "/from/before",
    ]
    assert os.environ["FOSTER_ENCODERS"].split(os.pathsep) == ["org/model", str(tmp_path / "tiny-bert")]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--data", "nowhere", "there is no folder"),
        ("--data", ".", "holds no data that foster knows"),
        ("--encoder", f"a{os.pathsep}b", "cannot be offered"),
        ("--encoder", " ", "cannot be offered"),
    ],
)
def test_app_refuses_what_it_cannot_offer(
    foster: Foster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = foster("app", option, value, become=pytest.fail)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
