"""The synthetic sequences: what is learned, how it is stored, what a student reads back.

M sequences, L positions, V items, k items in an input row, r numbers in a label query, D_text text width.

Inputs. Position (m, l) shows the student a mixture of k items with learned weights, a top-k row of the distribution
P[m, l] of METHOD §2. Labels. What comes next is a distribution over all items in factorised form, softmax(q·Bᵀ), with
q [r] learned and B [V, r] the leading principal components of the frozen, public text features (`label_basis`), so
storage and step cost do not grow with V. Nothing of B is stored and nothing of it comes from the log.

Untied (default): inputs and labels are separate tensors, L labels a sequence. Tied (the paper's form): the input of
position l + 1 is the top-k row of the label of position l, and only the first row of a sequence is its own.

Both are optimised in the very form that is stored: half precision, at most 128 numbers a position.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from foster.errors import UserError
from foster.interactions import Interactions
from foster.training import Batch, Recipe

SCHEMA = 1
NUMBERS_PER_POSITION = 128
MIN_RANK = 8
HEADER_BYTES = 1024  # the recipe and safetensors' own header


def label_basis(features: Tensor, rank: int) -> Tensor:
    """B [V, r]: scores of the items on the `rank` leading principal components of the public features [V, D_text].

    Every column has unit variance, so the entries of a query are of one size. Components without variance (fewer items
    than components) are zero. The sign of a component is fixed by its largest loading, so equal features give equal B.
    """
    centred = features - features.mean(0, keepdim=True)
    covariance = (centred.T @ centred).double() / max(1, len(features))
    variances, loadings = torch.linalg.eigh(covariance.cpu())  # ascending
    variances, loadings = variances.flip(0)[:rank], loadings.flip(1)[:, :rank]
    signs = loadings.gather(0, loadings.abs().argmax(0, keepdim=True)).sign()
    alive = variances > 1e-9 * variances[0].clamp(min=1e-30)
    scale = torch.where(alive, variances.clamp(min=1e-30).rsqrt(), torch.zeros_like(variances))
    basis = centred @ (loadings * signs * scale).to(centred.device, centred.dtype)
    return torch.nn.functional.pad(basis, (0, rank - basis.shape[1]))


def log_bytes(train: Interactions, n_items: int) -> int:
    """Size of the log that is condensed: its training ids as 16 or 32 bit numbers under zlib level 9."""
    width = np.uint16 if n_items <= 2**16 else np.uint32
    return len(zlib.compress(train.items.astype(width).tobytes(), 9))


def affordable_rank(sequences: int, length: int, mixture: int, text_width: int, available_bytes: int) -> int:
    """The label rank r that the byte rule of METHOD §2 leaves: soft ≤ log and ≤ 128 numbers a position.

    Never below MIN_RANK: a budget that large against its log is reported as breaking the rule, not refused.
    """
    inputs = 2 * mixture if mixture > 1 else 1
    per_position = max(0, available_bytes - HEADER_BYTES) // (2 * sequences * length)
    return min(text_width, max(MIN_RANK, min(NUMBERS_PER_POSITION, per_position) - inputs))


@dataclass(frozen=True)
class SyntheticSequences:
    """items [M, L, k] int64, weights [M, L, k] logits of the input rows, queries [M, L, r] of the labels."""

    items: Tensor
    weights: Tensor
    queries: Tensor
    tied: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(M, L)."""
        return self.items.shape[0], self.items.shape[1]

    def labels(self, basis: Tensor) -> Tensor:
        """Label logits [M, L, V] over the rows of `basis` [V, r] (a subset of items is fewer rows)."""
        return self.queries @ basis.T

    def inputs(self, basis: Tensor) -> tuple[Tensor, Tensor]:
        """Input rows: items [M, L, k] and their probabilities [M, L, k]; differentiable in weights (tied: in queries).

        basis: B [V, r] of the whole catalogue, used only by the tied form.
        """
        if not self.tied:
            return self.items, self.weights.softmax(-1)
        logits, rows = self.labels(basis)[:, :-1].topk(self.items.shape[2], dim=-1)
        items = torch.cat([self.items[:, :1], rows], 1)
        return items, torch.cat([self.weights[:, :1], logits], 1).softmax(-1)

    def batch(self, basis: Tensor) -> Batch:
        """What a student trains on: soft inputs and dense label distributions [M, L, V]."""
        items, weights = self.inputs(basis)
        return Batch(items, weights, self.labels(basis).softmax(-1))

    def detach(self) -> SyntheticSequences:
        return replace(self, weights=self.weights.detach().clone(), queries=self.queries.detach().clone())

    def to(self, device: torch.device) -> SyntheticSequences:
        return replace(
            self, items=self.items.to(device), weights=self.weights.to(device), queries=self.queries.to(device)
        )

    def save(self, path: Path, recipe: Recipe, n_items: int) -> None:
        """Write the artefact: half precision, ids in 16 bits where they fit, the recipe in the header."""
        narrow = torch.uint16 if n_items <= 2**16 else torch.int32
        rows = self.items[:, :1] if self.tied else self.items
        tensors = {"items": rows.to(narrow), "queries": self.queries.half()}
        if self.items.shape[2] > 1:
            tensors["weights"] = (self.weights[:, :1] if self.tied else self.weights).half()
        meta = {
            "schema": SCHEMA,
            "tied": self.tied,
            "length": self.shape[1],
            "n_items": n_items,
            "recipe": recipe.__dict__,
        }
        partial = path.with_suffix(".partial")
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial, {"foster": json.dumps(meta)})
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> tuple[SyntheticSequences, Recipe]:
        """Read an artefact back. Raises UserError for a file that is not one or has another schema."""
        try:
            with safe_open(path, "pt") as file:
                meta = json.loads((file.metadata() or {})["foster"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
            if meta["schema"] != SCHEMA:
                raise UserError(f"{path.name} has schema {meta['schema']}, this foster reads {SCHEMA}; update foster")
            items, queries = tensors["items"].to(torch.int64), tensors["queries"].float()
            weights = tensors["weights"].float() if "weights" in tensors else torch.zeros(items.shape)
            recipe = Recipe(**meta["recipe"])
            if not meta["tied"]:
                return cls(items, weights, queries), recipe
            tail = (items.shape[0], meta["length"] - 1, items.shape[2])
            items = torch.cat([items, items.new_zeros(tail)], 1)
            return cls(items, torch.cat([weights, weights.new_zeros(tail)], 1), queries, tied=True), recipe
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise UserError(f"{path.name} is no synthetic set ({error}); choose a synthetic.safetensors") from None


def hard_batch(sequences: Tensor) -> Batch:
    """M plain sequences of item ids [M, L], padded with -1: the target of a position is the next id, unweighted."""
    inputs, targets = sequences[:, :-1], sequences[:, 1:]
    return Batch(inputs.clamp(min=0).unsqueeze(-1), (inputs >= 0).float().unsqueeze(-1), targets)


def fit_queries(log_labels: Tensor, basis: Tensor, steps: int = 150, rate: float = 0.1) -> Tensor:
    """Queries q [N, r] that minimise KL(p ‖ softmax(q·Bᵀ)) for label distributions log p [N, V].

    Convex for each row. Starts from the least-squares fit to the logits under the labels' own weights on average and
    descends with Adam; rows go through in blocks, so memory stays at block × V.
    """
    ridge = 1e-3 * len(basis) * torch.eye(basis.shape[1], device=basis.device)
    gram = basis.T @ basis + ridge
    fitted = []
    for block in log_labels.split(2048):
        centred = block - block.mean(-1, keepdim=True)
        q = torch.linalg.solve(gram, basis.T @ centred.T).T.contiguous().requires_grad_()
        optimizer = torch.optim.Adam([q], lr=rate)
        p = block.exp()
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
            # the gradient of the cross-entropy in closed form: no graph, two products of size N·V·r a step
            with torch.no_grad():
                q.grad = ((q @ basis.T).softmax(-1) - p) @ basis
            optimizer.step()
        fitted.append(q.detach())
    return torch.cat(fitted)
