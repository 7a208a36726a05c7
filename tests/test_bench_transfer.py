"""The transfer benchmark: students of every kind on one set, measured once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from short_runs import no_map, short_runs

import foster.pipeline
from foster.bench import transfer
from foster.bench.transfer import KINDS, ROWS
from foster.errors import UserError
from foster.runs import RunState, RunStore
from foster.spec import RunSpec

SPEC = RunSpec(sequences=3, length=4, steps=2, students=2, device="cpu", report_test=True)


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data") / "cycle"
    with short_runs(folder, save_every=2, paths=1, student_steps=1) as patch:
        patch.setattr(foster.pipeline, "item_map", no_map)
        yield str(folder)


def call(root: Path, data: str | None, **changes: Any) -> dict[str, Any]:
    asked = {"root": root, "data": data, "spec": SPEC, "minutes": 60, **changes}
    return transfer.measure(asked.pop("quick", False), lambda line: None, **asked)


def test_every_kind_of_student_learns_from_the_same_set_once(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = call(tmp_path, data, minutes=0)
    assert (begun["complete"], begun["kinds"]) == (False, {})
    assert "goes on from here" in transfer.text(begun)
    built: list[tuple[str, int, int]] = []
    train = transfer.train_student

    def noted(draw: Any, features: Any, shape: Any, *others: Any) -> Any:
        built.append((shape.backbone, shape.layers, features.shape[1]))
        return train(draw, features, shape, *others)

    monkeypatch.setattr(transfer, "train_student", noted)
    found = call(tmp_path, data)
    assert found["complete"] is True
    assert list(found["kinds"]) == list(KINDS)
    for kind in found["kinds"].values():
        assert list(kind) == list(ROWS)
        assert kind["full"]["recall@10"]["n"] == 1
        assert kind["soft"]["recall@10"]["n"] == 2
    assert {("sasrec", 1), ("sasrec", 3), ("gru4rec", 1)} == {each[:2] for each in built}
    assert len({each[2] for each in built}) == 2  # of two encoders
    full = {name: kind["full"]["mrr"]["mean"] for name, kind in found["kinds"].items()}
    assert len(set(full.values())) > 1
    (run,) = RunStore(tmp_path / transfer.STORE, bundled=None).list()
    assert run.status().state is RunState.DONE
    report = run.report()
    assert report is not None
    assert full["same"] == report["test"]["full"]["mrr"]["mean"]  # the run's own expert
    for row in ("soft", "hard", "teacher_uniform", "random", "untrained"):  # and the report's own students
        assert found["kinds"]["same"][row] == report["test"][row], row
    assert "GRU4Rec" in transfer.text(found)

    built.clear()
    assert call(tmp_path, data) == found
    assert built == []


@pytest.mark.parametrize(("quick", "given", "said"), [(False, None, "--data"), (True, "sample", "leave out")])
def test_data_that_is_missing_or_in_vain_is_said(tmp_path: Path, quick: bool, given: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        call(tmp_path, given, quick=quick)
