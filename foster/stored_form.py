"""The stored form of a soft set: how many readings, and how exact labels, within the byte rule of METHOD §2."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from foster.interactions import Interactions
from foster.rounding import SCALE_BYTES

BYTES_PER_POSITION = 256  # 128 sixteen-bit numbers
HEADER_BYTES = 2100  # the recipe, what the tensors are called
LARGE_CATALOGUE = 4096  # items: from here on a part of them has to do in a step of a fit
# r, w, h and bits of a number of the basis, and how many readings each must leave: else a lesser one buys more. What a
# basis does not tell apart errs in every label alike, and in a large catalogue there is more to tell apart: there, more
# units of fewer bits.
LARGE_FORMS = (((64, 128, 640, 6), 12), ((48, 96, 320, 6), 8))
FORMS = (((48, 48, 96, 8), 8), ((32, 32, 64, 6), 6), ((24, 24, 48, 4), 6), ((16, 16, 32, 4), 6), ((8, 8, 16, 4), 1))
# Labels of a set for each item and in all: beyond, exact ones teach more than many. So many readings may always be.
LABELS_AN_ITEM, MOST_LABELS, MOST_READINGS = 4, 20_000, 8


def log_bytes(train: Interactions, n_items: int) -> int:
    """Size of the log that is condensed: its training ids as 16 or 32 bit numbers under zlib level 9."""
    width = np.uint16 if n_items <= 2**16 else np.uint32
    return len(zlib.compress(train.items.astype(width).tobytes(), 9))


@dataclass(frozen=True)
class Form:
    """readings: A; rank: r; width: w; hidden: h; bits: of a number of the basis and the lift, 2 to 8; session: events
    after which a reading begins anew, None where it is one history."""

    readings: int
    rank: int
    width: int
    hidden: int
    bits: int = 8
    session: int | None = None

    def matrix_bytes(self, text_width: int) -> int:
        """About what P, A, F, G and M take."""
        r, w, h = self.rank, self.width, self.hidden
        shapes = ((w, text_width), (r, r), (h, w), (h, r))
        basis = sum(rows * (columns * self.bits // 8 + SCALE_BYTES) for rows, columns in shapes)
        return basis + (2 * r + 2) * (r + SCALE_BYTES)

    def label_bytes(self, n_items: int) -> float:
        """About what a label and the item before it take, as on the sample and Games; a set that turns out larger has
        coarser labels (`foster.artefact`)."""
        return 1.4 + self.rank / 26 + float(np.log2(max(2, n_items))) / 8


def affordable_form(sequences: int, length: int, n_items: int, widths: tuple[int, int], available_bytes: int) -> Form:
    """How many readings and of which basis so many bytes allow (METHOD §2; of the file, exactly, `foster.artefact` sees
    to it).

    The first of FORMS, or LARGE_FORMS, that leaves readings enough. widths: of the text features and of the teacher; no
    rank and no width exceeds them. Never less than one reading of the least form: a budget that large against its log
    is reported as breaking the rule, not refused.
    """
    text_width, teacher_width = widths
    positions, widest = sequences * length, min(text_width, teacher_width)
    most = max(MOST_READINGS, min(MOST_LABELS, LABELS_AN_ITEM * n_items) // positions)
    for (rank, width, hidden, bits), enough in (*(LARGE_FORMS if n_items > LARGE_CATALOGUE else ()), *FORMS):
        form = Form(1, min(rank, widest), min(width, widest), hidden, bits)
        left = (available_bytes - HEADER_BYTES - form.matrix_bytes(text_width)) / positions
        form = replace(form, readings=max(1, min(most, int(left / form.label_bytes(n_items)))))
        if form.readings >= min(enough, most):
            break
    return form


def item_type(n_items: int) -> torch.dtype:
    """16 bits where ids and UNUSED, which is stored as the largest number, fit."""
    return torch.uint16 if n_items < 2**16 else torch.int32
