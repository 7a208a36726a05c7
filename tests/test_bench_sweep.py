"""The sweep: one run a value, gone on with where it was cut, told as a table and as a chart."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import no_map, short_runs

import foster.pipeline
from foster.bench import sweep
from foster.errors import UserError
from foster.runs import RunStore
from foster.spec import RunSpec

SPEC = RunSpec(sequences=3, length=4, steps=2, students=2, device="cpu", report_test=True)


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data") / "cycle & <co>"
    with short_runs(folder, save_every=2, paths=1, student_steps=1) as patch:
        patch.setattr(foster.pipeline, "item_map", no_map)
        patch.setattr(sweep, "load_dataset", foster.pipeline.load_dataset)
        yield str(folder)


def call(root: Path, *data: str, minutes: float = 60, **changes: Any) -> dict[str, Any]:
    asked = {"root": root, "data": data, "spec": SPEC, "over": "sequences", "values": (4, 2), "minutes": minutes}
    return sweep.measure(False, lambda line: None, **{**asked, **changes})


def test_more_sequences_take_more_bytes_and_every_value_has_its_rows(data: str, tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    begun = call(tmp_path, data, minutes=0, svg=chart)
    assert begun["complete"] is False
    assert not chart.exists()
    assert "goes on from here" in sweep.text(begun)
    assert "value  state" in sweep.text(begun)
    found = call(tmp_path, data, svg=chart)
    assert found["complete"] is True
    few, many = found["sets"][0]["points"]
    assert (few["value"], many["value"]) == (2, 4)
    assert few["stored_bytes"]["hard"] == 2 * 4 * 2
    assert few["stored_bytes"]["soft"] < many["stored_bytes"]["soft"]
    assert few["rows"]["full"] == many["rows"]["full"]  # one expert for all
    assert few["rows"]["soft"]["n"] == 2
    assert len(RunStore(tmp_path / sweep.STORE, bundled=None).list()) == 2
    root = ET.fromstring(chart.read_text(encoding="utf-8"))
    said = " ".join(root.itertext())
    assert "cycle & <co>: Recall@10 on test items" in said
    assert "full data" in said
    assert len(root.findall(".//{*}circle")) == 2 * 5 + 2 * 2

    def never(*_: Any) -> Any:
        raise AssertionError

    again = call(tmp_path, data, execute=never)
    assert again["sets"] == found["sets"]


def test_a_run_of_another_engine_is_no_point_of_a_sweep(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foster.pipeline, "ENGINE", -1)
    call(tmp_path, data, values=(2,))
    monkeypatch.undo()
    found = call(tmp_path, data, values=(2,))
    assert found["complete"] is True
    assert len(RunStore(tmp_path / sweep.STORE, bundled=None).list()) == 2


def test_the_regulariser_is_told_without_its_weight_too(data: str, tmp_path: Path) -> None:
    found = call(tmp_path, data, over="regularisation", values=(0, 30))
    free, held = found["sets"][0]["points"]
    assert (free["value"], held["value"]) == (0, 30)
    assert free["regulariser"] > held["regulariser"] > 0  # far above the data's push, so it must show
    assert "regulariser" in sweep.text(found)
    torch.testing.assert_close(found["sets"][0]["points"][0]["rows"]["full"], held["rows"]["full"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"over": "titles"}, "choose one of sequences, regularisation"),
        ({"values": (2.5,)}, "give whole numbers"),
        ({"values": (float("inf"),)}, "give whole numbers"),
        ({"values": (0,)}, "sequences is 0"),
        ({"data": ()}, "--data"),
    ],
)
def test_what_cannot_be_swept_is_said(data: str, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        call(tmp_path, *changes.pop("data", (data,)), **changes)
