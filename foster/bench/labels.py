"""What the labels of a set are like: how sure of one item, and how far items that are alike go together."""

from __future__ import annotations

from statistics import fmean

import torch
from torch import Generator, Tensor

from foster.cooccurrence import regulariser, semantic_similarity
from foster.subset import draw_subset, whole_catalogue
from foster.synthetic import SyntheticSequences

ITEMS = 1024  # of a large catalogue, for the value of the regulariser


@torch.no_grad()
def of_labels(made: SyntheticSequences, features: Tensor) -> dict[str, float]:
    """Of the first readings: `entropy` over all items, in nats, and `regulariser`, the mean KL(w_i ‖ c(·|i)) of
    semantic similarity to co-occurrence, lower where similar items co-occur more; in a large catalogue over items that
    are the same at every call.

    features: X [V, D_text], on the device of the set.
    """
    n_items, device = len(features), features.device
    basis, few = made.basis(features), Generator().manual_seed(0)
    none = torch.empty(0, dtype=torch.int64, device=device)
    whole = n_items <= 2 * ITEMS
    subset = whole_catalogue(n_items, device) if whole else draw_subset(n_items, none, ITEMS, few)
    logs = [(row @ basis.T).log_softmax(-1) for row in made.own]
    entropy = fmean(float(-(row.exp() * row).sum(-1).mean()) for row in logs)
    labels = torch.stack([row[:, subset.items].softmax(-1) for row in logs])
    value = regulariser(labels, semantic_similarity(features[subset.items]))
    return {"entropy": round(entropy, 4), "regulariser": round(float(value), 4)}
