"""Matrices in few bits, as they are stored: whole levels and one half-precision scale a row."""

from __future__ import annotations

import torch
from torch import Tensor

SCALE_BYTES = 2  # of the scale of a row


def pack(numbers: Tensor, bits: int = 8) -> tuple[Tensor, Tensor]:
    """Numbers [..., r] as whole levels [..., r] int8 of `bits` (2 to 8) bits, −7…7 for 4, and scales [...] half."""
    largest = 2 ** (bits - 1) - 1
    scales = (numbers.abs().amax(-1) / largest).clamp(min=1e-6).half()
    levels = (numbers / scales.to(numbers.dtype).unsqueeze(-1)).round().clamp(-largest, largest)
    return levels.to(torch.int8), scales


def unpack(levels: Tensor, scales: Tensor) -> Tensor:
    """The inverse of `pack`, up to rounding: numbers [..., r]."""
    return levels.float() * scales.float().unsqueeze(-1)


def rounded(numbers: Tensor, bits: int = 8) -> Tensor:
    """What `pack` and `unpack` leave of numbers [..., r]."""
    return unpack(*pack(numbers, bits)).to(numbers.dtype)
