"""Synthetic sets with random content, for tests of what is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from cycle_world import N_ITEMS
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor

from foster.rounding import rounded
from foster.synthetic import SyntheticSequences


def planted_set(
    rank: int = 8,
    readings: int = 1,
    sequences: int = 3,
    length: int = 5,
    text_width: int = 16,
    n_items: int = N_ITEMS,
    projection_bits: int = 4,
    width: int | None = None,
    hidden: int | None = None,
) -> SyntheticSequences:
    """width, hidden: of `foster.stored_form.Form`."""
    width, hidden = width or rank, hidden or 2 * rank
    draw = Generator().manual_seed(0)
    items = torch.randint(n_items, (readings * sequences, length), generator=draw)
    queries = rounded(torch.randn(readings * sequences, length, rank, generator=draw))
    projection, reading, out = (
        rounded(size * torch.randn(shape, generator=draw), projection_bits)
        for size, shape in ((1.0, (width, text_width)), (0.3, (hidden, width)), (0.3, (hidden, rank)))
    )
    return SyntheticSequences(sequences, items, queries, projection, projection_bits, lift=(reading, out))


def rewrite(path: Path, change: Callable[[dict[str, Tensor]], None] = lambda tensors: None, **noted: object) -> None:
    """Changes the tensors of a stored set and what its header notes."""
    with safe_open(path, "pt") as file:
        meta = json.loads(file.metadata()["foster"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    change(tensors)
    save_file(tensors, path, {"foster": json.dumps({**meta, **noted})})
