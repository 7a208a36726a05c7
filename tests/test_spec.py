"""What a run may be asked to do."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from foster.errors import UserError
from foster.spec import RunSpec

OTHER = {
    "data": "elsewhere",
    "sequences": 7,
    "length": 9,
    "regularisation": 0.7,
    "steps": 3,
    "students": 2,
    "seed": 5,
    "encoder": "some/folder",
    "device": "cpu",
    "report_test": True,
    "tuned_layers": 2,
}


def test_a_specification_survives_json() -> None:
    spec = replace(RunSpec(), **OTHER)  # type: ignore[arg-type]
    assert RunSpec.from_json(json.dumps(spec.to_json())) == spec
    assert RunSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("name", OTHER)
def test_everything_in_a_specification_changes_its_hash(name: str) -> None:
    assert replace(RunSpec(), **{name: OTHER[name]}).hash() != RunSpec().hash()


def test_equal_specifications_have_equal_hashes_of_16_digits() -> None:
    assert set(OTHER) | {"method"} == {field.name for field in fields(RunSpec)}
    assert RunSpec(regularisation=1).hash() == RunSpec(regularisation=1.0).hash()
    assert int(RunSpec().hash(), 16) < 2**64
    assert len(RunSpec().hash()) == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequences", 0),
        ("sequences", 10_001),
        ("sequences", True),
        ("sequences", 2.0),
        ("sequences", "20"),
        ("length", 1),
        ("students", 0),
        ("seed", -1),
        ("steps", -1),
        ("regularisation", -0.1),
        ("regularisation", float("nan")),
        ("regularisation", float("inf")),
        ("regularisation", "0.1"),
        ("regularisation", True),
        ("method", "magic"),
        ("device", "tpu"),
        ("data", ""),
        ("data", " "),
        ("data", "a\0b"),
        ("encoder", None),
        ("report_test", 1),
        ("tuned_layers", -1),
        ("tuned_layers", 7),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(name: str, value: object) -> None:
    with pytest.raises(UserError, match=name) as refused:
        replace(RunSpec(), **{name: value})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "3", "[]", "null", "{}", '{"schema": 2}', '{"schema": 1, "sequence": 4}', '{"schema": 1, "length": 0}']
)
def test_what_is_no_specification_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        RunSpec.from_json(text)


def test_layers_of_another_encoder_are_counted_when_it_is_read() -> None:
    assert RunSpec(encoder="org/model", tuned_layers=100).tuned_layers == 100
    with pytest.raises(UserError, match="from 0 to 100"):
        RunSpec(encoder="org/model", tuned_layers=101)
