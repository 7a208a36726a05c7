"""Sequences that are chosen, not learned. M sequences, L positions; unused positions hold -1."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from foster.interactions import Interactions


def random_real(train: Interactions, sequences: int, length: int, generator: Generator) -> Tensor:
    """The last L training events of M users drawn without replacement (all users if M is larger) [M, L]."""
    users = torch.randperm(train.n_users, generator=generator)[:sequences].tolist()
    rows = torch.full((len(users), length), -1, dtype=torch.int64)
    for row, user in enumerate(users):
        recent = train.sequence(user)[-length:]
        rows[row, : len(recent)] = torch.from_numpy(recent.astype(np.int64))
    return rows


def real_readings(train: Interactions, readings: int, length: int, session: int | None, generator: Generator) -> Tensor:
    """Real histories as a soft set would read them [R, L], R ≤ `readings`: as many in each as it has sessions, drawn as
    `random_real` draws; fewer readings where the log has too few users."""
    if session is None:
        return random_real(train, readings, length, generator)
    count = -(-length // session)
    histories = random_real(train, readings * count, session, generator)
    filled = torch.nn.functional.pad(histories, (0, 0, 0, -len(histories) % count), value=-1)
    return filled.view(-1, count * session)[:, :length]


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
