"""Stochastic item subset sampling: which items a step sees, and the correction that keeps it honest (METHOD §2).

U always holds the items a step cannot do without (the batch's own, the labels' top-k); the rest of its places are drawn
uniformly from the other items. Restricted to U, a softmax over logits z is estimated by softmax(z_i − log π_i), π_i the
probability that i is in U: the drawn items stand for all that were not drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class ItemSubset:
    """items [U] int64 in rising order; log_inclusion [U]: log π_i, 0 for items that are always in."""

    items: Tensor
    log_inclusion: Tensor

    def rows(self, items: Tensor) -> Tensor:
        """Positions within U of catalogue ids that are all in U; negative ids (no target) stay as they are."""
        return torch.where(items < 0, items, torch.searchsorted(self.items, items.clamp(min=0)))


def whole_catalogue(n_items: int, device: torch.device) -> ItemSubset:
    """Every item, no correction: the exact reference."""
    return ItemSubset(torch.arange(n_items, device=device), torch.zeros(n_items, device=device))


def draw_subset(n_items: int, needed: Tensor, size: int, generator: Generator) -> ItemSubset:
    """The items in `needed` and uniform draws without replacement of the others, `size` together; all if they fit.

    At least half of `size` are uniform draws, however many are needed: they stand for the rest of the catalogue, and
    without them its mass would vanish from the softmax. So U may grow beyond `size`. needed: ids, repeats allowed.
    generator: on the CPU.
    """
    fixed = needed.unique()
    room = min(n_items - len(fixed), max(size - size // 2, size - len(fixed)))
    device = needed.device
    if room == n_items - len(fixed):
        return whole_catalogue(n_items, device)
    # Draw positions among the items that are not needed, without a table of size V: oversample, keep distinct ones.
    chosen = torch.empty(0, dtype=torch.int64, device=device)
    while len(chosen) < room:
        draws = torch.randint(n_items, (2 * room + 16,), generator=generator).to(device)
        candidates = torch.cat([chosen, draws[~torch.isin(draws, fixed)]])
        # the first occurrence of each id, in the order drawn
        ids, inverse = candidates.unique(return_inverse=True)
        first = torch.full((len(ids),), len(candidates), device=device).scatter_reduce(
            0, inverse, torch.arange(len(candidates), device=device), "amin"
        )
        chosen = candidates[first.sort().values[:room]]
    items, order = torch.cat([fixed, chosen]).sort()
    inclusion = torch.ones(len(order), device=device)
    inclusion[len(fixed) :] = room / (n_items - len(fixed))
    return ItemSubset(items, inclusion[order].log())


def read_with(subset: ItemSubset, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The table of a step that scores a subset and reads any items: catalogue ids [V'], the subset's first and then the
    inputs outside it, and the rows of `inputs` (ids, any shape) in that table."""
    outside = inputs[~torch.isin(inputs, subset.items)].unique()
    ids = torch.cat([subset.items, outside])
    order = ids.argsort()
    return ids, order[torch.searchsorted(ids[order], inputs.contiguous())]
