"""The only training loop: real windows and synthetic sequences are the same batch type.

B sequences, L positions, k items in a soft row, V items of the table at hand, D_text width of the text features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from foster.errors import UserError
from foster.interactions import Interactions
from foster.muon import Muon
from foster.parallel import side_by_side
from foster.recommender import SequentialRecommender
from foster.subset import ItemSubset, draw_subset, read_with
from foster.tuning import Texts

T = TypeVar("T")
NO_TARGET = -1


@dataclass(frozen=True)
class Batch:
    """Sequences of soft input rows and what comes next.

    items [B, L, k] int64 and weights [B, L, k]: the input at each position is Σ_k weight·e_item; a real event is k = 1
    with weight 1, padding has weight 0. targets: either ids [B, L] with NO_TARGET where there is none, or
    distributions [B, L, U] over the scored items, all zero where there is none. scored: the items that the softmax
    runs over, with their inclusion probabilities; None for the whole catalogue. It holds every target id.
    """

    items: Tensor
    weights: Tensor
    targets: Tensor
    scored: ItemSubset | None = None

    @property
    def target_ids(self) -> Tensor:
        """The ids among `targets`, with repeats; none of a batch of distributions."""
        hard = self.targets.dtype == torch.int64
        return self.targets[self.targets != NO_TARGET] if hard else self.items.new_empty(0)

    def split(self, parts: int) -> list[Batch]:
        """Its sequences in about equal parts, each scored on the same items."""
        pieces = (each.tensor_split(parts) for each in (self.items, self.weights, self.targets))
        return [Batch(items, weights, targets, self.scored) for items, weights, targets in zip(*pieces, strict=True)]

    def narrowed(self, texts: Texts) -> tuple[Texts, Batch]:
        """Of texts of the whole catalogue [V, D_text] those that the batch reads or scores [V', D_text], those that it
        scores first, and the batch with their rows in the place of ids; of `scored` only the number and the
        probabilities hold then."""
        if self.scored is None:
            return texts, self
        ids, items = read_with(self.scored, self.items)
        targets = self.scored.rows(self.targets) if self.targets.dtype == torch.int64 else self.targets
        return texts.index_select(0, ids), replace(self, items=items, targets=targets)  # half the time of texts[ids]

    def often(self, n_items: int) -> Tensor:
        """How often each item stands in plain sequences [V]; every item but the first of a sequence is a target."""
        first = self.items[:, 0, 0][self.weights[:, 0, 0] > 0]
        return torch.bincount(torch.cat([first, self.target_ids]), minlength=n_items)

    def with_gaps(self, share: float | None, generator: Generator) -> Batch:
        """The batch with about that share of the events read left blank, but for the first of each sequence; what they
        are targets of stays."""
        if share is None:
            return self
        kept = torch.rand(self.weights.shape[:2], generator=generator) >= share
        kept[:, :1] = True
        return replace(self, weights=self.weights * kept.to(self.weights.device).unsqueeze(-1))

    def on_subset(self, n_items: int, size: int | None, generator: Generator) -> Batch:
        """A batch of ids scored on its targets and uniform draws, `size` items together, where the catalogue has more
        than twice as many; otherwise, for size None and for distributions, the batch as it is."""
        if size is None or n_items <= 2 * size or self.targets.dtype != torch.int64:
            return self
        return replace(self, scored=draw_subset(n_items, self.target_ids, size, generator))


def mix(table: Tensor, items: Tensor, weights: Tensor) -> Tensor:
    """Input vectors x = Σ_k weight·e_item [..., D] from an item table [V, D] and items and weights [..., k];
    differentiable in table and weights."""
    return (F.embedding(items, table) * weights.unsqueeze(-1)).sum(-2)


def states_at(
    model: SequentialRecommender,
    table: Tensor,
    items: Tensor,
    weights: Tensor,
    wanted: Tensor,
    generator: Generator | None = None,
) -> Tensor:
    """States [N, D] at the wanted positions [B, L], row by row, of sequences of rows [B, L, k] of a table [V, D].

    Of each sequence only what stands up to its last wanted position is read.
    """
    place = torch.arange(1, wanted.shape[1] + 1, device=wanted.device)
    ends = (wanted * place).amax(1)  # [B]
    inside = place <= ends.unsqueeze(1)
    inputs = mix(table, items[inside], weights[inside])
    sizes = [size for size in ends.tolist() if size]
    return model.read(inputs, sizes, generator)[wanted[inside]] if sizes else inputs


def next_item_loss(
    model: SequentialRecommender, texts: Texts, batch: Batch, generator: Generator | None = None
) -> Tensor:
    """Mean cross-entropy over the positions that have a target (hard ids or soft distributions).

    texts: of the whole catalogue [V, D_text]; only those of the scored items and of the inputs are read.
    """
    texts, batch = batch.narrowed(texts)
    return loss_on_table(model, model.item_table(texts), batch, generator)


def loss_on_table(
    model: SequentialRecommender, table: Tensor, batch: Batch, generator: Generator | None = None
) -> Tensor:
    """`next_item_loss` of a narrowed batch (`Batch.narrowed`) by the item table [V', D] of its texts."""
    targets, scored = batch.targets, batch.scored
    has_target = targets != NO_TARGET if targets.dtype == torch.int64 else targets.sum(-1) > 0
    # Only positions with a target are scored: real windows are mostly shorter than L.
    hidden = states_at(model, table, batch.items, batch.weights, has_target, generator)
    logits = model.logits(hidden, table if scored is None else table[: len(scored.items)])
    if scored is not None:
        logits = logits - scored.log_inclusion
    return F.cross_entropy(logits, targets[has_target])


@dataclass(frozen=True)
class Recipe:
    """How a recommender is trained: scalars only, nothing learned per item. It travels with a synthetic set.

    learning_rate: AdamW's peak, after a linear warm-up over `warmup` steps; decay: cosine to zero over `steps`
    ("cosine") or none ("constant"); batch_size: sequences a step (of a soft set readings, in all their sessions),
    None for all of them; subset: items scored in a step, where the catalogue has more than twice as many; None for
    all of them; matrix_rate: where it is given, the weight matrices learn by Muon (Jordan et al., 2024) at this
    peak rate instead: its orthogonalised steps move all directions of a matrix alike, and a student of a small set
    gets there in half the steps; repeat_rate, repeat_decay: how it is asked for what comes again (`foster.repeats`),
    None where nothing does; text_rate: AdamW's peak for layers of the text encoder, None where none learn; popularity:
    of plain sequences, how much log(1 + how often an item stands in them) counts when a student is asked, None for
    nothing: from few sequences texts do not tell what is popular; adapter: whether students have an item adapter
    (`foster.recommender`), by which those of plain sequences would overfit; event_dropout: share of the events of
    plain sequences that a student reads as blank in a step (`Batch.with_gaps`), None for none.
    """

    steps: int = 300
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    batch_size: int | None = None
    dropout: float = 0.1
    warmup: int = 10
    decay: str = "cosine"
    matrix_rate: float | None = None
    subset: int | None = None
    repeat_rate: float | None = None
    repeat_decay: float | None = None
    text_rate: float | None = None
    popularity: float | None = None
    adapter: bool = False
    event_dropout: float | None = None

    def told(self) -> dict[str, Any]:
        """What is given: how a recipe is stored and reported."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def pace(self, step: int) -> float:
        """Share of the peak rate at step `step` (from 0)."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        fall = 0.5 * (1 + np.cos(np.pi * min(step, self.steps) / max(1, self.steps))) if self.decay == "cosine" else 1.0
        return rise * float(fall)


class Trainer:
    """One model, its optimiser and its generator; `step` is the only place where a recommender learns from a batch."""

    def __init__(self, model: SequentialRecommender, texts: Texts, recipe: Recipe, generator: Generator) -> None:
        self.model, self.texts, self.recipe, self.generator = model, texts, recipe, generator
        self.optimizers = list(_optimizers(model, recipe))
        self.steps = 0
        self.share = 1.0  # of the recipe's rates

    def step(self, batch: Batch, parts: int = 1) -> float:
        """One gradient step; returns the loss before it. parts: into which a batch of real windows, at least as many,
        is divided, each with dropout of its own; the result is the same on any number of cores."""
        if parts > 1:
            return self._step_in_parts(batch, parts)
        loss = next_item_loss(self.model, self.texts, batch, self.generator)
        self.descend(loss)
        return float(loss.detach())

    def _step_in_parts(self, batch: Batch, parts: int) -> float:
        """Parts of the item table side by side, then of the windows, then of the table's gradient."""
        parameters = list(self.model.parameters())
        texts, batch = batch.narrowed(self.texts)
        bounds = [len(texts) * part // parts for part in range(parts + 1)]
        tables = self._beside(partial(self.model.item_table, texts[a:b]) for a, b in pairwise(bounds))
        table = torch.cat([each.detach() for each in tables]).requires_grad_()
        pieces = batch.split(parts)
        counts = [int((piece.targets != NO_TARGET).sum()) for piece in pieces]
        seeds = torch.randint(2**62, (parts,), generator=self.generator, device=texts.device).tolist()

        def learned(piece: Batch, count: int, seed: int) -> tuple[float, tuple[Tensor, ...]]:
            dropout = Generator(texts.device).manual_seed(seed)
            # a mean over the targets of all parts
            loss = count / sum(counts) * loss_on_table(self.model, table, piece, dropout)
            return float(loss.detach()), torch.autograd.grad(loss, [table, *parameters], allow_unused=True)

        found = self._beside(partial(learned, *each) for each in zip(pieces, counts, seeds, strict=True))
        at_table = torch.stack([gradients[0] for _, gradients in found]).sum(0)
        of_tables = self._beside(
            partial(torch.autograd.grad, each, parameters, at_table[a:b], allow_unused=True)
            for each, (a, b) in zip(tables, pairwise(bounds), strict=True)
        )
        for parameter, *of_parts in zip(parameters, *(each[1:] for _, each in found), *of_tables, strict=True):
            parameter.grad = sum(gradient for gradient in of_parts if gradient is not None)
        self._move()
        return sum(loss for loss, _ in found)

    def _beside(self, jobs: Iterable[Callable[[], T]]) -> list[T]:
        with closing(side_by_side(jobs, self.texts.device)) as found:
            return list(found)

    def descend(self, loss: Tensor) -> None:
        """One gradient step on a loss of the model, at the recipe's rate for this step."""
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        self._move()

    def _move(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        for optimizer, peak in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * self.share * self.recipe.pace(self.steps)
            optimizer.step()
        self.steps += 1

    def state(self) -> dict[str, Tensor]:
        """Everything a trainer needs to go on as if it had never stopped, as named tensors."""
        state = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for optimizer, _ in self.optimizers:
                for key, value in optimizer.state.get(parameter, {}).items():
                    state[f"moment.{key}.{name}"] = value
        state["steps"], state["dropout"] = torch.tensor(self.steps), self.generator.get_state()
        return {k: v.detach().clone().contiguous() for k, v in state.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        self.model.load_state_dict({k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")})
        for optimizer, _ in self.optimizers:
            held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
            for name, parameter in self.model.named_parameters():
                parts = [(k.split(".", 2), v) for k, v in state.items() if k.startswith("moment.")]
                moments = {key: v for (_, key, of), v in parts if of == name}
                if moments and id(parameter) in held:
                    # Adam keeps its step count on the CPU, moments live beside the parameter.
                    optimizer.state[parameter] = {
                        k: v.clone() if k == "step" else v.to(parameter.device, copy=True) for k, v in moments.items()
                    }
        self.steps = int(state["steps"])
        self.generator.set_state(state["dropout"])


def _optimizers(model: SequentialRecommender, recipe: Recipe) -> Iterator[tuple[torch.optim.Optimizer, float]]:
    """The recipe's optimisers, each with its peak rate; together they hold every parameter that learns once."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    encoder: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if name.startswith("text."):
            encoder.append(parameter)
            continue
        # Positions are a table of vectors, each of which learns for itself: Muon is not meant for those.
        by_muon = recipe.matrix_rate is not None and parameter.ndim == 2 and name != "positions"
        (matrices if by_muon else rest).append(parameter)
    decay = recipe.weight_decay
    yield torch.optim.AdamW(rest, lr=recipe.learning_rate, weight_decay=decay, betas=(0.9, 0.98)), recipe.learning_rate
    if recipe.matrix_rate is not None:
        yield Muon(matrices, lr=recipe.matrix_rate, weight_decay=decay), recipe.matrix_rate
    if encoder and recipe.text_rate is not None:
        yield torch.optim.AdamW(encoder, lr=recipe.text_rate, weight_decay=decay, betas=(0.9, 0.98)), recipe.text_rate


def train(trainer: Trainer, batches: Iterable[Batch]) -> Iterator[float]:
    """Take one step for each batch until the recipe's steps are done, yielding each loss."""
    for batch in batches:
        if trainer.steps >= trainer.recipe.steps:
            return
        yield trainer.step(batch)


class RealWindows:
    """Mini-batches of real training windows: of each user that is drawn a random window of L+1 consecutive events.

    Raises UserError if no user has two training events: there is no next item to learn.
    """

    def __init__(self, log: Interactions, length: int, device: torch.device) -> None:
        self.items = torch.from_numpy(log.items.astype(np.int64)).to(device)
        starts, stops = log.offsets[:-1], log.offsets[1:]
        usable = stops - starts >= 2  # one event has no next item
        if not usable.any():
            raise UserError(
                "no user has 4 events, so with the last two held out no item follows another; give longer histories"
            )
        self.starts = torch.from_numpy(starts[usable]).to(device)
        self.sizes = torch.from_numpy((stops - starts)[usable]).to(device)
        self.length, self.device = length, device

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, users: Tensor, generator: Generator) -> Batch:
        """Windows of the given users [B]; start drawn uniformly from those that fill the window."""
        starts, sizes = self.starts[users], self.sizes[users]
        slack = (sizes - (self.length + 1)).clamp(min=0)
        u = torch.rand(len(users), generator=generator).to(self.device)
        first = starts + torch.minimum((u * (slack + 1)).long(), slack)
        columns = torch.arange(self.length + 1, device=self.device)
        inside = columns < sizes.clamp(max=self.length + 1).unsqueeze(1)  # [B, L+1]
        rows = self.items[torch.where(inside, first.unsqueeze(1) + columns, 0)]
        targets = torch.where(inside[:, 1:], rows[:, 1:], NO_TARGET)
        return Batch(rows[:, :-1, None], inside[:, :-1, None].float(), targets)

    def draw(self, batch_size: int, generator: Generator) -> Batch:
        """One batch of users drawn without replacement."""
        return self.batch(torch.randperm(len(self), generator=generator)[:batch_size].to(self.device), generator)
