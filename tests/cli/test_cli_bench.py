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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What each benchmark with options of its own was asked with; none is run."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("headline", "ablations", "sweep", "cost"):

        def measure(quick: bool, say: object, name: str = name, **options: Any) -> dict[str, Any]:
            found[name] = {"quick": quick, **options}
            return {"complete": False}

        monkeypatch.setitem(sys.modules, f"foster.bench.{name}", SimpleNamespace(measure=measure, text=str))
    return found


def test_headline_is_asked_with_data_seeds_and_a_budget(
    foster: Foster, asked: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "bench headline --data sample --data log --sequences 5 --length 7 --seeds 2x4 --minutes 1.5 --json"
    code, out, _ = foster(*words.split())
    assert code == 0
    assert json.loads(out)["found"] == {"complete": False}
    given = asked["headline"]
    assert given["data"] == ["sample", str(tmp_path / "log")]
    assert (given["distillations"], given["minutes"], given["root"]) == (2, 1.5, tmp_path / "runs")
    spec = given["spec"]
    assert (spec.sequences, spec.length, spec.students, spec.report_test) == (5, 7, 4, True)


def test_ablations_and_cost_are_asked_with_theirs(foster: Foster, asked: dict[str, dict[str, Any]]) -> None:
    assert foster("bench", "ablations", "--data", "sample", "--students", "2")[0] == 0
    assert asked["ablations"]["data"] == "sample"
    assert asked["ablations"]["spec"].sequences == 20
    assert (asked["ablations"]["spec"].students, asked["ablations"]["spec"].report_test) == (2, False)
    assert foster("bench", "ablations", "--quick", "--report-test")[0] == 0
    assert (asked["ablations"]["quick"], asked["ablations"]["data"]) == (True, None)
    assert foster("bench", "cost", "--device", "cpu", "--limit-mb", "100")[0] == 0
    assert asked["cost"] == {"quick": False, "device": "cpu", "limit_mb": 100}


def test_a_sweep_is_asked_with_its_values_and_its_chart(
    foster: Foster, asked: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    words = "bench sweep --data sample --over regularisation --values 0 0.1 --students 1 --sequences 7 --svg"
    assert foster(*words.split(), str(tmp_path / "chart.svg"))[0] == 0
    given = asked["sweep"]
    assert (given["over"], given["values"], given["svg"]) == ("regularisation", [0, 0.1], tmp_path / "chart.svg")
    assert (given["data"], given["spec"].students, given["spec"].sequences) == (["sample"], 1, 7)
    code, _, err = foster(*words.split(), str(tmp_path / "nowhere" / "chart.svg"))
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("headline --data sample --seeds 3", "give one like 3x5"),
        ("headline --data sample --seeds 0x5", "give one like 3x5"),
        ("headline --data sample --minutes 0", "give a number above 0"),
        ("headline --data sample --minutes nan", "give a number above 0"),
        ("headline --data sample --length 1", "length is 1; give a whole number from 2 to 500"),
        ("ablations --data sample --students 0", "students is 0; give a whole number from 1 to 100"),
        ("sweep --data sample --sequences 5", "--sequences is 5, but it is what is varied; give --values"),
        ("sweep --data sample --out both.json --svg ./both.json", "give two files"),
        ("ablations --data sample --tuned-layers 101", "tuned_layers is 101; give a whole number from 0 to 6"),
        ("cost --limit-mb 0", "give a number above 0"),
        ("cost --device tpu", "choose one of auto, cpu, cuda"),
    ],
)
def test_bad_options_are_one_line_and_measure_nothing(
    foster: Foster, asked: dict[str, dict[str, Any]], words: str, said: str
) -> None:
    code, out, err = foster("bench", *words.split())
    assert (code, out, asked) == (2, "", {})
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_each_benchmark_explains_itself(foster: Foster, name: str) -> None:
    code, out, _ = foster("bench", name, "--help", root=False)
    assert code == 0
    words = " ".join(out.split())
    assert BENCHMARKS[name][1:60] in words
    assert "%%" not in words
