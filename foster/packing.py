"""Sequences of unlike lengths without padding: one after the other, and for attention several in a row.

All that a model does position by position it does on N positions, those of all sequences. Attention needs rows: several
sequences share one, as far as the length of the longest goes, and none sees another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Where N positions lie in rows [R, C]. at [N]: their cells, row by row; place [N]: within their own sequence, from
    0; hidden [R, C, C]: whether a cell does not see another, which is later or of another sequence."""

    at: Tensor
    place: Tensor
    hidden: Tensor

    def spread(self, x: Tensor) -> Tensor:
        """[N, D] to rows [R, C, D]; cells that are nobody's are zero."""
        rows, length, _ = self.hidden.shape
        return x.new_zeros(rows * length, x.shape[-1]).index_copy(0, self.at, x).view(rows, length, -1)

    def gathered(self, x: Tensor) -> Tensor:
        """The inverse of `spread`."""
        return x.flatten(0, 1)[self.at]


def packed(sizes: Sequence[int], device: torch.device) -> Packing:
    """Sequences of such lengths, each above 0, in their order; each goes into the row of the one before if it fits
    there."""
    length = max(sizes, default=0)
    starts, used = [], 0  # used: cells so far, with those left free at the ends of rows
    for size in sizes:
        if used % length + size > length:
            used += length - used % length
        starts.append(used)
        used += size
    lengths = torch.tensor(sizes, dtype=torch.int64)
    before = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    place = torch.arange(int(lengths.sum())) - before
    at = torch.repeat_interleave(torch.tensor(starts, dtype=torch.int64), lengths) + place
    rows = -(-used // length) if length else 0
    owner = torch.full((rows * length,), -1)  # cells that are nobody's see each other: a softmax over none is no number
    owner[at] = torch.repeat_interleave(torch.arange(len(sizes)), lengths)
    owner = owner.view(rows, length)
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    hidden = (owner.unsqueeze(2) != owner.unsqueeze(1)) | later
    return Packing(at.to(device), place.to(device), hidden.to(device))
