"""What every stage of a run works on: the data and its public side, on the run's device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foster.evaluate import Protocol
from foster.formats import Dataset
from foster.interactions import Split


@dataclass(frozen=True)
class World:
    """features: public text features X [V, D_text]; key: hash of data, texts and encoder."""

    dataset: Dataset
    split: Split
    features: Tensor
    protocol: Protocol
    device: torch.device
    key: str

    @property
    def n_items(self) -> int:
        return len(self.dataset.catalog)
