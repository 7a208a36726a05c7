"""The synthetic sequences: what is learned, how it is stored, what a student reads back.

M sequences, L positions, V items, A readings, r numbers in a label query, D_text text width.

Rows. Position (m, l) of a soft sequence holds A items: P[m, l] of METHOD §2 is uniform over them. A reading takes one
item of every row, the a-th, so a student sees sequences of real items, never a mixture, and M sequences give A·M of
them. The first reading is what a person is shown first.

Sessions. Where histories of the log are shorter than L, a reading is read as sessions of so many events, each a history
of its own: labels after prefixes as long as nobody's history teach less.

Labels. After every position of every reading stands its own label, a distribution over all items in factorised form,
softmax(q·Bᵀ), with q [r] learned and B [V, r] made of the frozen, public text features X [V, D_text] by a projection P
[w, D_text] and a small network, the lift F [h, w], G [h, r] (`label_basis`): storage and step cost do not grow with V.
P, F and G are part of the set, as they come from models that saw the log. (Stored soft labels for several views of one
sample: FKD, Shen & Xing 2022; SRe2L, Yin et al. 2023.)

Inputs and labels are separate tensors: the untied form of METHOD §2.

Stored with 4 bits a number of q, 4 or 8 of P, F and G, one half-precision scale a row; the whole file takes at most 256
bytes (128 sixteen-bit numbers) for each position, where that leaves room for the least form.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from foster.errors import UserError
from foster.interactions import Interactions
from foster.muon import Muon
from foster.subset import ItemSubset, draw_subset
from foster.training import Batch, Recipe

SCHEMA, READ = 6, (3, 4, 5, 6)  # 3 has no sessions, 4 no lift, 5 one of w = r, h = 2r
BYTES_PER_POSITION = 256  # 128 sixteen-bit numbers
SCALE_BYTES = 2
HEADER_BYTES = 1024  # the recipe and safetensors' own header
MAX_READINGS = 8
RANKS = {64: 5, 48: 3, 32: 3, 24: 3, 16: 3, 8: 1}  # and how many readings each must leave: else a lower one buys more
# Of large catalogues: ranks and widths, where WIDE_READINGS and a lift of so many units for each rank are left. What a
# basis does not tell apart errs in every label alike, and there is more to tell apart.
WIDE_FORMS, WIDE_READINGS, LEAST_UNITS, MOST_HIDDEN = ((64, 128), (48, 96), (48, 64)), 4, 3, 512
LARGE_CATALOGUE = 4096  # items: from here on a part of them has to do in a step of a fit
FINE_RANK = (
    48  # from here on P and the lift have 8 bits: they are a small part of the file then, and err in every label alike
)
FIT_STEPS, LARGE_FIT_STEPS = 400, 1200  # in which the label basis is fitted: many items take longer
LIFT = ("lift_in", "lift_out")  # F and G in the file
UNUSED = -1  # an item id where a reading is shorter than L


Lift = tuple[Tensor, Tensor]
"""F [h, w] and G [h, r] of `label_basis`."""


def label_basis(features: Tensor, projection: Tensor, lift: Lift | None = None) -> Tensor:
    """B [V, r] = Z₁…ᵣ + gelu(Z Fᵀ) G, Z = √w·norm(X Pᵀ) [V, w], from the public features X [V, D_text], a projection P
    [w, D_text] and a lift, F [h, w] and G [h, r]; without one B = Z.

    Rows of Z have equal length and entries of size about one, so the entries of a query are of one size for all items.
    The lift is there because models tell items apart by more than linear functions of texts.
    """
    found = F.normalize(features @ projection.T, dim=-1) * projection.shape[0] ** 0.5
    if lift is None:
        return found
    hidden, out = lift
    return found[:, : out.shape[1]] + F.gelu(found @ hidden.T) @ out


def log_bytes(train: Interactions, n_items: int) -> int:
    """Size of the log that is condensed: its training ids as 16 or 32 bit numbers under zlib level 9."""
    width = np.uint16 if n_items <= 2**16 else np.uint32
    return len(zlib.compress(train.items.astype(width).tobytes(), 9))


@dataclass(frozen=True)
class Form:
    """readings: A; rank: r, even; projection_bits: 4 or 8, of a number of P and of the lift; session: events after
    which a reading begins anew, None where it is one history; width: w, None for r; hidden: h, None for 2r."""

    readings: int
    rank: int
    projection_bits: int = 4
    session: int | None = None
    width: int | None = None
    hidden: int | None = None

    def basis_bytes(self, text_width: int) -> int:
        """Of P, F and G as they are stored."""
        width, hidden = self.width or self.rank, self.hidden or 2 * self.rank
        shapes = ((width, text_width), (hidden, width), (hidden, self.rank))
        return sum(rows * (-(-columns * self.projection_bits // 8) + SCALE_BYTES) for rows, columns in shapes)


def affordable_form(sequences: int, length: int, n_items: int, widths: tuple[int, int], available_bytes: int) -> Form:
    """How many readings and of which rank the byte rule of METHOD §2 leaves: soft ≤ log and ≤ 256 bytes a position.

    In a large catalogue the first of WIDE_FORMS that can be had, the lift as wide as fits beside WIDE_READINGS;
    otherwise the highest of RANKS that leaves readings enough. widths: of the text features and of the teacher; no rank
    and no width exceeds them. Never less than one reading of the lowest rank: a budget that large against its log is
    reported as breaking the rule, not refused.
    """
    text_width, teacher_width = widths
    positions, widest = sequences * length, min(text_width // 2 * 2, teacher_width // 2 * 2)
    # the projection and the header are in it
    available_bytes = min(available_bytes, BYTES_PER_POSITION * positions) - HEADER_BYTES

    def readings(form: Form) -> int:
        a_label = form.rank // 2 + SCALE_BYTES + _item_type(n_items).itemsize
        return min(MAX_READINGS, (available_bytes - form.basis_bytes(text_width)) // positions // a_label)

    if n_items > LARGE_CATALOGUE:
        for rank, width in WIDE_FORMS:
            widths_of = (hidden for hidden in range(MOST_HIDDEN, LEAST_UNITS * rank - 1, -8))
            forms = (Form(WIDE_READINGS, rank, 8, width=width, hidden=hidden) for hidden in widths_of)
            wide = next((form for form in forms if width <= widest and readings(form) >= WIDE_READINGS), None)
            if wide is not None:
                return replace(wide, readings=readings(wide))
    for rank, enough in ((min(rank, widest), enough) for rank, enough in RANKS.items()):
        form = Form(1, rank, 8 if rank >= FINE_RANK else 4)
        form = replace(form, readings=max(1, readings(form)))
        if form.readings >= enough:
            break
    return form


def pack(numbers: Tensor, bits: int = 4) -> tuple[Tensor, Tensor]:
    """Numbers [..., r] as integers, and one half-precision scale a row [...].

    8 bits: −127…127 as int8 [..., r]; 4 bits: −7…7, two a byte, as uint8 [..., ⌈r / 2⌉].
    """
    largest = 2 ** (bits - 1) - 1
    scales = (numbers.abs().amax(-1) / largest).clamp(min=1e-6).half()
    levels = (numbers / scales.to(numbers.dtype).unsqueeze(-1)).round().clamp(-largest, largest).to(torch.int16)
    if bits == 8:
        return levels.to(torch.int8), scales
    levels = F.pad(levels + 8, (0, levels.shape[-1] % 2))
    return (levels[..., 0::2] + 16 * levels[..., 1::2]).to(torch.uint8), scales


def unpack(packed: Tensor, scales: Tensor, rank: int) -> Tensor:
    """The inverse of `pack`, up to rounding: numbers [..., rank]."""
    if packed.dtype == torch.int8:
        levels = packed.float()
    else:
        levels = torch.stack([packed & 15, packed >> 4], -1).flatten(-2)[..., :rank].float() - 8
    return levels * scales.float().unsqueeze(-1)


def rounded(numbers: Tensor, bits: int = 4) -> Tensor:
    """What `pack` and `unpack` leave of numbers [..., r]."""
    return unpack(*pack(numbers, bits), numbers.shape[-1]).to(numbers.dtype)


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


def _item_type(n_items: int) -> torch.dtype:
    """16 bits where ids and UNUSED, which is stored as the largest number, fit."""
    return torch.uint16 if n_items < 2**16 else torch.int32


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
        narrow = _item_type(n_items)
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


def fit_queries(
    log_labels: Tensor, basis: Tensor, generator: Generator, steps: int = 150, rate: float = 0.1, subset: int = 2048
) -> Tensor:
    """Queries q [N, r] that minimise KL(p ‖ softmax(q·Bᵀ)) for label distributions log p [N, V].

    Convex for each row. Starts from the least-squares fit to the logits and descends with Adam; in a catalogue of more
    than 2·`subset` items on the likeliest items of the rows and uniform draws (`foster.subset`). N·V is held at once.
    """
    ridge = 1e-3 * len(basis) * torch.eye(basis.shape[1], device=basis.device)
    centred = log_labels - log_labels.mean(-1, keepdim=True)
    q = torch.linalg.solve(basis.T @ basis + ridge, basis.T @ centred.T).T.contiguous().requires_grad_()
    p, basis, correction = next(_subsets(log_labels, basis, generator, subset))
    optimizer = torch.optim.Adam([q], lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        # the gradient of the cross-entropy in closed form: no graph, two products of size N·U·r a step
        with torch.no_grad():
            q.grad = ((q @ basis.T - correction).softmax(-1) - p) @ basis
        optimizer.step()
    return q.detach()


def fit_basis(
    projection: Tensor,
    log_labels: Tensor,
    features: Tensor,
    generator: Generator,
    steps: int | None = None,
    rate: float = 0.1,
    matrix_rate: float = 0.05,
    subset: int = 2048,
    bits: int = 4,
    rank: int | None = None,
    hidden: int | None = None,
) -> tuple[Tensor, Lift]:
    """P [w, D_text] and a lift of h `hidden` units (None: 2r) that, with queries of r = `rank` numbers (None: w) of
    their own, bring labels log p [N, V] nearest to what is stored, in KL; from `projection` and a lift that adds
    nothing, both rounded to `bits` a number.

    Descends on queries by Adam and on matrices by Muon together, in a large catalogue on a subset as `fit_queries`
    does, but drawn anew in every step: what the lift makes of items that it never saw is anything. steps: None for
    FIT_STEPS, or LARGE_FIT_STEPS in such a catalogue.
    """
    if steps is None:
        steps = FIT_STEPS if len(features) <= 2 * subset else LARGE_FIT_STEPS
    width = len(projection)
    rank = width if rank is None else rank
    first = label_basis(features, projection)[:, :rank]
    q = fit_queries(log_labels, first, generator, 50, rate, subset).requires_grad_()
    learned = nn.Parameter(projection.clone())
    fresh = torch.randn(2 * rank if hidden is None else hidden, width, generator=generator).to(projection) / width**0.5
    lift = (nn.Parameter(fresh), nn.Parameter(fresh.new_zeros(len(fresh), rank)))
    wide = matrix_rate * float(projection.std()) * projection.shape[1] ** 0.5  # P is not of size one as the others are
    optimizers = (
        (torch.optim.Adam([q], lr=rate, betas=(0.9, 0.99)), rate),
        (Muon(lift, lr=matrix_rate), matrix_rate),
        (Muon([learned], lr=wide), wide),
    )
    draw = _subsets(log_labels, features, generator, subset)
    for step in range(steps):
        p, scored, correction = next(draw)
        for optimizer, peak in optimizers:
            optimizer.param_groups[0]["lr"] = peak * (1 - step / steps)
            optimizer.zero_grad()
        logits = q @ label_basis(scored, learned, lift).T - correction
        F.cross_entropy(logits, p).mul(len(q)).backward()
        for optimizer, _ in optimizers:
            optimizer.step()
    return rounded(learned.detach(), bits), (rounded(lift[0].detach(), bits), rounded(lift[1].detach(), bits))


def _subsets(
    log_labels: Tensor, rows: Tensor, generator: Generator, subset: int
) -> Iterator[tuple[Tensor, Tensor, Tensor | float]]:
    """Again and again: labels p [N, U], the items' rows [U, …] and the correction of their logits; U is everything, or
    in a catalogue of more than 2·`subset` items the likeliest of the labels and uniform draws."""
    if len(rows) <= 2 * subset:
        whole = log_labels.softmax(-1)
        while True:
            yield whole, rows, 0.0
    likeliest = log_labels.topk(max(1, subset // (2 * len(log_labels)))).indices.flatten()
    while True:
        scored = draw_subset(len(rows), likeliest, subset, generator)
        p = (log_labels.index_select(1, scored.items) - scored.log_inclusion).softmax(-1)
        yield p, rows[scored.items], scored.log_inclusion
