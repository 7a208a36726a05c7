"""The synthetic sequences: what is learned and what a student sees of it.

M sequences, L positions, V items, A readings, r numbers in a label query, D_text text width.

Rows. Position (m, l) of a soft sequence holds A items: the paper's P[m, l] is uniform over them. A reading takes one
item of every row, the a-th, so a student sees sequences of real items, never a mixture, and M sequences give A·M of
them. The first reading is what a person is shown first.

Sessions. Where histories of the log are shorter than L, a reading is read as sessions of so many events, each a history
of its own: labels after prefixes as long as nobody's history teach less.

Labels. After every position of every reading stands its own label, a distribution over all items in factorised form,
softmax(q·Bᵀ), with q [r] learned and B [V, r] made of the frozen, public text features X [V, D_text] by small matrices
(`foster.label_basis`): storage and step cost do not grow with V. They are part of the set, as they come from models
that saw the log. (Stored soft labels for several views of one sample: FKD, Shen & Xing 2022; SRe2L, Yin et al. 2023.)

Inputs and labels are separate tensors, which the paper ties (METHOD §3). How a set is stored: `foster.artefact`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from foster.label_basis import LabelBasis
from foster.label_code import LabelCode
from foster.stored_form import Form
from foster.subset import ItemSubset, draw_subset
from foster.training import Batch, Recipe

UNUSED = -1  # an item id where a reading is shorter than L


def in_sessions(rows: Tensor, session: int | None, fill: int = 0) -> Tensor:
    """Rows [R, L, ...] of readings as sessions [R·⌈L / session⌉, session, ...], `fill` after the last of a reading;
    None, or no fewer than L: as they are."""
    length = rows.shape[1]
    if session is None or session >= length:
        return rows
    count = -(-length // session)
    padded = F.pad(rows, (0, 0) * (rows.ndim - 2) + (0, count * session - length), value=fill)
    return padded.unflatten(1, (count, session)).flatten(0, 1)


def as_readings(sessions: Tensor, readings: int, length: int) -> Tensor:
    """The inverse of `in_sessions`: rows [readings, length, ...]."""
    return sessions.unflatten(0, (readings, -1)).flatten(1, 2)[:, :length]


@dataclass(frozen=True)
class SyntheticSequences:
    """sequences: M; items [A·M, L] int64 (UNUSED in the last positions of a short session) and queries [A·M, L, r] of
    the labels, reading a of sequence m in row a·M + m; maps: what makes B; bits, session: as in `Form`; code: of a set
    that was read back."""

    sequences: int
    items: Tensor
    queries: Tensor
    maps: LabelBasis
    bits: int = 8
    session: int | None = None
    code: LabelCode | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(M, L)."""
        return self.sequences, self.items.shape[1]

    @property
    def form(self) -> Form:
        hidden, rank = self.maps.out.shape
        return Form(len(self.items) // self.sequences, rank, len(self.maps.projection), hidden, self.bits, self.session)

    @property
    def own(self) -> Tensor:
        """Queries [M, L, r] of the first readings: what a person is shown."""
        return self.queries[: self.sequences]

    @property
    def rows(self) -> Tensor:
        """The items [M, L, A] of every row, those of the first reading first."""
        return self.items.view(-1, *self.shape).permute(1, 2, 0)

    def basis(self, features: Tensor) -> Tensor:
        """B [V, r] over the public text features [V, D_text]."""
        return self.maps.rows(features)

    def labels(self, basis: Tensor) -> Tensor:
        """Label logits [A·M, L, V] over the rows of `basis` [V, r] (a subset of items is fewer rows)."""
        return self.queries @ basis.T

    def batch(self, basis: Tensor, rows: Tensor | None = None, scored: ItemSubset | None = None) -> Batch:
        """What a student trains on: items and label distributions [rows, L, U] of the given readings (ids
        0 ≤ row < A·M; None: all), in sessions, over the scored items (None: all). A position without an item has no
        label."""
        items, queries = (self.items, self.queries) if rows is None else (self.items[rows], self.queries[rows])
        used = (items != UNUSED).to(queries.dtype).unsqueeze(-1)
        logits = queries @ basis.T if scored is None else queries @ basis[scored.items].T - scored.log_inclusion
        read, weights, targets = (
            in_sessions(each, self.session)
            for each in (items.clamp(min=0).unsqueeze(-1), used, logits.softmax(-1) * used)
        )
        return Batch(read, weights, targets, scored)

    def detach(self) -> SyntheticSequences:
        return replace(self, queries=self.queries.detach().clone())

    def to(self, device: torch.device) -> SyntheticSequences:
        code = None if self.code is None else replace(self.code, matrix=self.code.matrix.to(device))
        items, queries = self.items.to(device), self.queries.to(device)
        return replace(self, items=items, queries=queries, maps=self.maps.to(device), code=code)


def drawn_rows(synthetic: SyntheticSequences, basis: Tensor, recipe: Recipe) -> Callable[[Generator], Batch]:
    """Mini-batches of a soft set: readings drawn with replacement, all of them where the recipe's batch is as large.

    Labels become dense for the drawn rows and the scored items only, so nothing of size A·M·L·V is held. The items
    scored in a step are the likeliest of each label of the batch and uniform draws.
    """
    total, n_items = len(synthetic.queries), len(basis)
    size = recipe.subset if recipe.subset is not None and n_items > 2 * recipe.subset else None
    likeliest = None if size is None else _likeliest(synthetic.queries, basis)

    def draw(generator: Generator) -> Batch:
        rows = None
        if recipe.batch_size is not None and recipe.batch_size < total:
            rows = torch.randint(total, (recipe.batch_size,), generator=generator).to(basis.device)
        if size is None or likeliest is None:
            return synthetic.batch(basis, rows)
        needed = (likeliest if rows is None else likeliest[rows]).flatten()
        return synthetic.batch(basis, rows, draw_subset(n_items, needed, size, generator))

    return draw


def _likeliest(queries: Tensor, basis: Tensor) -> Tensor:
    """The likeliest item [A·M, L] of every label."""
    return torch.cat([(block @ basis.T).argmax(-1) for block in queries.split(4)])


def hard_batch(sequences: Tensor) -> Batch:
    """M plain sequences of item ids [M, L], padded with -1: the target of a position is the next id, unweighted."""
    inputs, targets = sequences[:, :-1], sequences[:, 1:]
    return Batch(inputs.clamp(min=0).unsqueeze(-1), (inputs >= 0).float().unsqueeze(-1), targets)
