"""The synthetic sequences: what is learned, how it is stored, what a student reads back.

M sequences, L positions, V items, A readings, r numbers in a label query, D_text text width.

Rows. Position (m, l) of a soft sequence holds A items: P[m, l] of METHOD §2 is uniform over them. A reading takes one
item of every row, the a-th, so a student sees sequences of real items, never a mixture, and M sequences give A·M of
them. The first reading is what a person is shown first.

Sessions. Where histories of the log are shorter than L, a reading is read as sessions of so many events, each a history
of its own: labels after prefixes as long as nobody's history teach less.

Labels. After every position of every reading stands its own label, a distribution over all items in factorised form,
softmax(q·Bᵀ), with q [r] learned and B [V, r] made of the frozen, public text features X [V, D_text] by a projection P
[w, D_text] and a small network, the lift F [h, w], G [h, r] (`foster.label_basis`): storage and step cost do not grow
with V. P, F and G are part of the set, as they come from models that saw the log. (Stored soft labels for several views
of one sample: FKD, Shen & Xing 2022; SRe2L, Yin et al. 2023.)

Inputs and labels are separate tensors: the untied form of METHOD §2.

Stored with 4 bits a number of q, 4 or 8 of P, F and G, one half-precision scale a row; the whole file takes at most 256
bytes (128 sixteen-bit numbers) for each position, where that leaves room for the least form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor
from torch.nn import functional as F

from foster.errors import UserError
from foster.label_basis import Lift, label_basis
from foster.rounding import pack, unpack
from foster.stored_form import Form, item_type
from foster.subset import ItemSubset, draw_subset
from foster.training import Batch, Recipe

SCHEMA, READ = 6, (3, 4, 5, 6)  # 3 has no sessions, 4 no lift, 5 one of w = r, h = 2r
LIFT = ("lift_in", "lift_out")  # F and G in the file
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
    the labels, reading a of sequence m in row a·M + m; projection P [w, D_text]; projection_bits, session: as in
    `Form`; lift: of `label_basis`, None in sets of earlier versions."""

    sequences: int
    items: Tensor
    queries: Tensor
    projection: Tensor
    projection_bits: int = 4
    session: int | None = None
    lift: Lift | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(M, L)."""
        return self.sequences, self.items.shape[1]

    @property
    def form(self) -> Form:
        readings, rank = len(self.items) // self.sequences, self.queries.shape[-1]
        form = Form(readings, rank, self.projection_bits, self.session)
        width, hidden = len(self.projection), 2 * rank if self.lift is None else len(self.lift[0])
        return form if (width, hidden) == (rank, 2 * rank) else replace(form, width=width, hidden=hidden)

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
        return label_basis(features, self.projection, self.lift)

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
        moved = {name: getattr(self, name).to(device) for name in ("items", "queries", "projection")}
        lift = None if self.lift is None else (self.lift[0].to(device), self.lift[1].to(device))
        return replace(self, **moved, lift=lift)

    def save(self, path: Path, recipe: Recipe, n_items: int) -> None:
        """Write the artefact: 4-bit queries, P in its bits, ids in 16 bits where they fit, the recipe in the header."""
        narrow = item_type(n_items)
        tensors = {"items": torch.where(self.items == UNUSED, torch.iinfo(narrow).max, self.items).to(narrow)}
        tensors["queries"], tensors["query_scales"] = pack(self.queries.detach())
        tensors["projection"], tensors["projection_scales"] = pack(self.projection, self.projection_bits)
        for name, matrix in zip(LIFT, self.lift or (), strict=False):
            tensors[name], tensors[f"{name}_scales"] = pack(matrix, self.projection_bits)
        meta = {
            "schema": SCHEMA,
            "sequences": self.sequences,
            "session": self.session,
            "rank": self.queries.shape[-1],
            "text_width": self.projection.shape[1],
            "n_items": n_items,
            "recipe": {name: value for name, value in asdict(recipe).items() if value is not None},
        }
        partial = path.with_suffix(".partial")
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial, {"foster": json.dumps(meta)})
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> tuple[SyntheticSequences, Recipe]:
        """Read an artefact back. Raises UserError for a file that is not one or has another schema."""
        try:
            with safe_open(path, "pt") as file:
                meta = json.loads((file.metadata() or {})["foster"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
            if meta["schema"] not in READ:
                raise UserError(f"{path.name} has schema {meta['schema']}, this foster reads {READ}; update foster")
            stored = tensors["items"]
            items = torch.where(stored.long() == torch.iinfo(stored.dtype).max, UNUSED, stored.long())
            queries = unpack(tensors["queries"], tensors["query_scales"], meta["rank"])
            projection = unpack(tensors["projection"], tensors["projection_scales"], meta["text_width"])
            rank, width = meta["rank"], len(projection)
            lift = _read_lift(tensors, rank, width)
            if items.shape != queries.shape[:2] or meta["sequences"] < 1 or len(items) % meta["sequences"]:
                raise ValueError(f"{meta['sequences']} sequences do not fit items {tuple(items.shape)}")
            bits, session = 8 if tensors["projection"].dtype == torch.int8 else 4, meta.get("session")
            if session is not None and not (type(session) is int and 0 < session < items.shape[1]):
                raise ValueError(f"sessions of {session} do not fit readings of {items.shape[1]}")
            if projection.shape != (width, meta["text_width"]) or width < rank or (lift is None and width != rank):
                raise ValueError(
                    f"a projection {tuple(projection.shape)} is none of rank {rank} and {meta['text_width']} numbers"
                )
            if not all(bool(x.isfinite().all()) for x in (queries, projection, *(lift or ()))):
                raise ValueError("its numbers are not whole")
            return cls(meta["sequences"], items, queries, projection, bits, session, lift), Recipe(**meta["recipe"])
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise UserError(f"{path.name} is no synthetic set ({error}); choose a synthetic.safetensors") from None


def _read_lift(tensors: Mapping[str, Tensor], rank: int, width: int) -> Lift | None:
    """Of a file's tensors, None where there is none. Raises ValueError for one of another shape, KeyError for half."""
    if "lift" in tensors:  # both as one, of the only shape that there was
        hidden, out = unpack(tensors["lift"], tensors["lift_scales"], rank)
    elif any(name.startswith("lift") for name in tensors):
        hidden, out = (
            unpack(tensors[name], tensors[f"{name}_scales"], columns)
            for name, columns in zip(LIFT, (width, rank), strict=True)
        )
    else:
        return None
    if hidden.shape != (len(out), width) or out.shape[1:] != (rank,):
        shapes = f"{tuple(hidden.shape)} and {tuple(out.shape)}"
        raise ValueError(f"a lift {shapes} is none of rank {rank} and width {width}")
    return hidden, out


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
