"""How label queries are stored: a literal reference, and that what is foretold costs nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from foster.label_code import LARGEST, Read, expanded, foretelling, read_back, squeezed, whole_steps

ROWS, LENGTH, RANK, STEP = 6, 7, 3, 0.25


def planted_read(session: int = LENGTH, rows: int = ROWS) -> Read:
    draw = Generator().manual_seed(0)
    opens = torch.arange(LENGTH) % session == 0
    return Read(torch.randn(rows, LENGTH, RANK, generator=draw), torch.ones(rows, LENGTH, dtype=torch.bool), opens)


def literal(queries: Tensor, read: Read, matrix: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """The module's equations, position by position: n and q̂."""
    levels, found = torch.zeros_like(queries), torch.zeros_like(queries)
    for n in range(queries.shape[0]):
        for t in range(queries.shape[1]):
            before = torch.zeros(RANK) if bool(read.opens[t]) else found[n, t - 1]
            known = torch.cat([read.rows[n, t], before, torch.tensor([float(read.opens[t]), 1.0])])
            foretold = known @ matrix
            levels[n, t] = torch.round((queries[n, t] - foretold) / step)
            found[n, t] = foretold + step * levels[n, t]
    return levels, found


@pytest.mark.parametrize("session", [1, 3, LENGTH])
def test_coding_is_what_the_equations_say(session: int) -> None:
    draw, read = Generator().manual_seed(1), planted_read(session)
    queries = torch.randn(ROWS, LENGTH, RANK, generator=draw)
    matrix = 0.3 * torch.randn(2 * RANK + 2, RANK, generator=draw)
    levels, found = literal(queries, read, matrix, STEP)
    assert torch.equal(whole_steps(queries, read, matrix, STEP).float(), levels)
    torch.testing.assert_close(read_back(levels.to(torch.int8), read, matrix, STEP), found)
    assert float((found - queries).abs().max()) <= STEP / 2 + 1e-5, "errors do not add up"


@pytest.mark.parametrize("session", [3, LENGTH])
def test_what_follows_linearly_takes_no_steps(session: int) -> None:
    """Planted: every query is a linear function of the item and of the query before."""
    draw, read = Generator().manual_seed(2), planted_read(session, rows=200)
    planted = 0.4 * torch.randn(2 * RANK + 2, RANK, generator=draw)
    queries = read_back(torch.zeros(200, LENGTH, RANK), read, planted, STEP)
    matrix = foretelling(queries, read)
    assert float((matrix - planted).abs().max()) < 0.05
    assert not bool(whole_steps(queries, read, matrix, STEP).any())
    shuffled = queries.flatten()[torch.randperm(queries.numel(), generator=draw)].view_as(queries)
    assert bool(whole_steps(shuffled, read, matrix, STEP).any())


def test_positions_without_an_item_take_no_steps_and_teach_nothing() -> None:
    draw, read = Generator().manual_seed(3), planted_read()
    queries = torch.randn(ROWS, LENGTH, RANK, generator=draw)
    read.used[2, 4:] = False
    matrix = foretelling(queries, read)
    changed = queries.clone()
    changed[2, 4:] = 50.0
    torch.testing.assert_close(foretelling(changed, read), matrix)
    assert not bool(whole_steps(changed, read, matrix, STEP)[2, 4:].any())


def test_a_number_beyond_the_largest_is_cut_off() -> None:
    read, matrix = planted_read(), torch.zeros(2 * RANK + 2, RANK)
    levels = whole_steps(torch.full((ROWS, LENGTH, RANK), 1e4), read, matrix, STEP)
    assert set(levels.flatten().tolist()) == {LARGEST}


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint16, torch.int32])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 2), (400, 64)])
def test_whole_numbers_are_compressed_without_loss(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    whole = torch.randint(0, 100, shape, generator=Generator().manual_seed(4)).to(dtype)
    assert torch.equal(expanded(squeezed(whole), shape, dtype).to(torch.int64), whole.to(torch.int64))


def test_few_different_numbers_take_few_bytes() -> None:
    """Three equally likely numbers are log₂ 3 bits each, which bzip2 comes near to; nine of ten columns say nothing."""
    draw = Generator().manual_seed(5)
    whole = torch.zeros(4000, 20, dtype=torch.int8)
    whole[:, :2] = torch.randint(-1, 2, (4000, 2), generator=draw).to(torch.int8)
    assert len(squeezed(whole)) < 1.4 * 8000 * 1.585 / 8


@pytest.mark.parametrize("shape", [(10, 4), (12, 4), (11, 5)])
def test_another_shape_than_was_compressed_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="its numbers are not"):
        expanded(squeezed(torch.ones(11, 4, dtype=torch.int8)), shape, torch.int8)


def test_bytes_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="its numbers"):
        expanded(torch.tensor([255, 3, 9], dtype=torch.uint8), (3, 3), torch.int8)
