"""The stored form of a soft set: how many readings, and how exact labels, within the byte rule of METHOD §2."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from foster.interactions import Interactions
from foster.rounding import SCALE_BYTES

BYTES_PER_POSITION = 256  # 128 sixteen-bit numbers
HEADER_BYTES = 1024  # the recipe and safetensors' own header
MAX_READINGS = 8
RANKS = {64: 5, 48: 3, 32: 3, 24: 3, 16: 3, 8: 1}  # and how many readings each must leave: else a lower one buys more
# Of large catalogues: ranks and widths, where WIDE_READINGS and a lift of so many units for each rank are left. What a
# basis does not tell apart errs in every label alike, and there is more to tell apart.
WIDE_FORMS, WIDE_READINGS, LEAST_UNITS, MOST_HIDDEN = ((64, 128), (48, 96), (48, 64)), 4, 3, 512
LARGE_CATALOGUE = 4096  # items: from here on a part of them has to do in a step of a fit
FINE_RANK = (
    48  # from here on P and the lift have 8 bits: they are a small part of the file then, and err in every label alike
)


def log_bytes(train: Interactions, n_items: int) -> int:
    """Size of the log that is condensed: its training ids as 16 or 32 bit numbers under zlib level 9."""
    width = np.uint16 if n_items <= 2**16 else np.uint32
    return len(zlib.compress(train.items.astype(width).tobytes(), 9))


@dataclass(frozen=True)
class Form:
    """readings: A; rank: r, even; projection_bits: 4 or 8, of a number of P and of the lift; session: events after
    which a reading begins anew, None where it is one history; width: w, None for r; hidden: h, None for 2r."""

    readings: int
    rank: int
    projection_bits: int = 4
    session: int | None = None
    width: int | None = None
    hidden: int | None = None

    def basis_bytes(self, text_width: int) -> int:
        """Of P, F and G as they are stored."""
        width, hidden = self.width or self.rank, self.hidden or 2 * self.rank
        shapes = ((width, text_width), (hidden, width), (hidden, self.rank))
        return sum(rows * (-(-columns * self.projection_bits // 8) + SCALE_BYTES) for rows, columns in shapes)


def affordable_form(sequences: int, length: int, n_items: int, widths: tuple[int, int], available_bytes: int) -> Form:
    """How many readings and of which rank the byte rule of METHOD §2 leaves: soft ≤ log and ≤ 256 bytes a position.

    In a large catalogue the first of WIDE_FORMS that can be had, the lift as wide as fits beside WIDE_READINGS;
    otherwise the highest of RANKS that leaves readings enough. widths: of the text features and of the teacher; no rank
    and no width exceeds them. Never less than one reading of the lowest rank: a budget that large against its log is
    reported as breaking the rule, not refused.
    """
    text_width, teacher_width = widths
    positions, widest = sequences * length, min(text_width // 2 * 2, teacher_width // 2 * 2)
    # the projection and the header are in it
    available_bytes = min(available_bytes, BYTES_PER_POSITION * positions) - HEADER_BYTES

    def readings(form: Form) -> int:
        a_label = form.rank // 2 + SCALE_BYTES + item_type(n_items).itemsize
        return min(MAX_READINGS, (available_bytes - form.basis_bytes(text_width)) // positions // a_label)

    if n_items > LARGE_CATALOGUE:
        for rank, width in WIDE_FORMS:
            widths_of = (hidden for hidden in range(MOST_HIDDEN, LEAST_UNITS * rank - 1, -8))
            forms = (Form(WIDE_READINGS, rank, 8, width=width, hidden=hidden) for hidden in widths_of)
            wide = next((form for form in forms if width <= widest and readings(form) >= WIDE_READINGS), None)
            if wide is not None:
                return replace(wide, readings=readings(wide))
    for rank, enough in ((min(rank, widest), enough) for rank, enough in RANKS.items()):
        form = Form(1, rank, 8 if rank >= FINE_RANK else 4)
        form = replace(form, readings=max(1, readings(form)))
        if form.readings >= enough:
            break
    return form


def item_type(n_items: int) -> torch.dtype:
    """16 bits where ids and UNUSED, which is stored as the largest number, fit."""
    return torch.uint16 if n_items < 2**16 else torch.int32
