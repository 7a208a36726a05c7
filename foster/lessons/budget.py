"""Lesson 2: M sequences instead of the log. Condensed ones beside as many real ones; broken by losing the labels.

Everything is Recall@3 of fresh students on readers that nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foster.decode import top_rows
from foster.lessons.condensed import LENGTH, STUDENTS, condense, hard, random_rows, scores, soft
from foster.lessons.expert import hits, toy_expert
from foster.lessons.world import TITLES, features, popular_scorer, toy_world


@dataclass(frozen=True, eq=False)
class Budget:
    """distilled, random: one score a student; distilled without its labels where `labels` was False. events: M·L.

    row: of the first sequence, (book read, likeliest next book, its probability) at every position.
    """

    distilled: np.ndarray
    random: np.ndarray
    popular: float
    everything: float
    events: int
    log_events: int
    row: tuple[tuple[str, str, float], ...]


def spend(seed: int, sequences: int, labels: bool = True) -> Budget:
    """labels: students see each position's distribution; False leaves them plain lists of books."""
    world, result = toy_world(seed), condense(seed, sequences).result
    draw = soft(result) if labels else hard(result)
    best, chance = top_rows(result, result.basis(features()), 1)
    places = zip(result.items[0].tolist(), best[0, :, 0].tolist(), chance[0, :, 0].tolist(), strict=True)
    return Budget(
        scores(seed, [draw] * STUDENTS),
        scores(seed, [random_rows(seed, sequences, each) for each in range(STUDENTS)]),
        world.hits(popular_scorer(world)),
        hits(toy_expert(seed).last, world),
        sequences * LENGTH,
        len(world.log.items),
        tuple((TITLES[read], TITLES[taught], p) for read, taught, p in places),
    )
