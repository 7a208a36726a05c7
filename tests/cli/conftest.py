"""The command line as a function, with an experiment that takes no time."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from cli_tools import Foster
from fake_foster import COMMAND, execute

from foster.__main__ import main
from foster.runs import RunStore


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
