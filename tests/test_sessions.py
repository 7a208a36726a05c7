"""Readings that are longer than the log's histories are read as sessions, each a history of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_windows, random_features
from planted_sets import planted_set
from short_runs import features_in, no_map, short_runs
from torch import Generator

from foster.artefact import load
from foster.bench import ablations
from foster.condensers import joined, real_readings, teacher_log_labels, with_teacher_labels
from foster.console import sequences_text
from foster.distiller import DistillConfig, Distiller
from foster.interactions import Interactions, Split
from foster.pipeline import execute, session_length
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.runs import RunStore, RunWriter
from foster.spec import RunSpec
from foster.stored_form import Form
from foster.synthetic import as_readings, in_sessions
from foster.training import Recipe

FEATURES = random_features()
SHAPE = RecommenderConfig(width=8, layers=1, max_length=6, dropout=0.0)


def model(seed: int = 0) -> SequentialRecommender:
    return build_recommender(16, SHAPE, Generator().manual_seed(seed))


@pytest.mark.parametrize("session", [1, 2, 3, 5, 6, None])
def test_readings_are_cut_in_turn_and_joined_again(session: int | None) -> None:
    rows = torch.arange(1, 21).view(2, 5, 2)
    cut = in_sessions(rows, session)
    count = -(-5 // (session or 5))
    assert cut.shape == (2 * count, 5 if session in (6, None) else session, 2)
    assert torch.equal(as_readings(cut, 2, 5), rows)
    assert cut[cut > 0].tolist() == rows.flatten().tolist()


def test_a_student_reads_each_session_from_its_beginning() -> None:
    whole = planted_set(readings=2)  # three sequences of five positions
    cut = replace(whole, session=2)
    one, many = whole.batch(whole.basis(FEATURES)), cut.batch(cut.basis(FEATURES))
    assert many.items.shape == (18, 2, 1)
    assert many.items[:3, :, 0].tolist() == [*whole.items[0, :4].view(2, 2).tolist(), [int(whole.items[0, 4]), 0]]
    assert many.weights[:3, :, 0].tolist() == [[1, 1], [1, 1], [1, 0]]
    assert torch.equal(many.targets[1], one.targets[0, 2:4])
    assert bool((many.targets[2, 1] == 0).all()), "no label where no item is"


def test_labels_of_a_session_do_not_know_what_came_before() -> None:
    items = torch.tensor([[3, 4, 5, 9, 2]])
    found = teacher_log_labels([model()], FEATURES, items, session=2)
    apart = teacher_log_labels([model()], FEATURES, torch.tensor([[3, 4], [5, 9], [2, 0]]))
    torch.testing.assert_close(found[0], apart.flatten(0, 1)[:5])
    made = with_teacher_labels(items, 1, [model()], FEATURES, Form(1, 8, 8, 16, session=2), Generator())
    assert made.form == Form(1, 8, 8, 16, session=2)
    batch = made.batch(made.basis(FEATURES))
    used = batch.weights[..., 0] > 0
    said = batch.targets[used].clamp(min=1e-30).log()
    divergence = (found[0].exp() * (found[0] - said)).sum(-1)
    assert float(divergence.max()) < 0.05
    full = ablations.in_full([model()], FEATURES, items, Recipe(), 2)(Generator())
    torch.testing.assert_close(full.targets[used], found[0].exp())
    assert bool((full.targets[~used] == 0).all())


@pytest.mark.parametrize("subset", [1024, 6])
def test_the_loop_reads_sessions_as_a_student_does(subset: int) -> None:
    start = replace(planted_set(readings=2), session=2)
    config = DistillConfig(steps=1, paths=1, subset=subset)
    loop = Distiller(start, FEATURES, cycle_windows(), SHAPE, Recipe(), config, 0)
    view, student = loop._view([], Generator()), model(3)
    found = view.scores(student, torch.tensor([4, 1]))
    for row, of in zip(found, (4, 1), strict=True):
        for first in (0, 2, 4):
            some = start.items[of, first : first + 2]
            table = student.item_table(FEATURES)
            hidden = student(table[some].unsqueeze(0))[0]
            scored = student.logits(hidden, table)[:, view.subset.items] - view.subset.log_inclusion
            torch.testing.assert_close(row[first : first + 2], scored.log_softmax(-1))
    assert len(view.subset.items) == min(subset, N_ITEMS)


def test_sessions_of_one_theme_become_one_reading() -> None:
    """Two sequences, two readings of five positions, sessions of three: row (a·n + i)·M + m."""
    sessions = torch.arange(8).unsqueeze(1) * 10 + torch.arange(3)
    assert joined(sessions, 2, 5).tolist() == [
        [0, 1, 2, 20, 21], [10, 11, 12, 30, 31], [40, 41, 42, 60, 61], [50, 51, 52, 70, 71],
    ]  # fmt: skip
    assert torch.equal(joined(sessions, 2, 3), sessions)


def test_a_run_on_short_histories_keeps_and_shows_its_sessions(tmp_path: Path) -> None:
    with short_runs(tmp_path / "cycle", steps=2, save_every=2, student_steps=1, paths=1, real_batch=4) as patch:
        patch.setattr("foster.pipeline.item_map", no_map)
        store = RunStore(tmp_path / "runs", bundled=None)
        made = store.create(RunSpec(data=str(tmp_path / "cycle"), sequences=2, length=25, steps=1, students=1))
        with RunWriter(made.path) as writer:
            report = execute(made.spec, writer, store.cache)
    session = report["form"]["session"]
    assert session is not None
    assert session < 25
    features = features_in(tmp_path / "cycle")
    kept, _ = load(made.path / "synthetic.safetensors", features)
    assert kept.form.session == session
    table, shot = made.sequences(), made.snapshot(1)
    assert table is not None
    expected = [position // session for position in range(25)] * 2
    assert table["session"].tolist() == shot["session"].tolist() == expected
    said = sequences_text(made, table.to_dict("records"))
    assert f"sequence 0, read anew from {session}" in said


def log_of(*sizes: int) -> Interactions:
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Interactions(np.arange(offsets[-1]), offsets, tuple(map(str, range(len(sizes)))))


def test_real_histories_fill_a_reading_session_by_session() -> None:
    log = log_of(9, 9, 9)
    rows = real_readings(log, 5, 5, 3, Generator().manual_seed(0))
    assert rows.shape == (2, 5)
    first, last, alone, nobody = in_sessions(rows, 3, fill=-1).tolist()
    ends = {8, 17, 26}
    assert {first[2], last[1], alone[2]} == ends, "each user once, with the last events"
    assert [first, last[:2], alone] == [[first[2] - 2, first[2] - 1, first[2]], [last[1] - 1, last[1]], alone]
    assert last[2] == -1
    assert nobody == [-1] * 3
    short = in_sessions(real_readings(log_of(2, 1), 1, 6, 3, Generator()), 3).tolist()
    assert sorted(short) == [[0, 1, -1], [2, -1, -1]]
    assert len(real_readings(log, 1, 5, 3, Generator())) == 1


@pytest.mark.parametrize(
    ("mean", "length", "expected"), [(5, 10, None), (5, 20, 10), (5, 50, 10), (12, 50, 17), (104, 50, None), (5, 25, 9)]
)
def test_a_session_is_no_longer_than_a_usual_history(mean: int, length: int, expected: int | None) -> None:
    log = log_of(mean, mean)
    nothing = np.zeros(2, dtype=np.int64)
    assert session_length(Split(log, nothing, nothing, True, 0.0), length) == expected
