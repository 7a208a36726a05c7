"""What was taken before and is taken again: how likely, from how long ago it was.

A softmax over text embeddings cannot say "this very item once more" without saying "its like" too, and in logs with
repeats that is much of what comes next. So there a recommender's next-item distribution is a mixture of a repeat and an
explore mode (RepeatNet, Ren et al., AAAI 2019), the repeat mode reduced to two numbers that the training log gives:

    h(a) = rate · a^(−decay)
    p(i | x) = h(a_i) + (1 − Σ_j h(a_j)) · p_model(i | x)

a_i: how many events ago item i of the history x was read last, 1 for the latest event; h(a_i) = 0 for what is not in x.
x is what the recommender reads, its last L events; where Σ h is above 0.99, h is scaled down to it.
Models learn as they did; the mixture is how they are asked. Both numbers travel with a set's recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foster.interactions import Interactions
from foster.recommender import RecommenderConfig

LONGEST = 50  # ages that are looked at: as far back as a full-data model reads
DECAYS = np.linspace(0.05, 3.0, 60)  # above 0, so that no two items are equally likely
MOST = 0.99  # of the probability that may go to repeats: what is new stays possible


@dataclass(frozen=True)
class Repeats:
    """h of the module's docstring. repeat_rate: of the latest event, above 0, at most 1; repeat_decay: at least 0."""

    repeat_rate: float
    repeat_decay: float

    @classmethod
    def of(cls, config: RecommenderConfig) -> Repeats | None:
        """By which a recommender of this shape is asked, None where nothing comes again."""
        if config.repeat_rate is None or config.repeat_decay is None:
            return None
        return cls(config.repeat_rate, config.repeat_decay)

    def mixed(self, log_p: NDArray[np.float32], histories: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """log p(· | x) [B, V] from a model's own, which it replaces, and the histories x (oldest first, at least one
        event each)."""
        for row, history in zip(log_p, histories, strict=True):
            items, at = np.unique(history[::-1], return_index=True)  # the first of the reversed is the latest
            again = self.repeat_rate * (at + 1.0) ** -self.repeat_decay
            again *= min(1.0, MOST / again.sum())
            row += np.log1p(-again.sum())
            row[items] = np.logaddexp(row[items], np.log(again))
        return log_p


def repeats_of(log: Interactions) -> Repeats | None:
    """Rate and decay of greatest likelihood; None for a log without repeats among LONGEST events.

    R_a events repeat what was read last a events ago, of N_a that could have: taken as Poisson counts of mean
    N_a · h(a). The best rate is known for every one of DECAYS.
    """
    came, could = ages(log)
    if not came.any():
        return None
    a = np.arange(1, LONGEST + 1)

    def likelihood(decay: float) -> float:
        return float(-came.sum() * np.log((could * a**-decay).sum()) - decay * (came * np.log(a)).sum())

    decay = max(DECAYS.tolist(), key=likelihood)
    return Repeats(min(1.0, float(came.sum() / (could * a**-decay).sum())), decay)


def ages(log: Interactions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """R and N of `repeats_of`, [LONGEST] each, entry a − 1 for age a."""
    came, could = np.zeros(LONGEST, np.int64), np.zeros(LONGEST, np.int64)
    for user in range(log.n_users):
        last: dict[int, int] = {}  # item → where it was read last, oldest first
        for place, item in enumerate(log.sequence(user).tolist()):
            age = place - np.fromiter(last.values(), np.int64, len(last))
            could[age - 1] += 1  # no two items are of one age
            if (before := last.pop(item, None)) is not None:
                came[place - before - 1] += 1
            last[item] = place
            if place - last[oldest := next(iter(last))] == LONGEST:
                del last[oldest]
    return came, could
