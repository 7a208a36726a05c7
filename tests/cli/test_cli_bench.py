"""foster bench: a benchmark is one module and one line, bad input is said before anything is measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_tools import Foster

from foster.bench import BENCHMARKS


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A benchmark named `planted`; the list says how it was asked."""
    asked: list[bool] = []

    def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
        asked.append(quick)
        say("counting")
        return {"answer": 42}

    module = SimpleNamespace(measure=measure, text=lambda found: f"the answer is {found['answer']}")
    monkeypatch.setitem(sys.modules, "foster.bench.planted_answer", module)
    monkeypatch.setitem(BENCHMARKS, "planted_answer", "what is planted")
    return asked


def test_a_benchmark_is_a_module_and_a_line(foster: Foster, measured: list[bool]) -> None:
    code, out, err = foster("bench", "planted_answer")
    assert code == 0
    assert out.startswith("the answer is 42\n")
    assert "cores" in out
    assert err == "counting\n"
    assert "what is planted" in " ".join(foster("bench", "--help", root=False)[1].split())
    assert measured == [False]


def test_json_goes_to_the_terminal_and_into_a_file(foster: Foster, measured: list[bool], tmp_path: Path) -> None:
    code, out, _ = foster("bench", "planted_answer", "--json", "--quick", "--out", str(tmp_path / "found.json"))
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "found.json").read_text())
    found = json.loads(out)
    assert (found["benchmark"], found["quick"], found["found"]) == ("planted_answer", True, {"answer": 42})
    assert found["machine"]["cores"] >= 1
    assert measured == [True]


@pytest.mark.parametrize("where", ["nowhere/found.json", "."])
def test_a_file_that_cannot_be_written_is_said_first(
    foster: Foster, measured: list[bool], tmp_path: Path, where: str
) -> None:
    code, out, err = foster("bench", "planted_answer", "--out", str(tmp_path / where))
    assert (code, out, measured) == (2, "", [])
    assert "give a file in a folder that is there" in err


def test_an_unknown_benchmark_is_one_line_with_those_there_are(foster: Foster) -> None:
    code, out, err = foster("bench", "speed", root=False)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(repr(name) in err for name in ("pages", "map"))
