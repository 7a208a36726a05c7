"""Sequences of unlike lengths in rows: every position has a cell and sees what is earlier in its sequence."""

from __future__ import annotations

import pytest
import torch

from foster.packing import packed

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        ([], 0),
        ([1], 1),
        ([4], 1),
        ([4, 4], 2),
        ([2, 2, 4, 1, 3], 3),
        ([1, 4, 1, 1], 3),
        ([1] * 9, 9),
        ([9] + 9 * [1], 2),
    ],
)
def test_sequences_share_rows_of_the_longest_and_see_their_own_past_alone(sizes: list[int], rows: int) -> None:
    packing = packed(sizes, CPU)
    length = max(sizes, default=0)
    assert packing.hidden.shape == (rows, length, length)
    assert packing.place.tolist() == [place for size in sizes for place in range(size)]
    assert len(set(packing.at.tolist())) == sum(sizes)
    cells = [divmod(cell, length) for cell in packing.at.tolist()]
    owners = [number for number, size in enumerate(sizes) for _ in range(size)]
    for n, (row, column) in enumerate(cells):
        seen = {(row, other) for other in (~packing.hidden[row, column]).nonzero().flatten().tolist()}
        assert seen == {cells[m] for m in range(n + 1) if owners[m] == owners[n]}
    assert not packing.hidden.all(-1).any(), "a softmax over nothing is not a number"


def test_what_is_spread_is_gathered_and_free_cells_are_zero() -> None:
    packing = packed([2, 3, 1], CPU)
    x = torch.arange(1.0, 13).view(6, 2)
    rows = packing.spread(x)
    assert rows.shape == (3, 3, 2)
    assert torch.equal(packing.gathered(rows), x)
    assert float(rows.sum()) == float(x.sum())
