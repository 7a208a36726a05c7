"""Teacher labels: given sequences, labelled with what experts would predict after every prefix.

The strongest simple control of the feasibility study, and the start of the FOSTER loop.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from foster.recommender import SequentialRecommender
from foster.synthetic import SyntheticSequences, fit_queries
from foster.training import mix


@torch.no_grad()
def teacher_log_labels(teachers: list[SequentialRecommender], features: Tensor, items: Tensor) -> Tensor:
    """log of the teachers' mean next-item distribution after each prefix of items [M, L] (-1 unused): [M, L, V]."""
    weights = (items >= 0).float().unsqueeze(-1)
    mean: Tensor | None = None
    for teacher in teachers:
        table = teacher.item_table(features)
        p = teacher.logits(teacher(mix(table, items.clamp(min=0).unsqueeze(-1), weights)), table).softmax(-1)
        mean = p if mean is None else mean + p
    assert mean is not None
    return (mean / len(teachers)).clamp(min=1e-30).log()


@torch.no_grad()
def teacher_continuations(
    teachers: list[SequentialRecommender], features: Tensor, first: Tensor, length: int, generator: Generator
) -> Tensor:
    """Sequences [M, L] that open with `first` [M] and go on as the teachers would: each next item is drawn from their
    mean distribution after the prefix, no item twice while others are left. generator: on the CPU.
    """
    sequences = first.unsqueeze(1)
    for _ in range(length - 1):
        p = teacher_log_labels(teachers, features, sequences)[:, -1].exp().cpu()
        if sequences.shape[1] < len(features):
            p.scatter_(1, sequences.cpu(), 0.0)
        following = torch.multinomial(p, 1, generator=generator).to(sequences.device)
        sequences = torch.cat([sequences, following], 1)
    return sequences


def with_teacher_labels(
    items: Tensor, teachers: list[SequentialRecommender], features: Tensor, basis: Tensor
) -> SyntheticSequences:
    """Hard inputs items [M, L] with the teachers' labels in the stored, factorised form (queries of rank r).

    Works sequence by sequence, so nothing of size M·L·V is held.
    """
    queries = [fit_queries(teacher_log_labels(teachers, features, row[None])[0], basis) for row in items]
    return SyntheticSequences(
        items=items.clamp(min=0).unsqueeze(-1),
        weights=torch.zeros(*items.shape, 1, device=items.device),
        queries=torch.stack(queries),
    )
