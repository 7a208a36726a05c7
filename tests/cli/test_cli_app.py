"""foster app becomes the server."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest
from cli_tools import Foster
from patience import until

from foster.policy import current
from foster.runs import RunState, RunStatus, RunStore
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


# --- for visitors


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a call leaves in the environment is gone after the test."""
    for name in ("FOSTER_RUNS", "FOSTER_PUBLIC", "FOSTER_QUEUE_LIMIT", "FOSTER_DATA", "FOSTER_ENCODERS"):
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize(
    ("given", "what", "queue"),
    [
        (("--public",), "toys", "10"),
        (("--public", "--queue-limit", "3"), "toys", "3"),
        (("--public", "--allow-launch", "--queue-limit", "40"), "full", "40"),
    ],
)
def test_app_hands_on_what_visitors_may_do_and_takes_no_upload(
    foster: Foster, store: RunStore, words: None, given: tuple[str, ...], what: str, queue: str
) -> None:
    became: list[list[str]] = []
    assert foster("app", *given, become=became.append)[0] == 0
    assert (os.environ["FOSTER_PUBLIC"], os.environ["FOSTER_QUEUE_LIMIT"]) == (what, queue)
    assert os.environ["FOSTER_RUNS"] == str(store.root)
    assert became[0][-2:] == ["--server.maxUploadSize", "0"]
    assert not store.root.exists(), "looking writes nothing"


def test_without_public_words_of_before_mean_nothing(
    foster: Foster, words: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOSTER_PUBLIC", "full")
    became: list[list[str]] = []
    assert foster("app", become=became.append)[0] == 0
    assert os.environ["FOSTER_PUBLIC"] == ""
    assert "--server.maxUploadSize" not in became[0]


def test_a_class_may_use_what_the_server_offers(foster: Foster, words: None, data: Path) -> None:
    given = ("--public", "--allow-launch", "--data", str(data), "--encoder", "org/model")
    assert foster("app", *given, become=lambda command: None)[0] == 0
    policy = current()
    assert policy.data == ("sample", str(data))
    assert policy.encoders == ("minilm", "org/model")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--allow-launch",), "--allow-launch says what visitors may do; give it together with --public"),
        (("--queue-limit", "5"), "--queue-limit says what visitors may do; give it together with --public"),
        (("--queue-limit", "0"), "--queue-limit says what visitors may do"),
        (("--public", "--queue-limit", "0"), "--queue-limit is 0; give a number of runs from 1 to 1000"),
        (("--public", "--queue-limit", "many"), "'many' is no whole number"),
        (("--public", "--data", "films"), "--data has no use with --public"),
        (("--public", "--encoder", "org/model"), "--encoder has no use with --public"),
    ],
)
def test_flags_that_do_not_go_together_are_one_line(
    foster: Foster, words: None, given: tuple[str, ...], said: str
) -> None:
    code, out, err = foster("app", *given, become=pytest.fail)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert os.environ["FOSTER_PUBLIC"] == ""


def test_opening_the_app_for_visitors_wakes_their_queue_and_takes_old_runs_away(
    foster: Foster, store: RunStore, words: None
) -> None:
    theirs = RunStore(store.root / ".visitors", bundled=None)
    waiting, old = theirs.create(RunSpec(steps=0)), theirs.create(RunSpec(steps=0))
    ended = RunStatus(RunState.STOPPED, created=1.0, finished=2.0)
    (old.path / "status.json").write_text(json.dumps(ended.to_json()))
    assert foster("app", "--public", become=lambda command: None)[0] == 0
    assert not old.path.exists()
    until(lambda: waiting.status().state is RunState.DONE)
