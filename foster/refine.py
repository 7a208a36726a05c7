"""Plain sequences improved item by item, by the gradient of what students that learn from them still get wrong.

P [M, L, U]: sequences of item ids as one-hot rows over the round's items U, those of the sequences among them.

    ω_0 fresh,  ω_{t+1} = a step of the students' recipe on L_S(ω_t; P),  t < T
    J(P) = min_{β, λ} CE(expert ‖ softmax(β·z + λ·log(1 + n(P)))),  z the logits of ω_T at real windows
    J(P with i in the place of h at (m, l)) ≈ J(P) + ∂J/∂P[m, l, i] − ∂J/∂P[m, l, h]

In every round the places where the estimate falls most get the item by which it falls most. The gradient runs through
all T steps (Maclaurin et al., 2015), single items change by its first order (HotFlip, Ebrahimi et al., 2018). An item
is one of hundreds in what a student learns from, so the estimate is near the truth for one; for many at once it is
not, so the number of places falls from round to round. Without β the students' confidence, which no ranking depends
on, would be most of what is improved. n(P) is how often an item stands in the sequences: students are told that where
it helps (`Recipe.popularity`), so an exchange may pay by it alone.

The graph of T steps is kept: T is short, this is for sets of some hundred positions, and U holds their items and
`subset` others at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from foster.muon import orthogonalised
from foster.parallel import twice_differentiable
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.subset import ItemSubset, draw_subset, read_with, whole_catalogue
from foster.training import Batch, RealWindows, Recipe, states_at
from foster.tuning import Texts, public

CANDIDATES = 8
POPULARITY = (0.5, 1.0)  # λ, besides none
SHARPNESS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)  # β
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class RefineConfig:
    """rounds; share: of the positions that change in the first round, falling linearly; steps: T, not more than
    students take; real: windows of a round; subset: items of U besides those of the sequences, where V > 2·`subset`."""

    rounds: int = 12
    share: float = 0.08
    steps: int = 60
    real: int = 256
    subset: int = 1024


def refined(
    sequences: Tensor,
    texts: Texts,
    windows: RealWindows,
    expert: SequentialRecommender,
    shape: RecommenderConfig,
    recipe: Recipe,
    config: RefineConfig,
    seed: int,
    each_step: Callable[[], None] = lambda: None,
) -> Tensor:
    """Sequences [M, L] of item ids, changed where students [shape, recipe] would learn more; no item comes twice in a
    sequence that did not before. Layers of the encoder do not learn in these students. each_step is called after every
    step of a student and may raise to stop."""
    draw = Generator().manual_seed(seed)
    recipe = replace(recipe, steps=min(config.steps, recipe.steps))
    for number in range(config.rounds):
        real = windows.draw(config.real, draw)
        subset = _subset(sequences, real, len(texts), config.subset, draw)
        model = build_recommender(texts.shape[1], shape, draw).to(texts.device)
        losses = Losses(model, texts, subset, real, expert)
        slope = hypergradient(losses, subset.rows(sequences), recipe, draw, each_step)
        most = max(1, round(config.share * sequences.numel() * (1 - number / config.rounds)))
        sequences = exchanged(sequences, subset.items, slope, most)
    return sequences


def _subset(sequences: Tensor, real: Batch, n_items: int, size: int, draw: Generator) -> ItemSubset:
    """The round's items: those of the sequences, up to half as many that follow in real windows, uniform draws."""
    if n_items <= 2 * size:
        return whole_catalogue(n_items, sequences.device)
    following = real.target_ids[torch.randperm(len(real.target_ids), generator=draw)[: size // 2].to(sequences.device)]
    return draw_subset(n_items, torch.cat([sequences.flatten(), following]), size, draw)


def exchanged(sequences: Tensor, items: Tensor, slope: Tensor, most: int) -> Tensor:
    """Sequences [M, L] with other items at up to `most` places, one exchange after another, the one that lowers the
    estimate most first; items [U] and the slope [M, L, U] of J in them.

    Looked at are the CANDIDATES · `most` best exchanges; where many of them are of one place, fewer places change. What
    lowers nothing changes nothing.
    """
    rows = torch.searchsorted(items, sequences)
    change = slope - slope.gather(-1, rows.unsqueeze(-1))
    found, at = change.flatten().topk(min(len(items), CANDIDATES) * most, largest=False)
    sequences, left, done = sequences.clone(), most, set[tuple[int, int]]()
    for gain, place in zip(found.tolist(), at.tolist(), strict=True):
        m, rest = divmod(place, slope.shape[1] * len(items))
        position, row = divmod(rest, len(items))
        if left == 0 or not gain < 0:  # a training that blew up estimates nothing
            break
        if (m, position) not in done and not bool((sequences[m] == items[row]).any()):
            sequences[m, position] = items[row]
            done.add((m, position))
            left -= 1
    return sequences


class Losses(nn.Module):
    """L_S and J as functions of weights that may be results of a computation."""

    def __init__(
        self,
        model: SequentialRecommender,
        texts: Texts,
        subset: ItemSubset,
        real: Batch,
        expert: SequentialRecommender,
    ) -> None:
        super().__init__()
        self.model, self.subset, self.real = model, subset, real
        ids, self.rows = read_with(subset, real.items)
        self.texts = texts[ids]
        with torch.no_grad():
            self.expected = self._real_logits(expert).sub(subset.log_inclusion).softmax(-1)

    def forward(self, sequences: Tensor, dropout: Generator | None = None, at_real: bool = False) -> Tensor:
        """L_S at one-hot rows [M, L, U]; at_real: J."""
        correction = self.subset.log_inclusion
        if at_real:
            logits, popular = self._real_logits(self.model), sequences.sum((0, 1)).log1p()

            def off(sharpness: float, popularity: float) -> Tensor:
                return F.cross_entropy(sharpness * logits + popularity * popular - correction, self.expected)

            with torch.no_grad():  # one after the other: which is best hardly depends on the other
                weight, sharpness = 0.0, 1.0
                for _ in range(2):
                    sharpness = min(SHARPNESS, key=lambda each: float(off(each, weight)))
                    weight = min((0.0, *POPULARITY), key=lambda each: float(off(sharpness, each)))
            return off(sharpness, weight)
        table = self.model.item_table(self.texts)[: len(self.subset.items)]
        logits = self.model.logits(self.model(sequences[:, :-1] @ table, dropout), table) - correction
        return -(sequences[:, 1:] * logits.log_softmax(-1)).sum(-1).mean()

    def _real_logits(self, model: SequentialRecommender) -> Tensor:
        table = model.item_table(self.texts)
        hidden = states_at(model, table, self.rows, self.real.weights, self.real.targets >= 0)
        return model.logits(hidden, table[: len(self.subset.items)])


def hypergradient(
    losses: Losses,
    rows: Tensor,
    recipe: Recipe,
    draw: Generator,
    each_step: Callable[[], None] = lambda: None,
) -> Tensor:
    """∂J/∂P [M, L, U] at the one-hot rows of sequences [M, L], which hold rows of the subset."""
    one_hot = public(losses.texts).new_zeros(*rows.shape, len(losses.subset.items))
    one_hot.scatter_(-1, rows.unsqueeze(-1), 1.0).requires_grad_()
    with twice_differentiable():
        weights = unrolled(losses, one_hot, recipe, draw, each_step)
        return torch.autograd.grad(functional_call(losses, weights, (one_hot, None, True)), one_hot)[0]


def unrolled(
    losses: Losses,
    one_hot: Tensor,
    recipe: Recipe,
    draw: Generator,
    each_step: Callable[[], None] = lambda: None,
) -> Weights:
    """The model's weights after the recipe's steps on sequences [M, L, U], as functions of them.

    What `foster.training.Trainer` does, written out: Muon for matrices, Adam for the rest, the gradient cut to a norm
    of 5.
    """
    device = one_hot.device
    weights = {f"model.{name}": w.detach().clone().requires_grad_() for name, w in losses.model.named_parameters()}
    first = {name: torch.zeros_like(w) for name, w in weights.items()}
    second = dict(first)
    dropout = Generator(device).manual_seed(int(torch.randint(2**62, (), generator=draw)))
    for step in range(recipe.steps):
        loss = functional_call(losses, weights, (one_hot, dropout))
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        norm = torch.stack([slope.pow(2).sum() for slope in slopes]).sum().sqrt()
        slopes = tuple(slope * (5.0 / (norm + 1e-6)).clamp(max=1.0) for slope in slopes)
        pace, moved = recipe.pace(step), {}
        for (name, w), slope in zip(weights.items(), slopes, strict=True):
            if recipe.matrix_rate is not None and w.ndim == 2 and name != "model.positions":
                first[name] = 0.95 * first[name] + 0.05 * slope
                towards = orthogonalised(0.05 * slope + 0.95 * first[name])
                moved[name] = w - pace * recipe.matrix_rate * max(1.0, w.shape[0] / w.shape[1]) ** 0.5 * towards
            else:
                first[name] = 0.9 * first[name] + 0.1 * slope
                second[name] = 0.98 * second[name] + 0.02 * slope.pow(2)
                # the root of nothing has no derivative
                size = (second[name] / (1 - 0.98 ** (step + 1)) + 1e-16).sqrt()
                moved[name] = w - pace * recipe.learning_rate * first[name] / (1 - 0.9 ** (step + 1)) / size
        weights = moved
        each_step()
    return weights
