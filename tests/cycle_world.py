"""A small world with a known answer: every user walks round one cycle of items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Generator, Tensor

from foster.interactions import Interactions
from foster.training import RealWindows

N_ITEMS = 24


def cycle_log(n_users: int = 40, length: int = 9, n_items: int = N_ITEMS) -> Interactions:
    """Item i is always followed by item i + 1."""
    items = np.concatenate([(np.arange(length) + user) % n_items for user in range(n_users)])
    offsets = np.arange(n_users + 1) * length
    return Interactions(items, offsets, tuple(f"u{user}" for user in range(n_users)))


def cycle_windows() -> RealWindows:
    """What is left for training of every walk, as windows of up to six events and what follows."""
    return RealWindows(cycle_log().leave_one_out().train, 6, torch.device("cpu"))


def random_features(n_items: int = N_ITEMS, width: int = 16) -> Tensor:
    """Unit-length public features without structure [V, D_text]."""
    draw = torch.randn(n_items, width, generator=Generator().manual_seed(7))
    return torch.nn.functional.normalize(draw, dim=-1)


def cycle_folder(folder: Path) -> Path:
    """The cycle as a data folder on disk, with precomputed embeddings as the bundled sample has them."""
    folder.mkdir(parents=True)
    titles = "".join(f"i{i},Book {i}\n" for i in range(N_ITEMS))
    (folder / "items.csv").write_text("item_id,title\n" + titles)
    log = cycle_log()
    rows = [f"u{u},i{item},{t}\n" for u in range(log.n_users) for t, item in enumerate(log.sequence(u))]
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp\n" + "".join(rows))
    save_file({"embeddings": random_features().half()}, folder / "embeddings.safetensors")
    return folder
