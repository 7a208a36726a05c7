"""How label queries are stored: foretold from what is read, what is left in whole steps, those compressed.

N readings of L positions, V items, r numbers of a query. At position t of a reading, b_t is the row of the label basis
B [V, r] of the item that is read there, q̂ a query as it is read back, and where t opens a session q̂_{t−1} = 0:

    f_t = [b_t, q̂_{t−1}, t opens a session, 1] M        foretold by M [2r + 2, r], part of the set
    n_t = round((q_t − f_t) / Δ)                          stored
    q̂_t = f_t + Δ n_t                                     read back

(Differential coding, Cutler 1952: what is foretold follows from what is read back, so errors do not add up.) What
teachers expect after an event is mostly a linear function of the event and of what they expected before it, so little
is left to store. One step Δ does for all numbers, as B is such that labels feel a change of each alike
(`foster.label_basis.fit_basis`).
"""

from __future__ import annotations

import bz2
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foster.rounding import rounded

LARGEST = 127  # of a whole number
MATRIX_BITS = 8  # of a number of M
RIDGE = 3.0
MOST_BYTES = 2**28  # that may come of a compressed tensor, whatever a file says


@dataclass(frozen=True)
class LabelCode:
    """What queries were read back by, M [2r + 2, r] and Δ: stored by it again, those that have not changed stay as they
    are."""

    matrix: Tensor
    step: float


@dataclass(frozen=True)
class Read:
    """What is known before a query is: rows of the basis [N, L, r], used [N, L], whether a position has an item, and
    opens [L], whether it opens a session."""

    rows: Tensor
    used: Tensor
    opens: Tensor

    def before(self, position: int, last: Tensor) -> Tensor:
        """[N, 2r + 2] of a position, the queries before it being `last` [N, r]."""
        opens = self.opens[position]
        known = last.new_ones(len(last), 2)
        known[:, 0] = opens
        return torch.cat([self.rows[:, position], last * ~opens, known], 1)


def foretelling(queries: Tensor, read: Read) -> Tensor:
    """M [2r + 2, r] that foretells given queries [N, L, r] best, by least squares, rounded as it is stored."""
    rank = queries.shape[-1]
    gram = RIDGE * torch.eye(2 * rank + 2, device=queries.device)
    cross = gram.new_zeros(2 * rank + 2, rank)
    last = torch.zeros_like(queries[:, 0])
    for position in range(queries.shape[1]):
        used = read.used[:, position]
        known, wanted = read.before(position, last)[used], queries[:, position][used]
        gram, cross = gram + known.T @ known, cross + known.T @ wanted
        last = queries[:, position]
    return rounded(torch.linalg.solve(gram, cross), MATRIX_BITS)


def whole_steps(queries: Tensor, read: Read, matrix: Tensor, step: float) -> Tensor:
    """n [N, L, r] int8 of queries [N, L, r], 0 where no item is read."""
    found, last = [], torch.zeros_like(queries[:, 0])
    for position in range(queries.shape[1]):
        foretold = read.before(position, last) @ matrix
        levels = ((queries[:, position] - foretold) / step).round().clamp(-LARGEST, LARGEST)
        levels = levels * read.used[:, position].unsqueeze(1)
        last = foretold + step * levels
        found.append(levels)
    return torch.stack(found, 1).to(torch.int8)


def read_back(levels: Tensor, read: Read, matrix: Tensor, step: float) -> Tensor:
    """q̂ [N, L, r] of n."""
    found, last = [], torch.zeros_like(read.rows[:, 0])
    for position in range(levels.shape[1]):
        last = read.before(position, last) @ matrix + step * levels[:, position]
        found.append(last)
    return torch.stack(found, 1)


def squeezed(whole: Tensor) -> Tensor:
    """Whole numbers [..., r] under bzip2, as bytes [n] uint8: of each column its low bytes, then the next, so that like
    stands by like."""
    numbers = whole.detach().cpu().contiguous().numpy()
    planes = numbers.reshape(-1, numbers.shape[-1]).T.reshape(-1, 1).view(np.uint8)
    packed = bz2.compress(np.ascontiguousarray(planes.T).tobytes())
    return torch.frombuffer(bytearray(packed), dtype=torch.uint8)


def expanded(packed: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The inverse of `squeezed`. Raises ValueError for bytes that are none of that shape."""
    width = np.dtype(str(dtype).removeprefix("torch.")).newbyteorder("<")
    count = math.prod(shape)
    if not 0 <= count * width.itemsize <= MOST_BYTES:
        raise ValueError(f"{count} numbers are more than a set has")
    reader = bz2.BZ2Decompressor()
    try:
        # no more, whatever it says
        found = reader.decompress(packed.numpy().tobytes(), count * width.itemsize + 1)
    except OSError as error:
        raise ValueError(f"its numbers cannot be read ({error})") from None
    if len(found) != count * width.itemsize or not reader.eof:
        raise ValueError(f"its numbers are not {' × '.join(map(str, shape))}")
    planes = np.frombuffer(found, np.uint8).reshape(width.itemsize, -1)
    columns = np.ascontiguousarray(planes.T).view(width).reshape(shape[-1], -1)
    return torch.from_numpy(np.ascontiguousarray(columns.T).reshape(shape).copy())
