"""Slow, literal versions of the engine, in the notation of the method: loops, whole catalogues, no cleverness.

Written from the specification, not from the code; only a model's forward pass is shared with the engine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foster.recommender import SequentialRecommender


def cooccurrence(p: Tensor) -> Tensor:
    """C_ij = Σ_m Σ_{l≠l'} P[m,l,i] P[m,l',j]."""
    m_all, l_all, v = p.shape
    c = torch.zeros(v, v, dtype=p.dtype)
    for m in range(m_all):
        for one in range(l_all):
            for other in range(l_all):
                if one != other:
                    for i in range(v):
                        for j in range(v):
                            c[i, j] += p[m, one, i] * p[m, other, j]
    return c


def similarity(features: Tensor, temperature: float) -> list[list[float]]:
    """w_ij = softmax_{j≠i}(cos(ē_i, ē_j) / τ_w)."""
    v = len(features)
    w = [[0.0] * v for _ in range(v)]
    for i in range(v):
        raw = {j: math.exp(float(features[i] @ features[j]) / temperature) for j in range(v) if j != i}
        for j, value in raw.items():
            w[i][j] = value / sum(raw.values())
    return w


def regulariser_a(p: Tensor, w: list[list[float]], smoothing: float) -> float:
    """A: mean_i KL(w_i ‖ c(·|i)), c(j|i) the rows of C without the diagonal."""
    c, v, total = cooccurrence(p), p.shape[-1], 0.0
    for i in range(v):
        row_sum = sum(float(c[i, j]) + smoothing for j in range(v) if j != i)
        for j in range(v):
            if j != i and w[i][j] > 0:
                total += w[i][j] * math.log(w[i][j] / ((float(c[i, j]) + smoothing) / row_sum))
    return total / v


def rank(scores: Sequence[float], target: int) -> int:
    """1 + the number of other items that are not worse: ties count against the scorer."""
    return 1 + sum(1 for item, score in enumerate(scores) if item != target and score >= scores[target])


def corrected_softmax(logits: Tensor, subset: list[int], inclusion: list[float]) -> dict[int, float]:
    """softmax over U of z_i − log π_i: each item stands for 1/π_i items of its kind."""
    mass = {i: math.exp(float(logits[i])) / pi for i, pi in zip(subset, inclusion, strict=True)}
    return {i: value / sum(mass.values()) for i, value in mass.items()}


@dataclass
class Adam:
    """Adam as in Kingma & Ba (2015), one tensor at a time."""

    rate: float
    beta1: float
    beta2: float
    eps: float = 1e-8

    def __post_init__(self) -> None:
        self.m: dict[int, Tensor] = {}
        self.v: dict[int, Tensor] = {}
        self.t = 0

    def step(self, tensors: list[Tensor], gradients: list[Tensor], rate: float | None = None) -> None:
        self.t += 1
        for k, (x, g) in enumerate(zip(tensors, gradients, strict=True)):
            self.m[k] = self.beta1 * self.m.get(k, torch.zeros_like(x)) + (1 - self.beta1) * g
            self.v[k] = self.beta2 * self.v.get(k, torch.zeros_like(x)) + (1 - self.beta2) * g * g
            m_hat, v_hat = self.m[k] / (1 - self.beta1**self.t), self.v[k] / (1 - self.beta2**self.t)
            with torch.no_grad():
                x -= (self.rate if rate is None else rate) * m_hat / (v_hat.sqrt() + self.eps)


def clip(gradients: list[Tensor], largest: float) -> list[Tensor]:
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    return [g * min(1.0, largest / (norm + 1e-6)) for g in gradients]


def synthetic_loss(
    model: SequentialRecommender, features: Tensor, items: Tensor, weights: Tensor, log_p: Tensor
) -> Tensor:
    """L_S = mean over (m, l) of KL(P[m,l] ‖ p_model(· | the mixtures up to l)), the whole catalogue."""
    e = model.item_table(features)
    m_all, l_all, k_all = items.shape
    x = torch.stack(
        [
            torch.stack([sum(weights[m, t, k] * e[items[m, t, k]] for k in range(k_all)) for t in range(l_all)])
            for m in range(m_all)
        ]
    )
    h = model(x)
    total = torch.zeros((), dtype=features.dtype)
    for m in range(m_all):
        for t in range(l_all):
            log_model = torch.log_softmax(e @ h[m, t] / model.config.temperature, 0)
            total = total + (log_p[m, t].exp() * (log_p[m, t] - log_model)).sum()
    return total / (m_all * l_all)


def real_loss(
    model: SequentialRecommender, features: Tensor, items: Tensor, weights: Tensor, targets: Tensor
) -> Tensor:
    """L_D = mean over the positions with a target of −log p_model(target)."""
    e = model.item_table(features)
    h = model(e[items[:, :, 0]] * weights)
    losses = []
    for b in range(targets.shape[0]):
        for t in range(targets.shape[1]):
            if targets[b, t] >= 0:
                losses.append(-torch.log_softmax(e @ h[b, t] / model.config.temperature, 0)[targets[b, t]])
    return torch.stack(losses).mean()


def gradients_of(loss: Tensor, model: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))
