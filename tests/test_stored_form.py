"""How much is stored, and what a student draws of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from planted_sets import planted_set
from torch import Generator

from foster.artefact import save
from foster.rounding import pack, rounded, unpack
from foster.stored_form import LABELS_AN_ITEM, MOST_LABELS, MOST_READINGS, Form, affordable_form, log_bytes
from foster.synthetic import drawn_rows, hard_batch
from foster.training import NO_TARGET, Recipe

FEATURES = random_features()


def test_a_reading_takes_one_item_of_every_row() -> None:
    synthetic = planted_set(readings=3)
    batch = synthetic.batch(synthetic.basis(FEATURES))
    assert synthetic.rows.shape == (3, 5, 3)
    for m in range(3):
        for a in range(3):
            assert torch.equal(synthetic.rows[m, :, a], batch.items[a * 3 + m, :, 0])
    assert torch.equal(synthetic.own, synthetic.queries[:3])


def test_drawn_rows_are_readings_of_the_set() -> None:
    synthetic = planted_set(readings=3)
    basis = synthetic.basis(FEATURES)
    whole, draw = synthetic.batch(basis), drawn_rows(synthetic, basis, Recipe(batch_size=4))
    drawn = draw(Generator().manual_seed(0))
    assert len(drawn.items) == 4
    for item_row, target_row in zip(drawn.items, drawn.targets, strict=True):
        assert any(
            torch.equal(item_row, i) and torch.allclose(target_row, t)
            for i, t in zip(whole.items, whole.targets, strict=True)
        )
    assert len(drawn_rows(synthetic, basis, Recipe())(Generator()).items) == 9


def test_drawn_rows_of_a_large_catalogue_are_scored_on_their_likeliest_items_and_uniform_draws() -> None:
    synthetic = planted_set(readings=3)
    basis, recipe = synthetic.basis(FEATURES), Recipe(batch_size=2, subset=N_ITEMS // 3)
    drawn = drawn_rows(synthetic, basis, recipe)(Generator().manual_seed(0))
    assert drawn.scored is not None
    size = len(drawn.scored.items)
    assert N_ITEMS // 3 <= size < N_ITEMS
    assert drawn.targets.shape == (2, 5, size)
    rows = torch.randint(9, (2,), generator=Generator().manual_seed(0))
    labels = synthetic.labels(basis)[rows]
    assert bool(torch.isin(labels.argmax(-1), drawn.scored.items).all())
    expected = (labels[..., drawn.scored.items] - drawn.scored.log_inclusion).softmax(-1)
    assert torch.allclose(drawn.targets, expected)


def test_hard_sequences_ask_for_the_next_id_and_skip_padding() -> None:
    batch = hard_batch(torch.tensor([[4, 2, 7], [5, 1, -1]]))
    assert batch.items[..., 0].tolist() == [[4, 2], [5, 1]]
    assert batch.targets.tolist() == [[2, 7], [1, NO_TARGET]]


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("rank", [1, 2, 7, 8])
def test_packing_errs_by_half_a_level_at_most(rank: int, bits: int) -> None:
    numbers = torch.randn(5, 3, rank, generator=Generator().manual_seed(0))
    numbers[0, 0] = 0
    levels, scales = pack(numbers, bits)
    found = unpack(levels, scales)
    assert int(levels.abs().max()) == 2 ** (bits - 1) - 1
    assert bool(((found - numbers).abs() <= 0.51 * scales.float().unsqueeze(-1)).all())
    assert torch.equal(rounded(found, bits), found)


def test_readings_and_rank_fill_what_is_allowed() -> None:
    rich = affordable_form(20, 20, 1000, (384, 128), 10**9)
    assert rich == Form(LABELS_AN_ITEM * 1000 // 400, 48, 48, 96)
    assert affordable_form(20, 50, 20_000, (384, 128), 10**9).readings == MOST_LABELS // 1000
    assert affordable_form(100, 50, 1000, (384, 128), 10**9).readings == MOST_READINGS
    assert affordable_form(20, 20, 1000, (16, 32), 10**9).rank == 16, "never more than the texts have"
    tight = affordable_form(20, 20, 1000, (384, 64), 21_378)
    assert tight.rank == 24
    assert tight.readings >= 6
    smallest = affordable_form(1000, 50, 1000, (384, 64), 100)  # reported as breaking the rule, not refused
    assert (smallest.readings, smallest.rank) == (1, 8)


@pytest.mark.parametrize(("sequences", "available"), [(20, 245_000), (60, 490_000)])
def test_a_large_catalogue_has_a_wider_basis_and_keeps_within_its_bytes(
    tmp_path: Path, sequences: int, available: int
) -> None:
    form = affordable_form(sequences, 50, 20_000, (384, 128), available)
    assert form.width > form.rank
    assert form.readings >= 6
    made = planted_set(form.rank, form.readings, sequences, 50, 384, 20_000, form.bits, form.width, form.hidden)
    assert made.form == form
    made = replace(made, queries=0.1 * made.queries)  # about what of real labels is not foretold
    features = random_features(20_000, 384)
    save(made, tmp_path / "s", Recipe(), features, available)
    assert (tmp_path / "s").stat().st_size <= available
    assert affordable_form(20, 50, 1_000, (384, 128), 10**9).width == 48, "there is less to tell apart"
    assert affordable_form(20, 50, 20_000, (384, 64), 10**9).width == 64, "never more than the teacher has"


def test_log_size_counts_ids_in_the_narrowest_width() -> None:
    log = cycle_log()
    assert log_bytes(log, 100) < log.items.astype(np.uint16).nbytes
    assert log_bytes(log, 2**16 + 1) >= log_bytes(log, 100)
