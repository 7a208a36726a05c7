"""What every stage of a run works on: the data and its public side, on the run's device."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from foster.evaluate import Protocol
from foster.formats import Dataset
from foster.interactions import Split
from foster.recommender import RecommenderConfig
from foster.repeats import Repeats
from foster.spec import RunSpec
from foster.stored_form import BYTES_PER_POSITION, log_bytes
from foster.training import Recipe
from foster.tuning import Texts, TokenStates, TunableTexts

Asked = TypeVar("Asked", Recipe, RecommenderConfig)


@dataclass(frozen=True)
class World:
    """features: public text features X [V, D_text]; key: hash of data, texts and encoder; repeats: of the training log,
    None where it holds none; store: what learning layers of the encoder read, None where none learn."""

    dataset: Dataset
    split: Split
    features: Tensor
    protocol: Protocol
    device: torch.device
    key: str
    repeats: Repeats | None = None
    store: TokenStates | None = None

    @property
    def texts(self) -> Texts:
        """What recommenders read."""
        return self.features if self.store is None else TunableTexts.of(self.features, self.store)

    @property
    def n_items(self) -> int:
        return len(self.dataset.catalog)

    def allowed_bytes(self, spec: RunSpec) -> int:
        """Of a soft set, by METHOD §2: no more than the log that is condensed, nor than 256 bytes a position."""
        log = log_bytes(self.split.train, self.n_items)
        return min(log, BYTES_PER_POSITION * spec.sequences * spec.length)

    def repeating(self, asked: Asked) -> Asked:
        """A recipe or shape that reckons with what comes again in this log."""
        return asked if self.repeats is None else replace(asked, **asdict(self.repeats))
