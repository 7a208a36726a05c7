"""What is stored, and that what is read back is what was stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from torch import Generator

from foster.errors import UserError
from foster.synthetic import (
    NUMBERS_PER_POSITION,
    SyntheticSequences,
    affordable_rank,
    fit_queries,
    hard_batch,
    label_basis,
    log_bytes,
)
from foster.training import NO_TARGET, Recipe


def synthetic(tied: bool = False, mixture: int = 1) -> SyntheticSequences:
    draw = Generator().manual_seed(0)
    items = torch.randint(N_ITEMS, (3, 5, mixture), generator=draw)
    return SyntheticSequences(
        items, torch.randn(3, 5, mixture, generator=draw), torch.randn(3, 5, 8, generator=draw), tied
    )


@pytest.mark.parametrize(("tied", "mixture"), [(False, 1), (False, 3), (True, 2)])
def test_artefact_reads_back_what_a_student_would_have_seen(tmp_path: Path, tied: bool, mixture: int) -> None:
    basis = label_basis(random_features(), 8)
    kept = synthetic(tied, mixture)
    half = SyntheticSequences(kept.items, kept.weights.half().float(), kept.queries.half().float(), tied)
    kept.save(tmp_path / "s.safetensors", Recipe(steps=7), N_ITEMS)
    found, recipe = SyntheticSequences.load(tmp_path / "s.safetensors")
    expected, batch = half.batch(basis), found.batch(basis)
    assert recipe == Recipe(steps=7)
    assert torch.equal(batch.items, expected.items)
    assert torch.equal(batch.targets, expected.targets)
    assert torch.allclose(batch.weights, expected.weights)


def test_tied_inputs_follow_the_labels_before_them() -> None:
    basis = label_basis(random_features(), 8)
    tied = synthetic(tied=True, mixture=2)
    items, weights = tied.inputs(basis)
    assert torch.equal(items[:, 1:, 0], tied.labels(basis)[:, :-1].argmax(-1))
    assert torch.allclose(weights.sum(-1), torch.ones(3, 5))


@pytest.mark.parametrize("content", [b"", b"junk", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_artefact_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="no synthetic set"):
        SyntheticSequences.load(tmp_path / "s.safetensors")


def test_rank_keeps_within_the_log_and_128_numbers() -> None:
    assert affordable_rank(20, 20, 1, 384, 10**9) == NUMBERS_PER_POSITION - 1
    assert affordable_rank(20, 20, 1, 64, 10**9) == 64
    rank = affordable_rank(20, 20, 1, 384, 50_000)
    assert 2 * 400 * (rank + 1) <= 50_000
    assert affordable_rank(1000, 50, 1, 384, 100) == 8  # reported as breaking the rule, not refused


def test_log_size_counts_ids_in_the_narrowest_width() -> None:
    log = cycle_log()
    assert log_bytes(log, 100) < log.items.astype(np.uint16).nbytes
    assert log_bytes(log, 2**16 + 1) >= log_bytes(log, 100)


def test_basis_is_the_same_twice_and_pads_missing_components() -> None:
    features = random_features(5, 16)
    basis = label_basis(features, 20)
    assert basis.shape == (5, 20)
    assert torch.equal(basis, label_basis(features, 20))
    assert (basis[:, 4:].abs() < 1e-3).all()  # five centred points span four directions
    assert torch.allclose(basis[:, :4].std(0, correction=0), torch.ones(4), atol=1e-3)


def test_planted_queries_are_recovered_as_distributions() -> None:
    basis = label_basis(random_features(60, 16), 8)
    planted = torch.randn(10, 8, generator=Generator().manual_seed(1))
    target = (planted @ basis.T).log_softmax(-1)
    fitted = (fit_queries(target, basis) @ basis.T).log_softmax(-1)
    assert float((target.exp() * (target - fitted)).sum(-1).max()) < 1e-4


def test_hard_sequences_ask_for_the_next_id_and_skip_padding() -> None:
    batch = hard_batch(torch.tensor([[4, 2, 7], [5, 1, -1]]))
    assert batch.items[..., 0].tolist() == [[4, 2], [5, 1]]
    assert batch.targets.tolist() == [[2, 7], [1, NO_TARGET]]
