"""Lesson 4: the gradient of the synthetic data without a graph through training, beside the exact second-order one.

Exact: train ω on S for K steps of gradient descent, keep the graph of all of them, and differentiate the loss on real
data through it. First-order: let θ follow real and synthetic data, ω synthetic data alone, both for K steps from one
anchor, forget how they got there, and take ∇_S L_S(θ) − ∇_S L_S(ω). For small steps θ − ω ≈ −α Σ ∇L_D, so the two point
the same way, as long as θ and ω did set out together.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from foster.condensers import uniform_items
from foster.distiller import duplicate
from foster.lessons.expert import CONFIG, at, real_windows, toy_expert
from foster.lessons.world import BOOKS, features, toy_world
from foster.recommender import SequentialRecommender, build_recommender
from foster.students import derived_seed
from foster.training import Batch, Recipe, Trainer, next_item_loss

SEQUENCES, LENGTH = 4, 8
ANCHOR, RATE = 20, 0.05  # the training step they start from; α
NOISE = 0.2  # the dropout rate of the broken comparison
Weights = dict[str, Tensor]


class Loss(nn.Module):
    """next_item_loss as a module, so that it can be called with weights that are results of a computation."""

    def __init__(self, model: SequentialRecommender) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, dropout: Generator | None = None) -> Tensor:
        return next_item_loss(self.model, features(), batch, dropout)

    def at(self, weights: Weights, batch: Batch, dropout: Generator | None = None) -> Tensor:
        return functional_call(self, weights, (batch, dropout))

    def weights_of(self, model: SequentialRecommender) -> Weights:
        return {f"model.{name}": w.detach().clone().requires_grad_() for name, w in model.named_parameters()}


@dataclass(frozen=True)
class TwoGradients:
    """cosine: of the first-order and the exact gradient of S; distance: ‖θ − ω‖; *_bytes: the most that autograd keeps
    at once for a backward pass."""

    cosine: float
    distance: float
    first_order_bytes: int
    exact_bytes: int


def descend(loss: Tensor, weights: Weights, keep_graph: bool) -> Weights:
    """One step of gradient descent; with keep_graph the result can be differentiated through."""
    slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=keep_graph)
    moved = {name: w - RATE * slope for (name, w), slope in zip(weights.items(), slopes, strict=True)}
    return moved if keep_graph else {name: w.detach().requires_grad_() for name, w in moved.items()}


def compare(seed: int, steps: int, apart: int = 0, dropout: bool = False) -> TwoGradients:
    """Both gradients of the same S over K = `steps` inner steps.

    apart: steps that θ and ω have gone their own ways before, since they were last reset to one anchor. dropout: θ and
    ω are compared under dropout masks of their own instead of none.
    """
    draw = Generator().manual_seed(derived_seed(seed, "first order"))
    rows = uniform_items(len(BOOKS), SEQUENCES, LENGTH, draw)
    z = (0.5 * torch.randn(*rows.shape, len(BOOKS), generator=draw)).requires_grad_()
    windows = real_windows(toy_world(seed).log)
    real = windows.draw(64, draw)
    noisy = build_recommender(features().shape[1], replace(CONFIG, dropout=NOISE), Generator().manual_seed(0))

    def synthetic(p: Tensor) -> Batch:
        return Batch(rows.unsqueeze(-1), torch.ones(*rows.shape, 1), p)

    frozen = synthetic(z.detach().softmax(-1))
    loss = Loss(noisy)
    # before the comparison: both learn as foster's students do, each from its own data
    recipe = Recipe(learning_rate=2e-2, warmup=1, decay="constant")
    at_omega = Trainer(copy.deepcopy(at(toy_expert(seed), ANCHOR)).requires_grad_(), features(), recipe, Generator())
    at_theta = duplicate(at_omega)
    for _ in range(apart):
        at_omega.step(frozen)
        on_real = next_item_loss(at_theta.model, features(), windows.draw(64, draw))
        at_theta.descend(next_item_loss(at_theta.model, features(), frozen) + on_real)
    start_omega, start_theta = loss.weights_of(at_omega.model), loss.weights_of(at_theta.model)

    def unrolled() -> Tensor:
        omega = start_omega
        for _ in range(steps):
            omega = descend(loss.at(omega, synthetic(z.softmax(-1))), omega, keep_graph=True)
        return loss.at(omega, real)

    # the fused attention kernels have no second derivative: the exact gradient needs the plain one
    with sdpa_kernel(SDPBackend.MATH):
        outer, exact_bytes = kept_bytes(unrolled)
        (exact,) = torch.autograd.grad(outer, z)
        theta, omega, most = start_theta, start_omega, 0
        for _ in range(steps):
            both, kept = kept_bytes(lambda: loss.at(theta, real) + loss.at(theta, frozen))  # noqa: B023  called at once
            theta, most = descend(both, theta, keep_graph=False), max(most, kept)
            omega = descend(loss.at(omega, frozen), omega, keep_graph=False)
        masks = (Generator().manual_seed(1), Generator().manual_seed(2)) if dropout else (None, None)

        def gap() -> Tensor:
            batch = synthetic(z.softmax(-1))
            return loss.at(theta, batch, masks[0]) - loss.at(omega, batch, masks[1])

        difference, kept = kept_bytes(gap)
        (first_order,) = torch.autograd.grad(difference, z)
    distance = sum(float((theta[name] - omega[name]).detach().pow(2).sum()) for name in theta) ** 0.5
    cosine = float(torch.cosine_similarity(first_order.flatten(), exact.flatten(), dim=0))
    return TwoGradients(cosine, distance, max(most, kept), exact_bytes)


def kept_bytes(compute: Callable[[], Tensor]) -> tuple[Tensor, int]:
    """The result of a computation and the bytes that autograd saves for its backward pass."""
    kept = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        result = compute()
    return result, kept
