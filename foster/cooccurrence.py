"""Semantic similarity, soft co-occurrence and the regulariser that ties the two (METHOD §2).

M sequences, L positions, U items of a subset.
"""

from __future__ import annotations

import torch
from torch import Tensor


def semantic_similarity(features: Tensor, temperature: float = 0.1) -> Tensor:
    """w_ij = softmax over j ≠ i of cos(ē_i, ē_j) / τ_w, [U, U] from centred unit-length public features [U, D_text]."""
    logits = features @ features.T / temperature
    logits.fill_diagonal_(-torch.inf)
    return logits.softmax(-1)


def soft_cooccurrence(labels: Tensor) -> Tensor:
    """C_ij = Σ_m Σ_{l≠l'} P[m,l,i] P[m,l',j], [U, U], from label distributions P [M, L, U]."""
    totals = labels.sum(1)  # [M, U]; the double sum is its outer product less the terms with l = l'
    flat = labels.reshape(-1, labels.shape[-1])
    return totals.T @ totals - flat.T @ flat


def conditional(cooccurrence: Tensor, smoothing: float = 1e-6) -> Tensor:
    """Rows c(j|i) over j ≠ i of a co-occurrence matrix [U, U], each summing to 1."""
    off = cooccurrence.clamp(min=0) + smoothing
    off = off * (1 - torch.eye(len(off), device=off.device, dtype=off.dtype))
    return off / off.sum(-1, keepdim=True)


def regulariser(labels: Tensor, similarity: Tensor) -> Tensor:
    """Form A of METHOD §2: mean_i KL(w_i ‖ c(·|i)) over the items of the subset, a scalar ≥ 0.

    labels: P [M, L, U]; similarity: w [U, U]. Fewer than two items have no pairs: 0.
    """
    if len(similarity) < 2:
        return labels.sum() * 0
    c = conditional(soft_cooccurrence(labels))
    log_ratio = torch.where(similarity > 0, similarity.clamp(min=1e-12).log() - c.clamp(min=1e-12).log(), 0.0)
    return (similarity * log_ratio).sum(-1).mean()
