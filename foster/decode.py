"""From learned tensors to what a person reads: hard sequences, titles with confidence, alternatives, nearest users."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from foster.catalog import Catalog
from foster.interactions import Interactions
from foster.synthetic import UNUSED, SyntheticSequences

ALTERNATIVES = 10


@torch.no_grad()
def top_rows(synthetic: SyntheticSequences, basis: Tensor, count: int = ALTERNATIVES) -> tuple[Tensor, Tensor]:
    """The `count` likeliest label items of every position and their probabilities, [M, L, count] each."""
    count = min(count, len(basis))
    rows = [(q @ basis.T).softmax(-1).topk(count) for q in synthetic.own]
    return torch.stack([row.indices for row in rows]), torch.stack([row.values for row in rows])


@torch.no_grad()
def harden(synthetic: SyntheticSequences, basis: Tensor) -> Tensor:
    """M plain sequences of L item ids [M, L], no item twice in one (unless L > V).

    A sequence opens with the first item of its first reading and goes on with what that reading's labels say comes
    next: position l + 1 is the likeliest item of label l that the sequence does not hold yet. So every neighbouring
    pair is one that the synthetic set asks a student to learn.
    """
    hard = []
    for m, start in enumerate(synthetic.items[: synthetic.sequences, 0].tolist()):
        sequence = [start]
        logits = synthetic.own[m] @ basis.T  # [L, V]
        for position in range(synthetic.shape[1] - 1):
            row = logits[position].clone()
            if len(set(sequence)) < len(basis):
                row[sequence] = -torch.inf
            sequence.append(int(row.argmax()))
        hard.append(sequence)
    return torch.tensor(hard)


def sequence_table(synthetic: SyntheticSequences, hard: Tensor, basis: Tensor, catalog: Catalog) -> pd.DataFrame:
    """One row a position: the session that it is in, what the first reading reads there and its share of the row, the
    row's other items, the recommended-next labels, the hard item."""
    read = synthetic.rows.cpu()
    label_items, label_weights = (tensor.cpu() for tensor in top_rows(synthetic, basis))
    rows = []
    for m in range(read.shape[0]):
        for position in range(read.shape[1]):
            alternatives = _entries(*row_of(read[m, position]), catalog)
            labels = _entries(label_items[m, position], label_weights[m, position], catalog)
            hard_item = int(hard[m, position])
            rows.append(
                {
                    "sequence": m,
                    "position": position,
                    "session": position // (synthetic.session or synthetic.shape[1]),
                    "item": alternatives[0]["item"],
                    "item_id": alternatives[0]["item_id"],
                    "title": alternatives[0]["title"],
                    "confidence": alternatives[0]["weight"],
                    "alternatives": alternatives,
                    "label_title": labels[0]["title"],
                    "label_confidence": labels[0]["weight"],
                    "labels": labels,
                    "hard_item_id": catalog.ids[hard_item],
                    "hard_title": catalog.titles[hard_item],
                }
            )
    return pd.DataFrame(rows)


def row_of(items: Tensor) -> tuple[Tensor, Tensor]:
    """The distribution over items of one row [A], of which some reading has one: different items, the first reading's
    first, then by their shares."""
    items = items[items != UNUSED]
    found = Counter(items.tolist())
    first = int(items[0])
    others = sorted((item for item in found if item != first), key=lambda item: -found[item])
    kept = [first, *others]
    return torch.tensor(kept), torch.tensor([found[item] for item in kept]) / len(items)


def _entries(items: Tensor, weights: Tensor, catalog: Catalog) -> list[dict[str, object]]:
    return [
        {"item": item, "item_id": catalog.ids[item], "title": catalog.titles[item], "weight": weight}
        for item, weight in zip(items.tolist(), weights.tolist(), strict=True)
    ]


def snapshot_table(synthetic: SyntheticSequences, basis: Tensor) -> pd.DataFrame:
    """A moment of the distillation: sequence, position, session, the labels' top rows (`items`, `weights`, lists of
    ten) and the input rows (`input_items`, `input_weights`)."""
    items, weights = (tensor.cpu().numpy() for tensor in top_rows(synthetic, basis))
    read = [row_of(row) for row in synthetic.rows.flatten(0, 1).cpu()]
    m, length, count = items.shape
    return pd.DataFrame(
        {
            "sequence": np.repeat(np.arange(m, dtype=np.int32), length),
            "position": np.tile(np.arange(length, dtype=np.int32), m),
            "session": np.tile(np.arange(length, dtype=np.int32) // (synthetic.session or length), m),
            "items": list(items.reshape(-1, count).astype(np.int32)),
            "weights": list(weights.reshape(-1, count).astype(np.float32)),
            "input_items": [row.numpy().astype(np.int32) for row, _ in read],
            "input_weights": [shares.numpy() for _, shares in read],
        }
    )


def neighbour_table(hard: Tensor, train: Interactions, features: Tensor) -> pd.DataFrame:
    """How close each hard sequence comes to a real user, and how varied it is.

    overlap: the largest Jaccard index of item sets over all users, `nearest_user` who has it; repetition: share of
    positions that repeat an earlier item; diversity: 1 − mean cosine between the texts of its items.
    """
    users = train.users
    sizes = np.array([len(np.unique(train.sequence(u))) for u in range(train.n_users)])
    pairs = np.unique(np.stack([users, train.items.astype(np.int64)], 1), axis=0)
    rows = []
    for m, sequence in enumerate(hard.tolist()):
        distinct = set(sequence)
        shared = np.bincount(pairs[np.isin(pairs[:, 1], list(distinct)), 0], minlength=train.n_users)
        jaccard = shared / (sizes + len(distinct) - shared)
        nearest = int(jaccard.argmax())
        f = features[sequence].cpu()
        n = len(sequence)
        similar = float((f @ f.T).sum() - f.pow(2).sum()) / max(1, n * (n - 1))
        rows.append(
            {
                "sequence": m,
                "nearest_user": train.user_ids[nearest],
                "overlap": float(jaccard[nearest]),
                "repetition": 1 - len(distinct) / n,
                "diversity": 1 - similar,
            }
        )
    return pd.DataFrame(rows)
