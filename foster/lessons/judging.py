"""Lesson 6: judging honestly. Fresh students, both forms, bytes as stored; broken by students that start warm.

What is measured is what is stored: the set is written, read back, and only then shown to students.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foster.artefact import load, save
from foster.lessons.condensed import LENGTH, STUDENT, condense, hard, random_rows, scores, soft
from foster.lessons.expert import hits, toy_expert
from foster.lessons.world import BOOKS, features, toy_world
from foster.stored_form import log_bytes

SEQUENCES = 4


@dataclass(frozen=True, eq=False)
class Judged:
    """soft, hard, random, nothing: one score a student; *_bytes as stored."""

    soft: np.ndarray
    hard: np.ndarray
    random: np.ndarray
    nothing: np.ndarray
    everything: float
    soft_bytes: int
    hard_bytes: int
    log_bytes: int


def judge(seed: int, students: int, warm: bool = False) -> Judged:
    """warm: students start as the full-data model instead of fresh."""
    world = toy_world(seed)
    in_full = log_bytes(world.log, len(BOOKS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.safetensors"
        save(condense(seed, SEQUENCES).result, path, STUDENT, features(), in_full)
        stored, _ = load(path, features())
        soft_bytes = path.stat().st_size
    return Judged(
        scores(seed, [soft(stored)] * students, warm),
        scores(seed, [hard(stored)] * students, warm),
        scores(seed, [random_rows(seed, SEQUENCES, each) for each in range(students)], warm),
        scores(seed, [None] * students, warm),
        hits(toy_expert(seed).last, world),
        soft_bytes,
        SEQUENCES * LENGTH * 2,
        in_full,
    )
