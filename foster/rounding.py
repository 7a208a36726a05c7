"""Numbers in few bits, as they are stored: whole levels of 4 or 8 bits and one half-precision scale a row."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SCALE_BYTES = 2  # of the scale of a row


def pack(numbers: Tensor, bits: int = 4) -> tuple[Tensor, Tensor]:
    """Numbers [..., r] as integers, and one half-precision scale a row [...].

    8 bits: −127…127 as int8 [..., r]; 4 bits: −7…7, two a byte, as uint8 [..., ⌈r / 2⌉].
    """
    largest = 2 ** (bits - 1) - 1
    scales = (numbers.abs().amax(-1) / largest).clamp(min=1e-6).half()
    levels = (numbers / scales.to(numbers.dtype).unsqueeze(-1)).round().clamp(-largest, largest).to(torch.int16)
    if bits == 8:
        return levels.to(torch.int8), scales
    levels = F.pad(levels + 8, (0, levels.shape[-1] % 2))
    return (levels[..., 0::2] + 16 * levels[..., 1::2]).to(torch.uint8), scales


def unpack(packed: Tensor, scales: Tensor, rank: int) -> Tensor:
    """The inverse of `pack`, up to rounding: numbers [..., rank]."""
    if packed.dtype == torch.int8:
        levels = packed.float()
    else:
        levels = torch.stack([packed & 15, packed >> 4], -1).flatten(-2)[..., :rank].float() - 8
    return levels * scales.float().unsqueeze(-1)


def rounded(numbers: Tensor, bits: int = 4) -> Tensor:
    """What `pack` and `unpack` leave of numbers [..., r]."""
    return unpack(*pack(numbers, bits), numbers.shape[-1]).to(numbers.dtype)
