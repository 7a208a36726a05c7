"""The lessons' distilled sets: foster's own loop, `foster.distiller.Distiller`, on the toy log.

M sequences of LENGTH books, READINGS readings each, labels of rank RANK. Whatever a lesson breaks is one argument.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch import Generator

from foster.condensers import random_real, uniform_items, with_teacher_labels
from foster.decode import harden
from foster.distiller import DistillConfig, Distiller
from foster.lessons.expert import CONFIG, hits, real_windows, toy_expert
from foster.lessons.world import BOOKS, features, toy_world
from foster.recommender import SequentialRecommender
from foster.stored_form import Form
from foster.students import Draw, derived_seed, every_step, train_student
from foster.synthetic import SyntheticSequences, drawn_rows, hard_batch
from foster.training import Recipe, Trainer

LENGTH, READINGS, RANK = 8, 4, 8
STUDENT = Recipe(steps=80, learning_rate=2e-2, dropout=0.0, warmup=5, batch_size=8)
STUDENTS = 3


@dataclass(frozen=True, eq=False)
class Condensed:
    """start: teacher's labels on uniformly drawn books; result: what the loop made of it; regulariser: L_reg at every
    step."""

    start: SyntheticSequences
    result: SyntheticSequences
    regulariser: np.ndarray


@lru_cache(maxsize=32)
def condense(seed: int, sequences: int, steps: int = 20, regularisation: float = 0.1) -> Condensed:
    """Run the loop on the toy log from its beginning to its end."""
    draw = Generator().manual_seed(derived_seed(seed, "condense"))
    teacher = toy_expert(seed).last
    items = uniform_items(len(BOOKS), READINGS * sequences, LENGTH, draw)
    start = with_teacher_labels(items, sequences, [teacher], features(), Form(READINGS, RANK, RANK, 2 * RANK), draw)
    config = DistillConfig(steps=steps, paths=2, real_batch=64, regularisation=regularisation, synthetic_rate=1.5)
    loop = Distiller(start, features(), real_windows(toy_world(seed).log), CONFIG, STUDENT, config, seed)
    seen = list(loop.run())
    return Condensed(
        start,
        loop.synthetic.detach(),
        np.array([step.regulariser for step in seen]),
    )


def soft(synthetic: SyntheticSequences) -> Draw:
    """What a student of the soft form sees."""
    return drawn_rows(synthetic, synthetic.basis(features()), STUDENT)


def hard(synthetic: SyntheticSequences) -> Draw:
    """What a student of the hard form sees: plain lists of books."""
    return every_step(hard_batch(harden(synthetic, synthetic.basis(features()))))


def random_rows(seed: int, sequences: int, each: int) -> Draw:
    """As many rows of real readers, drawn anew for each student."""
    draw = Generator().manual_seed(derived_seed(seed, "random", each))
    return every_step(hard_batch(random_real(toy_world(seed).log, sequences, LENGTH, draw)))


def scores(seed: int, draws: list[Draw | None], warm: bool = False) -> np.ndarray:
    """Recall@3 of one student for each draw; None sees nothing. warm: it starts as the full-data model, not fresh."""
    return np.array([hits(_student(seed, draw, each, warm), toy_world(seed)) for each, draw in enumerate(draws)])


def _student(seed: int, draw: Draw | None, each: int, warm: bool) -> SequentialRecommender:
    own = derived_seed(seed, "student", each)
    if not warm:
        return train_student(draw, features(), CONFIG, STUDENT, own)
    model, generator = copy.deepcopy(toy_expert(seed).last).requires_grad_(), Generator().manual_seed(own)
    if draw is not None:
        trainer = Trainer(model, features(), STUDENT, Generator())
        for _ in range(STUDENT.steps):
            trainer.step(draw(generator))
    return model
