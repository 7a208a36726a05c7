"""Sequences that are chosen, not learned. M sequences, L positions; unused positions hold -1."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from foster.interactions import Interactions


def random_real(train: Interactions, sequences: int, length: int, generator: Generator) -> Tensor:
    """The last L training events of M users drawn without replacement (all users if M is larger) [M, L]."""
    return real_readings(train, sequences, length, None, generator)


def real_readings(train: Interactions, readings: int, length: int, session: int | None, generator: Generator) -> Tensor:
    """Real histories as a soft set would read them [R, L], R ≤ `readings`: in each session of a reading the last
    training events of another user, drawn without replacement; fewer readings where the log has too few users."""
    session = session or length
    count = -(-length // session)
    users = torch.randperm(train.n_users, generator=generator)[: readings * count].tolist()
    rows = torch.full((-(-len(users) // count), length), -1, dtype=torch.int64)
    for place, user in enumerate(users):
        row, first = place // count, place % count * session
        recent = train.sequence(user)[-min(session, length - first) :]
        rows[row, first : first + len(recent)] = torch.from_numpy(recent.astype(np.int64))
    return rows


def uniform_items(n_items: int, sequences: int, length: int, generator: Generator) -> Tensor:
    """Items drawn uniformly [M, L], every item once before any comes again: the catalogue is covered evenly."""
    rounds = -(-sequences * length // n_items)
    drawn = torch.cat([torch.randperm(n_items, generator=generator) for _ in range(rounds)])
    return drawn[: sequences * length].view(sequences, length)


def weighted_items(weights: Tensor, count: int, generator: Generator) -> Tensor:
    """`count` items [count] of a catalogue of `len(weights)`, drawn one after another in proportion to their weights
    (all > 0), every item once before any comes again. (Gumbel top-k: Kool et al., 2019.)"""
    drawn: list[Tensor] = []
    for taken in range(0, count, len(weights)):
        noise = -(-torch.rand(len(weights), generator=generator).clamp(min=1e-30).log()).log()
        drawn.append((weights.log() + noise).argsort(descending=True)[: count - taken])
    return torch.cat(drawn)
