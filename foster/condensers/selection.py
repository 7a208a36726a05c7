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


def uniform_items(n_items: int, sequences: int, length: int, generator: Generator) -> Tensor:
    """Items drawn uniformly [M, L], every item once before any comes again: the catalogue is covered evenly."""
    rounds = -(-sequences * length // n_items)
    drawn = torch.cat([torch.randperm(n_items, generator=generator) for _ in range(rounds)])
    return drawn[: sequences * length].view(sequences, length)
