"""That what is read back is what was stored, within the bytes that were given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, random_features
from planted_sets import planted_set, rewrite
from safetensors import safe_open
from scipy.stats import norm
from torch import Tensor

from foster.artefact import COARSEST, as_stored, load, packed, save
from foster.errors import UserError
from foster.exporters.finished import FinishedRun
from foster.exporters.soft import soft
from foster.spec import RunSpec
from foster.stored_form import Form, affordable_form
from foster.synthetic import UNUSED
from foster.training import Recipe

FEATURES = random_features()
PLENTY = 10**9  # bytes


@pytest.mark.parametrize("readings", [1, 3])
def test_artefact_reads_back_what_a_student_would_have_seen(tmp_path: Path, readings: int) -> None:
    kept = planted_set(readings=readings)
    save(kept, tmp_path / "s.safetensors", Recipe(steps=7), FEATURES, PLENTY)
    found, recipe = load(tmp_path / "s.safetensors", FEATURES)
    expected, batch = kept.batch(kept.basis(FEATURES)), found.batch(found.basis(FEATURES))
    assert recipe == Recipe(steps=7)
    with safe_open(tmp_path / "s.safetensors", "pt") as file:
        assert None not in json.loads(file.metadata()["foster"])["recipe"].values(), "bytes for nothing"
    assert found.shape == kept.shape == (3, 5)
    assert torch.equal(batch.items, expected.items)
    assert torch.allclose(batch.targets, expected.targets, atol=0.05)
    assert torch.allclose(batch.weights, expected.weights)


def test_a_short_reading_keeps_its_length(tmp_path: Path) -> None:
    kept = planted_set(readings=2)
    kept.items[4, 3:] = UNUSED
    save(kept, tmp_path / "s.safetensors", Recipe(), FEATURES, PLENTY)
    found, _ = load(tmp_path / "s.safetensors", FEATURES)
    assert torch.equal(found.items, kept.items)
    batch = found.batch(found.basis(FEATURES))
    assert batch.weights[4].flatten().tolist() == [1, 1, 1, 0, 0]
    assert batch.targets[4].sum(-1).tolist() == pytest.approx([1, 1, 1, 0, 0])
    assert batch.weights[1].flatten().tolist() == [1] * 5, "another reading of the same sequence"


@pytest.mark.parametrize("content", [b"", b"junk", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_artefact_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="no synthetic set"):
        load(tmp_path / "s.safetensors", FEATURES)


def test_a_wide_basis_reads_back_and_says_its_form(tmp_path: Path) -> None:
    kept = planted_set(width=12, hidden=20)
    save(kept, tmp_path / "s.safetensors", Recipe(), FEATURES, PLENTY)
    found, _ = load(tmp_path / "s.safetensors", FEATURES)
    assert found.form == kept.form == Form(1, 8, 12, 20)
    torch.testing.assert_close(found.basis(FEATURES), kept.basis(FEATURES))


@pytest.mark.parametrize("session", [None, 2, 4])
def test_a_set_in_sessions_reads_back(tmp_path: Path, session: int | None) -> None:
    kept = replace(planted_set(readings=3), session=session)
    save(kept, tmp_path / "s", Recipe(), FEATURES, PLENTY)
    found, _ = load(tmp_path / "s", FEATURES)
    assert found.session == session
    assert float((found.queries - kept.queries).abs().max()) < 0.021, "half the finest step"


def test_fewer_bytes_are_kept_by_coarser_labels(tmp_path: Path) -> None:
    kept, errors = planted_set(readings=40), []
    save(kept, tmp_path / "s", Recipe(), FEATURES, PLENTY)
    whole = (tmp_path / "s").stat().st_size
    for share in (1.0, 0.9, 0.8, 0.7):
        save(kept, tmp_path / "s", Recipe(), FEATURES, int(share * whole))
        assert 0.96 * share * whole - 160 < (tmp_path / "s").stat().st_size <= share * whole
        found, _ = load(tmp_path / "s", FEATURES)
        assert torch.equal(found.items, kept.items), "nothing else is lost"
        errors.append(float((found.queries - kept.queries).abs().mean()))
    assert errors == sorted(errors)


def test_bytes_that_cannot_be_kept_give_the_coarsest_labels() -> None:
    assert packed(planted_set(), Recipe(), FEATURES, 10)[1]["step"] == pytest.approx(COARSEST)


def test_what_would_be_stored_is_what_is_read_back(tmp_path: Path) -> None:
    kept = planted_set(readings=4)
    save(kept, tmp_path / "s", Recipe(), FEATURES, 3_000)
    found, expected = load(tmp_path / "s", FEATURES)[0], as_stored(kept, Recipe(), FEATURES, 3_000)
    assert torch.equal(found.queries, expected.queries)
    assert torch.equal(found.basis(FEATURES), expected.basis(FEATURES))


def test_storing_what_was_read_back_changes_nothing(tmp_path: Path) -> None:
    save(planted_set(readings=4), tmp_path / "one", Recipe(), FEATURES, 3_000)
    found, recipe = load(tmp_path / "one", FEATURES)
    save(found, tmp_path / "two", recipe, FEATURES, 3_000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    changed = found.queries.clone()
    changed[1, 2] += 10
    save(replace(found, queries=changed), tmp_path / "two", recipe, FEATURES, PLENTY)
    again, _ = load(tmp_path / "two", FEATURES)
    moved = (again.queries != found.queries).any(-1).nonzero().tolist()
    assert [1, 2] in moved
    assert all(row == 1 and position >= 2 for row, position in moved), "the others stay as they were"


def test_a_set_of_one_position_reads_back(tmp_path: Path) -> None:
    kept = planted_set(sequences=1, length=1)
    save(kept, tmp_path / "s", Recipe(), FEATURES, PLENTY)
    assert torch.equal(load(tmp_path / "s", FEATURES)[0].items, kept.items)


@pytest.mark.parametrize("n_items", [N_ITEMS, 100_000])
@pytest.mark.parametrize("text_width", [16, 384])
@pytest.mark.parametrize("available", [10_752, 8_000, 5_000])
def test_a_set_of_affordable_form_keeps_within_its_bytes(
    tmp_path: Path, available: int, text_width: int, n_items: int
) -> None:
    """Six sequences of seven positions: 10,752 bytes are 256 a position."""
    form = affordable_form(6, 7, n_items, (text_width, 64), available)
    made = planted_set(form.rank, form.readings, 6, 7, text_width, n_items, form.bits, form.width, form.hidden)
    made = replace(made, queries=0.1 * made.queries)  # about what of real labels is not foretold
    save(made, tmp_path / "s", Recipe(), random_features(n_items, text_width), available)
    assert (tmp_path / "s").stat().st_size <= available


@pytest.mark.parametrize("n_items", [2**16, 2**16 + 1])
def test_the_largest_id_survives(tmp_path: Path, n_items: int) -> None:
    kept, features = planted_set(), random_features(n_items)
    kept.items[0, 0] = n_items - 1
    save(kept, tmp_path / "s", Recipe(), features, PLENTY)
    found, _ = load(tmp_path / "s", features)
    assert torch.equal(found.items, kept.items)


@pytest.mark.parametrize("keep", [0, 7, 100, 500])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "s.safetensors"
    save(planted_set(), path, Recipe(), FEATURES, PLENTY)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="no synthetic set"):
        load(path, FEATURES)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no synthetic set"):
        load(tmp_path / "none.safetensors", FEATURES)


@pytest.mark.parametrize("features", [random_features(N_ITEMS + 1), random_features(N_ITEMS, 17)])
def test_other_features_than_it_was_made_with_are_refused(tmp_path: Path, features: Tensor) -> None:
    save(planted_set(), tmp_path / "s", Recipe(), FEATURES, PLENTY)
    with pytest.raises(UserError, match="give the catalogue and the text encoder"):
        load(tmp_path / "s", features)


@pytest.mark.parametrize(
    "noted",
    [
        {"session": 0}, {"session": 5}, {"session": "2"}, {"step": 0.0}, {"step": 1}, {"step": float("nan")},
        {"sequences": 0}, {"readings": 2}, {"rank": 7}, {"rank": 8.0}, {"width": True}, {"hidden": 15}, {"length": 6},
        {"bits": None}, {"bits": 1}, {"bits": 9}, {"step": 1e300}, {"step": 1e9}, {"sequences": 2**62},
        {"sequences": (2**64 - 2) // 5}, {"sequences": 10**30}, {"sequences": 10**9},
        {"recipe": {"steps": 1, "unheard_of": 2}},
    ],
)  # fmt: skip
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, noted: dict[str, object]) -> None:
    save(planted_set(), tmp_path / "s", Recipe(), FEATURES, PLENTY)
    rewrite(tmp_path / "s", **noted)
    with pytest.raises(UserError, match="no synthetic set"):
        load(tmp_path / "s", FEATURES)


@pytest.mark.parametrize("name", ["items", "queries", "projection", "units", "out", "straight", "foretelling"])
@pytest.mark.parametrize("content", [[], [1], [1, 0, 9, 7], None])
def test_a_tensor_that_is_not_whole_is_refused(tmp_path: Path, name: str, content: list[int] | None) -> None:
    def broken(tensors: dict[str, Tensor]) -> None:
        if content is None:
            del tensors[name]
        else:
            tensors[name] = torch.tensor(content, dtype=torch.uint8)

    save(planted_set(), tmp_path / "s", Recipe(), FEATURES, PLENTY)
    rewrite(tmp_path / "s", broken)
    with pytest.raises(UserError, match="no synthetic set"):
        load(tmp_path / "s", FEATURES)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    save(planted_set(), tmp_path / "s", Recipe(), FEATURES, PLENTY)
    rewrite(tmp_path / "s", lambda tensors: tensors["out_scales"].fill_(torch.inf))
    with pytest.raises(UserError, match="not whole"):
        load(tmp_path / "s", FEATURES)


def test_a_set_of_another_schema_says_what_to_do(tmp_path: Path) -> None:
    save(planted_set(), tmp_path / "s", Recipe(), FEATURES, PLENTY)
    rewrite(tmp_path / "s", schema=6)
    with pytest.raises(UserError, match=r"schema 6, this foster reads 7; distil it anew"):
        load(tmp_path / "s", FEATURES)


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    save(planted_set(), tmp_path / "s.safetensors", Recipe(), FEATURES, PLENTY)
    with safe_open(tmp_path / "s.safetensors", "pt") as file:
        assert json.loads(file.metadata()["foster"])["schema"] == 7
    assert [each.name for each in tmp_path.iterdir()] == ["s.safetensors"]


@pytest.mark.parametrize("n_items", [N_ITEMS, 70_000])
def test_it_is_read_without_foster_as_its_readme_says(tmp_path: Path, n_items: int) -> None:
    """The code of the export's README runs, and its formula gives the queries."""
    features, kept = random_features(n_items), replace(planted_set(readings=3, n_items=n_items), session=2)
    kept.items[4, 4:] = UNUSED
    save(kept, tmp_path / "synthetic.safetensors", Recipe(), features, PLENTY)
    readme = readme_of((tmp_path / "synthetic.safetensors").read_bytes())
    code = readme.split("```python\n")[2].split("```")[0]
    scope: dict[str, Any] = {}
    exec(code.replace('"synthetic.safetensors"', repr(str(tmp_path / "synthetic.safetensors"))), scope)
    whole, tensors = scope["whole"], scope["tensors"]

    def matrix(name: str, rows: int, columns: int) -> Any:
        return whole(name, rows, columns) * tensors[f"{name}_scales"].astype(np.float64)[:, None]

    kind = "i4" if n_items > 2**16 else "u2"
    items = whole("items", 9, 5, kind).astype(np.int64)
    found, _ = load(tmp_path / "synthetic.safetensors", features)
    assert np.array_equal(np.where(items == np.iinfo(kind).max, UNUSED, items), found.items.numpy())
    z = features.double().numpy() @ matrix("projection", 8, 16).T
    z *= 8**0.5 / np.linalg.norm(z, axis=1, keepdims=True)
    hidden = z @ matrix("units", 16, 8).T
    basis = z @ matrix("straight", 8, 8) + hidden * norm.cdf(hidden) @ matrix("out", 16, 8)
    with safe_open(tmp_path / "synthetic.safetensors", "pt") as file:
        step = json.loads(file.metadata()["foster"])["step"]
    levels, told = whole("queries", 45, 8).reshape(9, 5, 8), matrix("foretelling", 18, 8)
    for row in range(9):
        q = np.zeros(8)
        for t in range(5):
            opens = t % 2 == 0
            b = np.zeros(8) if found.items[row, t] == UNUSED else basis[items[row, t]]
            q = np.concatenate([b, 0 * q if opens else q, [opens, 1]]) @ told + step * levels[row, t]
            assert np.allclose(q, found.queries[row, t].numpy(), atol=1e-3)


def readme_of(artefact: bytes) -> str:
    run = SimpleNamespace(
        artefact=artefact, spec=RunSpec(sequences=3, length=5), report={"version": "1"}, encoder="minilm"
    )
    return soft(cast(FinishedRun, run))["soft/README.md"].decode()
