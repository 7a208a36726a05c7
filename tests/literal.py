"""Slow, literal versions in the paper's notation, for the fast code to be tested against."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cooccurrence(p: Tensor) -> Tensor:
    """C_ij = Σ_m Σ_{l≠l'} P[m,l,i] P[m,l',j]."""
    sequences, length, items = p.shape
    c = torch.zeros(items, items, dtype=p.dtype)
    for m in range(sequences):
        for l1 in range(length):
            for l2 in range(length):
                if l1 != l2:
                    c += torch.outer(p[m, l1], p[m, l2])
    return c


def regulariser(p: Tensor, features: Tensor, temperature: float = 0.1, smoothing: float = 1e-6) -> float:
    """mean_i KL(w_i ‖ c(·|i)), sums written out."""
    c, n = cooccurrence(p), p.shape[-1]
    total = 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        weights = [math.exp(float(features[i] @ features[j]) / temperature) for j in others]
        w = [value / sum(weights) for value in weights]
        row = [float(c[i, j]) + smoothing for j in others]
        total += sum(a * math.log(a / (b / sum(row))) for a, b in zip(w, row, strict=True))
    return total / n


def divergence(log_p: Tensor, logits: Tensor) -> Tensor:
    """Mean over positions of KL(P ‖ softmax(logits)), position by position."""
    sequences, length, _ = log_p.shape
    total = torch.zeros((), dtype=log_p.dtype)
    for m in range(sequences):
        for position in range(length):
            log_q = logits[m, position] - torch.logsumexp(logits[m, position], 0)
            total = total + (log_p[m, position].exp() * (log_p[m, position] - log_q)).sum()
    return total / (sequences * length)


def ranks(scores: list[list[float]], targets: list[int]) -> list[int]:
    """1 + the number of other items that score at least as high."""
    found = []
    for row, target in zip(scores, targets, strict=True):
        found.append(1 + sum(1 for item, score in enumerate(row) if item != target and score >= row[target]))
    return found
