"""Loops that differ from `foster.distiller`'s in one thing.

`Damped` and `Joint` change the direction of a step: −(natural gradient in P) of KL(P ‖ p_θ) − η KL(P ‖ p_ω), which is
log p_θ − η log p_ω − (1 − η) log P. η = 1 is the loop's; Damped has η = 0.5; η = 0 has no ω: the labels follow θ alone.

`Exact` and `FiniteDifference` ask how one infinitely small step of ω on L_D alone would change what it predicts, where
the loop takes K steps of an optimiser on both losses: with v = ∇L_D(ω), and the length of the loop's own way from ω to
θ so that the labels move as far,

    exact              −∂ log p(ω + t v)/∂t at t = 0
    finite difference  (log p(ω − ε v) − log p(ω + ε v)) / 2ε,  ε = 0.01 / ‖v‖  (DARTS, Liu et al. 2019)

The first is −∂/∂P ⟨∇_ω L_S, v⟩, the exact second-order gradient of one inner step in the labels, in the same natural
geometry; the product of the mixed Hessian with v is one forward-mode derivative, no graph is kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from foster.distiller import Distiller, duplicate
from foster.recommender import SequentialRecommender
from foster.subset_view import View
from foster.training import Batch, Trainer

Weights = dict[str, Tensor]


class NeverReset(Distiller):
    """θ and ω set out together from one fresh student, and each goes on by itself for good."""

    parted: tuple[Trainer, Trainer] | None = None

    def _anchored(self) -> tuple[Trainer, Trainer]:
        if self.parted is None:
            omega = self._path(0.0)()
            self.parted = duplicate(omega), omega
        return self.parted


class _Directed(Distiller, ABC):
    """Another difference for each block of readings; what is reported of a step is the loop's."""

    def _difference(
        self, view: View, theta: SequentialRecommender, omega: SequentialRecommender
    ) -> tuple[Tensor, float, float, float]:
        _, at_theta, at_omega, entropy = super()._difference(view, theta, omega)
        project = self._metric(view) @ (view.basis - view.basis.mean(0)).T
        self._prepare(view, theta, omega)
        blocks = torch.arange(len(self.queries), device=self.device).split(16)
        found = [self._change(view, rows, theta, omega).detach() @ project.T for rows in blocks]
        return torch.cat(found), at_theta, at_omega, entropy

    def _prepare(self, view: View, theta: SequentialRecommender, omega: SequentialRecommender) -> None:
        """What all blocks share."""

    @abstractmethod
    def _change(self, view: View, rows: Tensor, theta: SequentialRecommender, omega: SequentialRecommender) -> Tensor:
        """In the place of log p_θ − log p_ω, [rows, L, U]."""


def damped_direction(log_theta: Tensor, log_omega: Tensor, log_labels: Tensor, damping: float) -> Tensor:
    """log p_θ − η log p_ω − (1 − η) log P, from log-probabilities of one shape."""
    return log_theta - damping * log_omega - (1 - damping) * log_labels


class Damped(_Directed):
    """The loop with η < 1."""

    damping = 0.5

    @torch.no_grad()
    def _change(self, view: View, rows: Tensor, theta: SequentialRecommender, omega: SequentialRecommender) -> Tensor:
        labels = view.log_labels(self.queries[rows])
        return damped_direction(view.scores(theta, rows), view.scores(omega, rows), labels, self.damping)


class Joint(Damped):
    """The loop without ω."""

    damping = 0.0


class _Measured(nn.Module):
    """log p and L_D of one view as functions of weights that are no parameters of a model."""

    def __init__(self, model: SequentialRecommender, view: View, experts: Sequence[SequentialRecommender]) -> None:
        super().__init__()
        self.model, self.view, self.experts = model, view, experts  # a sequence: their weights are not ours

    def forward(self, rows: Tensor | None, real: Batch | None) -> Tensor:
        if rows is not None:
            return self.view.scores(self.model, rows)
        assert real is not None
        return self.view.real_loss(self.model, real, self.experts)


class Exact(_Directed):
    """The exact second-order gradient of one inner step in the place of the loop's difference."""

    real: list[Batch]

    def _view(self, real: list[Batch], draw: torch.Generator) -> View:
        if real:  # of the step, not of a path that is being made
            self.real = real
        return super()._view(real, draw)

    def _prepare(self, view: View, theta: SequentialRecommender, omega: SequentialRecommender) -> None:
        view = replace(view, read=None)  # the derivative runs through all texts
        self.measured = _Measured(omega, view, self.experts)
        self.weights = {name: w.detach() for name, w in self.measured.named_parameters()}
        asked = {name: w.clone().requires_grad_() for name, w in self.weights.items()}
        losses = [functional_call(self.measured, asked, (None, batch)) for batch in self.real]
        slopes = torch.autograd.grad(torch.stack(losses).mean(), list(asked.values()))
        pairs = zip(theta.parameters(), omega.parameters(), strict=True)
        way = sum((a - b).detach().pow(2).sum() for a, b in pairs) ** 0.5
        length = sum(slope.pow(2).sum() for slope in slopes) ** 0.5
        self.towards: Weights = {name: -slope * (way / length) for name, slope in zip(asked, slopes, strict=True)}

    def _scores(self, weights: Weights, rows: Tensor) -> Tensor:
        return functional_call(self.measured, weights, (rows, None))

    def _change(self, view: View, rows: Tensor, theta: SequentialRecommender, omega: SequentialRecommender) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):  # the other kernels have no forward-mode derivative
            return jvp(lambda weights: self._scores(weights, rows), (self.weights,), (self.towards,))[1]


class FiniteDifference(Exact):
    """The same product as the difference of two passes."""

    reach = 0.01  # ε ‖v‖

    @torch.no_grad()
    def _change(self, view: View, rows: Tensor, theta: SequentialRecommender, omega: SequentialRecommender) -> Tensor:
        length = sum(each.pow(2).sum() for each in self.towards.values()) ** 0.5
        share = self.reach / length
        ahead, behind = (
            {name: w + sign * share * self.towards[name] for name, w in self.weights.items()} for sign in (1, -1)
        )
        return (self._scores(ahead, rows) - self._scores(behind, rows)) / (2 * share)
