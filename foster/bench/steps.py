"""Three ways to take one step on the synthetic labels, side by side: what `foster.bench.cost` measures.

Notation as in `foster.distiller`: q the label queries, P = softmax(q·Bᵀ) on the step's items U, L_S(ω; q) =
KL(P ‖ p_ω), L_D the loss on real windows, α a rate of plain gradient descent.

    first order   the loop's own step (`foster.distiller`), without regulariser
    exact         −∇_q ⟨∇_ω L_S(ω; q), v⟩ with v = ∇L_D(ω) held fixed: one mixed second derivative, a double backward
    unrolled      ∇_q L_D(ω_W), ω_{w+1} = ω_w − α ∇L_S(ω_w; q): bi-level, the graph of all W updates is kept

All see the same readings, real windows of one world, as many items U, and the same texts: features that are frozen, or
tokens of which the last layers of an encoder of MiniLM's form, with random weights, learn with the model: the loop
encodes texts that are read and not scored once a step, the others differentiate through them and encode them at each
update. The exact and the unrolled form need attention with a second derivative, which the fused kernels do not have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from foster.distiller import DistillConfig, Distiller
from foster.experts import FULL
from foster.label_basis import LabelBasis
from foster.parallel import twice_differentiable
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender, fresh_recommender
from foster.subset import read_with
from foster.subset_view import View, divergence
from foster.synthetic import SyntheticSequences
from foster.training import Batch, RealWindows, Recipe
from foster.tuning import Texts, TokenStates, TunableTexts

RATE = 0.05
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Size:
    """items: V; subset: |U|; sequences × length labels of rank `rank`, all of them one batch; real: windows a batch;
    tuned_layers: of the encoder that learn, and then tokens a text and heads of those layers.

    Histories hold half as many different items as U at most, so U is of its size for every V.
    """

    items: int = 20_000
    subset: int = 1024
    sequences: int = 20
    length: int = 20
    rank: int = 32
    real: int = 64
    text_width: int = 384
    width: int = 128
    users: int = 2_000
    tuned_layers: int = 0
    tokens: int = 16
    heads: int = 12


def planted_set(size: Size, device: torch.device) -> SyntheticSequences:
    draw = Generator().manual_seed(1)
    items = torch.randint(size.items, (size.sequences, size.length), generator=draw)
    queries = 0.5 * torch.randn(size.sequences, size.length, size.rank, generator=draw)
    projection = torch.randn(size.rank, size.text_width, generator=draw) / size.text_width**0.5
    units, out = torch.randn(2, 2 * size.rank, size.rank, generator=draw) / size.rank**0.5
    maps = LabelBasis(projection, torch.eye(size.rank), units, out)
    return SyntheticSequences(size.sequences, items, queries, maps).to(device)


def planted_windows(size: Size, device: torch.device) -> RealWindows:
    """Random histories of length + 1 events: what they say does not change what a step costs."""
    import numpy as np

    from foster.interactions import Interactions

    draw = np.random.default_rng(2)
    events = size.length + 1
    popular = draw.integers(0, size.items, max(1, size.subset // 2))
    items = draw.choice(popular, size.users * events)
    log = Interactions(items, events * np.arange(size.users + 1), tuple(map(str, range(size.users))))
    return RealWindows(log, size.length, device)


def planted_texts(size: Size, features: Tensor) -> Texts:
    """The features, or texts of as many tokens each, where layers of the encoder learn."""
    if not size.tuned_layers:
        return features
    from transformers import AutoModel, BertConfig

    width, device, draw = size.text_width, features.device, Generator().manual_seed(5)
    config = BertConfig(
        vocab_size=2,
        hidden_size=width,
        num_hidden_layers=size.tuned_layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * width,
    )
    layers = AutoModel.from_config(config, attn_implementation="sdpa").encoder.eval().requires_grad_(False)
    for weight in layers.parameters():
        if weight.ndim == 2:
            torch.nn.init.xavier_uniform_(weight, generator=draw)  # on the CPU, as its generator is
    states = torch.randn(size.items * size.tokens, width, generator=draw).half().to(device)
    lengths = torch.full((size.items,), size.tokens, device=device)
    starts = torch.arange(size.items, device=device) * size.tokens
    return TunableTexts.of(
        features, TokenStates(states, starts, lengths, layers.to(device), torch.zeros(width, device=device))
    )


def first_order(size: Size, texts: Texts, regularisation: float = 0.0) -> Callable[[], object]:
    """The loop's own step at its default K, over one path of anchors that is long enough not to be made anew."""
    config = DistillConfig(
        steps=10_000, paths=1, subset=size.subset, real_batch=size.real, regularisation=regularisation
    )
    recipe = Recipe(
        steps=1_000_000,
        learning_rate=2e-2,
        matrix_rate=0.05,
        dropout=0.0,
        batch_size=size.sequences,
        text_rate=1e-4 if size.tuned_layers else None,
    )
    start, windows = planted_set(size, texts.device), planted_windows(size, texts.device)
    # an expert has learned: it looks up what its encoder says, as it does features
    expert = build_recommender(size.text_width, shape(size), Generator().manual_seed(4)).to(texts.device)
    running = Distiller(start, texts, windows, shape(size), recipe, config, seed=0, experts=[expert]).run()
    return lambda: next(running)


def shape(size: Size) -> RecommenderConfig:
    return replace(FULL, width=size.width, max_length=size.length, dropout=0.0)


class Losses(nn.Module):
    """L_S and L_D as functions of weights that may be results of a computation. view: U and what is read of both;
    alone: the same U and the synthetic inputs."""

    def __init__(self, model: SequentialRecommender, view: View, alone: View, real: Batch) -> None:
        super().__init__()
        self.model, self.view, self.alone, self.real = model, view, alone, real

    def forward(self, queries: Tensor | None) -> Tensor:
        """L_S at label queries [A·M, L, r]; None: L_D."""
        if queries is None:
            return self.view.real_loss(self.model, self.real, ())
        rows = torch.arange(len(queries), device=queries.device)
        return divergence(self.alone.log_labels(queries), self.alone.scores(self.model, rows))

    def at(self, weights: Weights, queries: Tensor | None) -> Tensor:
        return functional_call(self, weights, (queries,))

    def weights(self) -> Weights:
        return {f"model.{name}": w.detach().clone().requires_grad_() for name, w in self.model.named_parameters()}


def planted_losses(size: Size, texts: Texts) -> tuple[Losses, Tensor]:
    """The losses of one view of the planted world at a fresh model, and the label queries."""
    device, draw = texts.device, Generator().manual_seed(3)
    start, windows = planted_set(size, device), planted_windows(size, device)
    real = windows.draw(size.real, draw)
    config = DistillConfig(subset=size.subset)
    view = Distiller(start, texts, windows, shape(size), Recipe(), config, seed=3)._view([real], draw)
    ids, rows = read_with(view.subset, start.items.flatten())
    alone = replace(view, ids=ids, texts=texts[ids], items=rows.view_as(view.items))
    model = fresh_recommender(texts, shape(size), draw)
    return Losses(model, view, alone, real), start.queries


def exact(losses: Losses, queries: Tensor) -> Tensor:
    """−∇_q ⟨∇_ω L_S(ω; q), ∇L_D(ω)⟩, the shape of q."""
    with twice_differentiable():
        weights, q = losses.weights(), queries.detach().requires_grad_()
        towards = torch.autograd.grad(losses.at(weights, None), list(weights.values()))
        slopes = torch.autograd.grad(losses.at(weights, q), list(weights.values()), create_graph=True)
        product = sum(((slope * v).sum() for slope, v in zip(slopes, towards, strict=True)), torch.zeros(()).to(q))
        return -torch.autograd.grad(product, q)[0]


def unrolled(losses: Losses, queries: Tensor, updates: int, rate: float = RATE) -> Tensor:
    """∇_q of L_D after W = `updates` steps of gradient descent on L_S, the shape of q."""
    with twice_differentiable():
        weights, q = losses.weights(), queries.detach().requires_grad_()
        for _ in range(updates):
            slopes = torch.autograd.grad(losses.at(weights, q), list(weights.values()), create_graph=True)
            weights = {name: w - rate * slope for (name, w), slope in zip(weights.items(), slopes, strict=True)}
        return torch.autograd.grad(losses.at(weights, None), q)[0]
