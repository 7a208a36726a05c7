"""Which readings a soft sequence gathers, and which sessions a reading: those of one theme. M sequences, A readings,
L positions."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F


def gathered_by_theme(items: Tensor, sequences: int, features: Tensor) -> Tensor:
    """The rows of items [A·M, L] in another order: row a·M + m is reading a of sequence m.

    The first M rows open a sequence each; of every further M each joins one, so that the texts [V, D_text] of a
    sequence's readings are as alike as they can be in sum. What a student learns from the rows is not changed by it,
    what a person reads in one sequence is.
    """
    themes = F.normalize(torch.cat([features[block].mean(1) for block in items.split(64)]), dim=-1).cpu()
    order = torch.arange(sequences)
    centres = themes[:sequences].clone()
    for begin in range(sequences, len(items), sequences):
        joining = themes[begin : begin + sequences]
        _, chosen = linear_sum_assignment((centres @ joining.T).numpy(), maximize=True)
        order = torch.cat([order, begin + torch.from_numpy(chosen)])
        centres += joining[chosen]
    return items[order.to(items.device)]


def joined(sessions: Tensor, sequences: int, length: int) -> Tensor:
    """Readings [A·M, L] of sessions [A·n·M, s], row a·M + m of the n = ⌈L / s⌉ rows (a·n + i)·M + m, i < n, in turn;
    what is over of the last one is left out."""
    count = -(-length // sessions.shape[1])
    return sessions.view(-1, count, sequences, sessions.shape[1]).transpose(1, 2).flatten(0, 1).flatten(1)[:, :length]
