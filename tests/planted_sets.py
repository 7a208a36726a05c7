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

from foster.label_basis import LabelBasis
from foster.synthetic import SyntheticSequences


def planted_set(
    rank: int = 8,
    readings: int = 1,
    sequences: int = 3,
    length: int = 5,
    text_width: int = 16,
    n_items: int = N_ITEMS,
    bits: int = 8,
    width: int | None = None,
    hidden: int | None = None,
) -> SyntheticSequences:
    """width, hidden: of `foster.stored_form.Form`."""
    width, hidden = width or rank, hidden or 2 * rank
    draw = Generator().manual_seed(0)
    items = torch.randint(n_items, (readings * sequences, length), generator=draw)
    queries = torch.randn(readings * sequences, length, rank, generator=draw)
    maps = LabelBasis(
        torch.randn(width, text_width, generator=draw),
        torch.eye(width, rank),
        0.3 * torch.randn(hidden, width, generator=draw),
        0.3 * torch.randn(hidden, rank, generator=draw),
    )
    return SyntheticSequences(sequences, items, queries, maps.rounded(bits), bits)


def rewrite(path: Path, change: Callable[[dict[str, Tensor]], None] = lambda tensors: None, **noted: object) -> None:
    """Changes the tensors of a stored set and what its header notes."""
    with safe_open(path, "pt") as file:
        meta = json.loads(file.metadata()["foster"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    change(tensors)
    save_file(tensors, path, {"foster": json.dumps({**meta, **noted})})
