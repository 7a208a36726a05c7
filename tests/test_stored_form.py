"""What is stored, and that what is read back is what was stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from planted_sets import planted_set, rewrite
from safetensors import safe_open
from torch import Generator, Tensor

from foster.condensers import label_projection
from foster.errors import UserError
from foster.label_basis import fit_basis, fit_queries, label_basis
from foster.recommender import RecommenderConfig, build_recommender
from foster.rounding import pack, rounded, unpack
from foster.stored_form import BYTES_PER_POSITION, MAX_READINGS, Form, affordable_form, log_bytes
from foster.synthetic import UNUSED, SyntheticSequences, drawn_rows, hard_batch
from foster.training import NO_TARGET, Recipe

FEATURES = random_features()


@pytest.mark.parametrize("readings", [1, 3])
def test_artefact_reads_back_what_a_student_would_have_seen(tmp_path: Path, readings: int) -> None:
    kept = planted_set(readings=readings)
    kept.save(tmp_path / "s.safetensors", Recipe(steps=7), N_ITEMS)
    found, recipe = SyntheticSequences.load(tmp_path / "s.safetensors")
    expected, batch = kept.batch(kept.basis(FEATURES)), found.batch(found.basis(FEATURES))
    assert recipe == Recipe(steps=7)
    with safe_open(tmp_path / "s.safetensors", "pt") as file:
        assert None not in json.loads(file.metadata()["foster"])["recipe"].values(), "bytes for nothing"
    assert found.shape == kept.shape == (3, 5)
    assert torch.equal(batch.items, expected.items)
    assert torch.allclose(batch.targets, expected.targets, atol=1e-3)
    assert torch.allclose(batch.weights, expected.weights)


def test_a_set_of_an_earlier_version_has_no_lift(tmp_path: Path) -> None:
    kept = replace(planted_set(), lift=None)
    kept.save(tmp_path / "s.safetensors", Recipe(), N_ITEMS)
    found, _ = SyntheticSequences.load(tmp_path / "s.safetensors")
    assert found.lift is None
    assert torch.allclose(found.basis(FEATURES), label_basis(FEATURES, kept.projection), atol=1e-3)


def test_a_lift_of_the_version_before_is_read_as_it_was_meant(tmp_path: Path) -> None:
    kept, file = planted_set(), tmp_path / "s.safetensors"
    kept.save(file, Recipe(), N_ITEMS)

    def as_one(tensors: dict[str, Tensor]) -> None:
        for end in ("", "_scales"):
            tensors[f"lift{end}"] = torch.stack([tensors.pop(f"{name}{end}") for name in ("lift_in", "lift_out")])

    now, _ = SyntheticSequences.load(file)
    rewrite(file, as_one, schema=5)
    then, _ = SyntheticSequences.load(file)
    assert torch.equal(now.basis(FEATURES), then.basis(FEATURES))
    assert then.form == kept.form == Form(1, 8)


def test_a_wide_basis_reads_back_and_says_its_form(tmp_path: Path) -> None:
    kept = planted_set(width=12, hidden=20)
    kept.save(tmp_path / "s.safetensors", Recipe(), N_ITEMS)
    found, _ = SyntheticSequences.load(tmp_path / "s.safetensors")
    assert found.form == Form(1, 8, width=12, hidden=20)
    assert found.basis(FEATURES).shape == (N_ITEMS, 8)
    assert torch.allclose(found.basis(FEATURES), kept.basis(FEATURES), atol=1e-3)


@pytest.mark.parametrize(("reading", "out"), [((15, 8), (16, 8)), ((16, 8), (16, 7)), ((16, 7), (16, 8))])
def test_a_lift_of_another_shape_is_refused(tmp_path: Path, reading: tuple[int, int], out: tuple[int, int]) -> None:
    lift = torch.ones(reading), torch.ones(out)
    replace(planted_set(projection_bits=8), lift=lift).save(tmp_path / "s.safetensors", Recipe(), N_ITEMS)
    with pytest.raises(UserError, match="none of rank 8"):
        SyntheticSequences.load(tmp_path / "s.safetensors")


@pytest.mark.parametrize("missing", ["lift_in", "lift_in_scales", "lift_out", "lift_out_scales"])
def test_half_a_lift_is_refused(tmp_path: Path, missing: str) -> None:
    file = tmp_path / "s.safetensors"
    planted_set().save(file, Recipe(), N_ITEMS)
    rewrite(file, lambda tensors: tensors.__delitem__(missing))
    with pytest.raises(UserError, match="no synthetic set"):
        SyntheticSequences.load(file)


def test_a_short_reading_keeps_its_length(tmp_path: Path) -> None:
    kept = planted_set(readings=2)
    kept.items[4, 3:] = UNUSED
    kept.save(tmp_path / "s.safetensors", Recipe(), N_ITEMS)
    found, _ = SyntheticSequences.load(tmp_path / "s.safetensors")
    assert torch.equal(found.items, kept.items)
    batch = found.batch(found.basis(FEATURES))
    assert batch.weights[4].flatten().tolist() == [1, 1, 1, 0, 0]
    assert batch.targets[4].sum(-1).tolist() == pytest.approx([1, 1, 1, 0, 0])
    assert batch.weights[1].flatten().tolist() == [1] * 5, "another reading of the same sequence"


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


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("rank", [1, 2, 7, 8])
def test_packing_errs_by_half_a_level_at_most(rank: int, bits: int) -> None:
    numbers = torch.randn(5, 3, rank, generator=Generator().manual_seed(0))
    numbers[0, 0] = 0
    packed, scales = pack(numbers, bits)
    found = unpack(packed, scales, rank)
    assert packed.shape == (5, 3, -(-rank * bits // 8))
    assert packed.element_size() == 1
    assert bool(((found - numbers).abs() <= 0.51 * scales.float().unsqueeze(-1)).all())
    assert torch.equal(rounded(found, bits), found)


@pytest.mark.parametrize("content", [b"", b"junk", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_artefact_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="no synthetic set"):
        SyntheticSequences.load(tmp_path / "s.safetensors")


def test_readings_and_rank_fill_what_the_log_allows() -> None:
    assert affordable_form(20, 20, 1000, (384, 128), 10**9) == Form(6, 48, 8)
    assert affordable_form(20, 20, 1000, (16, 32), 10**9).readings == MAX_READINGS
    assert affordable_form(20, 20, 1000, (16, 32), 10**9).rank == 16  # never more than the texts have
    tight = affordable_form(20, 20, 1000, (384, 64), 21_378)
    assert (tight.rank, tight.projection_bits) == (16, 4)
    assert tight.readings >= 2
    smallest = affordable_form(1000, 50, 1000, (384, 64), 100)  # reported as breaking the rule, not refused
    assert (smallest.readings, smallest.rank) == (1, 8)


@pytest.mark.parametrize("available", [10**9, 245_000, 490_000])
def test_a_large_catalogue_has_a_wider_basis_and_keeps_within_its_bytes(tmp_path: Path, available: int) -> None:
    for sequences in (20, 60):
        form = affordable_form(sequences, 50, 20_000, (384, 128), available)
        assert form.readings >= (4 if available >= 7_000 * sequences else 3)
        assert form.width is None or (form.width > form.rank and 3 * form.rank <= (form.hidden or 0) <= 512)
        shape = {"projection_bits": form.projection_bits, "width": form.width, "hidden": form.hidden}
        made = planted_set(form.rank, form.readings, sequences, 50, 384, 20_000, **shape)
        assert made.form == form
        made.save(tmp_path / "s", Recipe(), 20_000)
        assert (tmp_path / "s").stat().st_size <= min(available, BYTES_PER_POSITION * 50 * sequences)
    assert affordable_form(20, 50, 20_000, (384, 128), 10**9).width == 128
    assert affordable_form(20, 50, 1_000, (384, 128), 10**9).width is None, "there is less to tell apart"
    assert affordable_form(20, 50, 20_000, (384, 64), 10**9).width == 64, "never more than the teacher has"


def test_log_size_counts_ids_in_the_narrowest_width() -> None:
    log = cycle_log()
    assert log_bytes(log, 100) < log.items.astype(np.uint16).nbytes
    assert log_bytes(log, 2**16 + 1) >= log_bytes(log, 100)


def test_basis_tells_items_apart_as_the_teacher_does() -> None:
    """At the teacher's own width the projection loses nothing: cosines of basis rows are those of its item table."""
    teacher = build_recommender(16, RecommenderConfig(width=8), Generator().manual_seed(0))
    basis = label_basis(FEATURES, label_projection(teacher, FEATURES, 8))
    table = teacher.item_table(FEATURES).detach()
    assert basis.shape == (N_ITEMS, 8)
    assert torch.allclose(basis @ basis.T / 8, table @ table.T, atol=0.15)  # 4 bits of the projection
    assert torch.allclose(basis.norm(dim=-1), torch.full((N_ITEMS,), 8**0.5))


def test_planted_queries_are_recovered_as_distributions() -> None:
    basis = label_basis(random_features(60, 16), planted_set().projection)
    planted = torch.randn(10, 8, generator=Generator().manual_seed(1))
    target = (planted @ basis.T).log_softmax(-1)
    fitted = (fit_queries(target, basis, Generator()) @ basis.T).log_softmax(-1)
    assert float((target.exp() * (target - fitted)).sum(-1).max()) < 1e-3


def test_queries_fitted_on_a_subset_lie_between_least_squares_and_those_fitted_on_everything() -> None:
    """The labels are not of the factorised form, so that the least-squares start is not the answer."""
    draw = Generator().manual_seed(1)
    basis = label_basis(random_features(1000, 16), torch.randn(8, 16, generator=draw))
    noise = 0.5 * torch.randn(6, 1000, generator=draw)
    target = (torch.randn(6, 8, generator=draw) @ basis.T + noise).log_softmax(-1)

    def error(**kwargs: int) -> float:
        fitted = (fit_queries(target, basis, Generator().manual_seed(0), **kwargs) @ basis.T).log_softmax(-1)
        return float((target.exp() * (target - fitted)).sum(-1).mean())

    assert error() < error(subset=400) < error(steps=0)


def test_hard_sequences_ask_for_the_next_id_and_skip_padding() -> None:
    batch = hard_batch(torch.tensor([[4, 2, 7], [5, 1, -1]]))
    assert batch.items[..., 0].tolist() == [[4, 2], [5, 1]]
    assert batch.targets.tolist() == [[2, 7], [1, NO_TARGET]]


def labels_of(basis: Tensor, count: int, draw: Generator) -> Tensor:
    return (2 * torch.randn(count, basis.shape[1], generator=draw) @ basis.T).log_softmax(-1)


def divergence(log_labels: Tensor, basis: Tensor) -> float:
    """Mean KL of what can be stored of labels on a basis."""
    found = (fit_queries(log_labels, basis, Generator().manual_seed(0)) @ basis.T).log_softmax(-1)
    return float((log_labels.exp() * (log_labels - found)).sum(-1).mean())


@pytest.mark.parametrize("subset", [2048, 60])
def test_a_fitted_projection_finds_the_directions_that_the_labels_need(subset: int) -> None:
    """Planted: labels of rank 4 on directions that no leading direction of the features is among."""
    draw = Generator().manual_seed(1)
    features = random_features(200, 16)
    planted = label_basis(features, torch.randn(4, 16, generator=draw))
    seen, unseen = labels_of(planted, 80, draw), labels_of(planted, 80, draw)
    begin = torch.eye(16)[:4]
    found, lift = fit_basis(begin, seen, features, Generator().manual_seed(0), steps=600, subset=subset)
    before = divergence(unseen, label_basis(features, rounded(begin)))
    assert divergence(unseen, label_basis(features, found, lift)) < 0.25 * before
    assert torch.equal(found, rounded(found)), "what is stored"
    assert all(torch.equal(matrix, rounded(matrix)) for matrix in lift), "what is stored"
    assert torch.equal(begin, torch.eye(16)[:4]), "the given one is left as it was"
    again = fit_basis(begin, seen, features, Generator().manual_seed(0), steps=600, subset=subset)
    assert torch.equal(found, again[0])
    assert all(torch.equal(*each) for each in zip(lift, again[1], strict=True))


@pytest.mark.parametrize(("n_items", "subset"), [(300, 2048), (3000, 200)])
def test_a_lift_says_what_no_projection_can(n_items: int, subset: int) -> None:
    """Planted: labels on products of two features; a lift that adds nothing is where fitting begins."""
    draw = Generator().manual_seed(1)
    features = random_features(n_items, 8)
    squares = 12 * features[:, :4] * features[:, 4:]
    seen, unseen = labels_of(squares, 150, draw), labels_of(squares, 80, draw)
    begin = torch.eye(8)
    projection, lift = fit_basis(begin, seen, features, Generator().manual_seed(0), bits=8, subset=subset)
    before, found = (divergence(unseen, label_basis(features, projection, each)) for each in (None, lift))
    assert found < 0.1 * before, "also of items that a step seldom sees"
    _, nothing = fit_basis(begin, seen, features, Generator().manual_seed(0), steps=0)
    assert torch.equal(label_basis(features, begin, nothing), label_basis(features, begin))


def test_a_wide_basis_says_what_a_narrow_one_cannot() -> None:
    """Planted: labels on three products of two features each, on queries of three numbers."""
    draw = Generator().manual_seed(1)
    features = random_features(300, 8)
    squares = 12 * features[:, :3] * features[:, 4:7]
    seen, unseen = labels_of(squares, 150, draw), labels_of(squares, 80, draw)
    lost = []
    for width, hidden in ((3, 6), (8, 24)):
        begin = torch.eye(8)[:width]
        made = fit_basis(begin, seen, features, Generator().manual_seed(0), bits=8, rank=3, hidden=hidden)
        basis = label_basis(features, *made)
        assert basis.shape == (300, 3)
        lost.append(divergence(unseen, basis))
    assert lost[1] < 0.2 * lost[0]


def test_a_single_label_can_be_fitted() -> None:
    features = random_features(30, 16)
    one = torch.randn(1, 30, generator=Generator().manual_seed(2)).log_softmax(-1)
    projection, lift = fit_basis(torch.eye(16)[:2], one, features, Generator())
    assert bool(projection.isfinite().all())
    assert all(bool(matrix.isfinite().all()) for matrix in lift)
