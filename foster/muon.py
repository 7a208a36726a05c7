"""Muon (Jordan et al., 2024) for small weight matrices: steps whose singular values are brought near one.

The rule is `torch.optim.Muon`'s, in single precision. torch's own rounds to bfloat16, which a processor without
instructions for it emulates: there the optimiser takes longer than the rest of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

# The quintic iteration's coefficients, steepest at zero: with enough iterations singular values end between about 0.7
# and 1.2.
A, B, C = 3.4445, -4.7750, 2.0315
# Three iterations are enough for these small matrices.
ITERATIONS = 3


def orthogonalised(gradient: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """U·S'·Vᵀ from a gradient U·S·Vᵀ [m, n], S' near one where S is not small: Newton–Schulz on the shorter side."""
    x = gradient if gradient.shape[0] <= gradient.shape[1] else gradient.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x if gradient.shape[0] <= gradient.shape[1] else x.T


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, with decoupled weight decay; for matrices [m, n] alone. A step of a matrix
    taller than wide is √(m / n) as large, so that outputs change by as much."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # no closure is used
        assert closure is None
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                buffer = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
                update = orthogonalised(parameter.grad.lerp(buffer, momentum))
                parameter.mul_(1 - lr * group["weight_decay"])
                parameter.add_(update, alpha=-lr * max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5)
