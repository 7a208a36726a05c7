"""What a model sees in a step of the loop: the table of a subset U and of what is read, and losses on it (METHOD §2).

M sequences, L positions, A readings, k items in a row, r numbers in a label query, D_text text width; notation of
`foster.distiller`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from foster.recommender import SequentialRecommender
from foster.subset import ItemSubset
from foster.synthetic import as_readings, in_sessions
from foster.training import Batch, mix, states_at
from foster.tuning import Learning, Texts, public


@dataclass(frozen=True)
class View:
    """A subset U as a model sees it. ids [V'] and texts [V', D_text]: of the table's items, U first, then the input
    items outside U, synthetic and real, which are read, not scored; items and shares [A·M, L, k]: the synthetic input
    rows in the table's rows; basis [U, r]; session: as in `foster.stored_form.Form`; read [V' − U, D_text]: what an
    encoder that learns says of the items outside U, None where it is asked anew.
    """

    subset: ItemSubset
    ids: Tensor
    texts: Texts
    items: Tensor
    shares: Tensor
    basis: Tensor
    session: int | None = None
    read: Tensor | None = None

    @torch.no_grad()
    def read_by(self, model: SequentialRecommender) -> View:
        """The view of a model whose encoder learns: encoding texts is most of a step then, so those that are not scored
        are encoded once, by the model as it stands. Its layers learn from what is scored, projection and adapter from
        both."""
        if not isinstance(model.text, Learning):
            return self
        size, width = len(self.subset.items), self.texts.shape[1]
        beyond = torch.arange(size, len(self.ids), device=self.ids.device)
        read = model.text(self.texts[beyond]) if len(beyond) else public(self.texts).new_empty(0, width)
        return replace(self, read=read)

    def table(self, model: SequentialRecommender) -> Tensor:
        """e [V', D] by a model."""
        if self.read is None or not isinstance(model.text, Learning):
            return model.item_table(self.texts)
        scored = self.texts[torch.arange(len(self.subset.items), device=self.ids.device)]
        return model.placed(torch.cat([model.text(scored), self.read]))

    def narrowed(self, rows: Tensor, real: Batch | None = None) -> View:
        """The view of some readings and real windows alone: of what else the set reads nothing is asked."""
        size, some = len(self.subset.items), self.items[rows]
        if len(self.ids) == size:
            return replace(self, items=some, shares=self.shares[rows])
        needed = some.flatten() if real is None else torch.cat([some.flatten(), self._rows_of(real).flatten()])
        beyond = needed[needed >= size].unique()
        kept = torch.cat([torch.arange(size, device=beyond.device), beyond])
        place = torch.zeros(len(self.ids), dtype=torch.int64, device=beyond.device)
        place[kept] = torch.arange(len(kept), device=beyond.device)
        read = None if self.read is None else self.read[beyond - size]
        ids, texts = self.ids[kept], self.texts[kept]
        return replace(self, ids=ids, texts=texts, items=place[some], shares=self.shares[rows], read=read)

    def scores(
        self, model: SequentialRecommender, rows: Tensor, dropout: Generator | None = None, table: Tensor | None = None
    ) -> Tensor:
        """log p [rows, L, U] of readings, corrected by inclusion probability. table: where it is known."""
        table = self.table(model) if table is None else table
        read = mix(table, self.items[rows], self.shares[rows])
        hidden = as_readings(model(in_sessions(read, self.session), dropout), len(rows), read.shape[1])
        return (model.logits(hidden, table[: len(self.subset.items)]) - self.subset.log_inclusion).log_softmax(-1)

    def log_labels(self, queries: Tensor) -> Tensor:
        """log P [rows, L, U] of queries [rows, L, r], corrected likewise."""
        return (queries @ self.basis.T - self.subset.log_inclusion).log_softmax(-1)

    def _rows_of(self, real: Batch) -> Tensor:
        """Rows of the table [B, L, k] of what real windows hold."""
        order = self.ids.argsort()
        return order[torch.searchsorted(self.ids[order], real.items.contiguous())]

    def real_logits(self, model: SequentialRecommender, real: Batch, table: Tensor | None = None) -> Tensor:
        """Logits [N, U] at the N positions of real windows that an event follows. Dropout is off: the direction towards
        the real data should not be noise."""
        table = self.table(model) if table is None else table
        hidden = states_at(model, table, self._rows_of(real), real.weights, real.targets >= 0)
        return model.logits(hidden, table[: len(self.subset.items)]) - self.subset.log_inclusion

    def real_loss(
        self,
        model: SequentialRecommender,
        real: Batch,
        experts: Sequence[SequentialRecommender],
        table: Tensor | None = None,
    ) -> Tensor:
        """L_D on U: cross-entropy to what the experts expect on average; without any, to the events themselves."""
        if not experts:
            targets = self.subset.rows(real.targets[real.targets >= 0])
        else:
            with torch.no_grad():
                expected = [self.real_logits(expert, real).softmax(-1) for expert in experts]
                targets = torch.stack(expected).mean(0)
        return torch.nn.functional.cross_entropy(self.real_logits(model, real, table), targets)


def divergence(log_labels: Tensor, log_p: Tensor) -> Tensor:
    """Mean over positions of KL(P ‖ p), from log P and log p [B, L, U]."""
    return (log_labels.exp() * (log_labels - log_p)).sum(-1).mean()
