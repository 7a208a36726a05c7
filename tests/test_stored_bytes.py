"""The artefact's size, its schema, and what happens to one that was damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cycle_world import N_ITEMS, random_features
from planted_sets import planted_set, rewrite
from torch import Generator

from foster.condensers import label_projection
from foster.errors import UserError
from foster.label_basis import fit_queries, label_basis
from foster.recommender import RecommenderConfig, build_recommender
from foster.stored_form import BYTES_PER_POSITION, affordable_form
from foster.synthetic import SyntheticSequences
from foster.training import Recipe

SEQUENCES, LENGTH = 6, 7


def synthetic(rank: int, n_items: int = N_ITEMS, readings: int = 1, text_width: int = 16) -> SyntheticSequences:
    return planted_set(rank, readings, SEQUENCES, LENGTH, text_width, n_items)


@pytest.mark.parametrize("n_items", [N_ITEMS, 100_000])
@pytest.mark.parametrize("text_width", [16, 384])
@pytest.mark.parametrize("available", [1_000_000, 8_000, 4_000])
def test_a_set_of_affordable_form_keeps_within_its_bytes(
    tmp_path: Path, available: int, text_width: int, n_items: int
) -> None:
    form = affordable_form(SEQUENCES, LENGTH, n_items, (text_width, 64), available)
    path = tmp_path / "s.safetensors"
    synthetic(form.rank, n_items, form.readings, text_width).save(path, Recipe(), n_items)
    size = path.stat().st_size
    assert size <= min(available, BYTES_PER_POSITION * SEQUENCES * LENGTH)


@pytest.mark.parametrize("available", [1_000_000, 146_413])
def test_a_set_of_a_fine_projection_keeps_within_its_bytes(tmp_path: Path, available: int) -> None:
    form = affordable_form(20, 50, N_ITEMS, (384, 128), available)
    assert form.projection_bits == 8
    made = planted_set(form.rank, form.readings, 20, 50, 384, projection_bits=8)
    made.save(tmp_path / "s", Recipe(), N_ITEMS)
    assert (tmp_path / "s").stat().st_size <= min(available, BYTES_PER_POSITION * 1000)


@pytest.mark.parametrize("n_items", [2**16, 2**16 + 1])
def test_the_largest_id_survives(tmp_path: Path, n_items: int) -> None:
    kept = synthetic(8)
    kept.items[0, 0] = n_items - 1
    kept.save(tmp_path / "s", Recipe(), n_items)
    found, _ = SyntheticSequences.load(tmp_path / "s")
    assert torch.equal(found.items, kept.items)


def test_saving_what_was_loaded_changes_no_byte(tmp_path: Path) -> None:
    synthetic(8, readings=3).save(tmp_path / "one", Recipe(), N_ITEMS)
    found, recipe = SyntheticSequences.load(tmp_path / "one")
    found.save(tmp_path / "two", recipe, N_ITEMS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize(
    "changes", [{"schema": 99}, {"recipe": {"magic": 1}}, {"recipe": None}, {"sequences": 0}, {"sequences": 4}]
)
def test_another_schema_recipe_or_count_is_refused_in_one_line(tmp_path: Path, changes: dict[str, object]) -> None:
    path = tmp_path / "s.safetensors"
    synthetic(8).save(path, Recipe(), N_ITEMS)
    rewrite(path, **changes)
    with pytest.raises(UserError) as refused:
        SyntheticSequences.load(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("keep", [0, 7, 100, 500])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "s.safetensors"
    synthetic(8).save(path, Recipe(), N_ITEMS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="no synthetic set"):
        SyntheticSequences.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no synthetic set"):
        SyntheticSequences.load(tmp_path / "none.safetensors")


def test_a_solver_that_flips_its_vectors_gives_the_same_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    features, solve = random_features(40), torch.linalg.eigh
    teacher = build_recommender(16, RecommenderConfig(width=8), Generator().manual_seed(0))
    found = label_projection(teacher, features, 6)

    def flipped(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, vectors = solve(matrix)
        return values, -vectors

    monkeypatch.setattr(torch.linalg, "eigh", flipped)
    assert torch.equal(label_projection(teacher, features, 6), found)


def test_planted_queries_come_back_themselves_up_to_half_precision() -> None:
    basis = label_basis(random_features(80, 16), planted_set().projection)
    planted = 0.7 * torch.randn(6, 8, generator=Generator().manual_seed(1))
    fitted = fit_queries((planted @ basis.T).log_softmax(-1), basis, Generator())
    assert torch.allclose(fitted, planted, atol=0.05)


def test_fitting_is_never_worse_than_uniform_labels_even_for_peaked_ones() -> None:
    basis = label_basis(random_features(80, 16), planted_set().projection)
    target = torch.full((3, 80), 1e-30).log()
    target[torch.arange(3), torch.tensor([4, 50, 79])] = 0.0
    fitted = (fit_queries(target, basis, Generator()) @ basis.T).log_softmax(-1)
    assert bool(fitted.isfinite().all())
    assert float(-(target.exp() * fitted).sum(-1).max()) < float(torch.tensor(80.0).log())
