"""The FOSTER loop: stochastic item subsets, first-order optimisation with anchored reset, regulariser (METHOD §2).

Notation: S the synthetic sequences (input weights and label queries), θ the model that follows the real data, ω the
model that follows the synthetic data, P the label distributions of S, U the step's item subset.

    every R steps:  θ ← an expert's late anchor;  ω ← a fresh student;  their optimisers cleared
    K times:        ω ← ω − α ∇_ω L_S(ω)
    once:           θ ← θ − β (∇_θ L_D(θ) + λ ∇_θ L_S(θ))
    S ← Adam(S, λ ∇_S [KL(P ‖ p_θ) − η KL(P ‖ p_ω)] + γ ∇_S L_reg(P))

No graph runs through an update, so memory does not grow with K or R. Two departures from the plain penalty, both from
the feasibility study: η < 1 damps the second term (η = 1 is linear in P and collapses the labels onto single items; η
= 0 is plain teacher labels), and ω restarts from a *fresh* student, not from θ's anchor: what S must mend is what a
student trained on S still gets wrong, all along the path such a student takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from foster.cooccurrence import regulariser, semantic_similarity
from foster.errors import UserError
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.subset import ItemSubset, draw_subset, whole_catalogue
from foster.synthetic import SyntheticSequences
from foster.training import Batch, RealWindows, mix, next_item_loss
from foster.trajectory import ExpertTrajectory


@dataclass(frozen=True)
class DistillConfig:
    """Hyper-parameters of the loop, one per symbol of the module's docstring.

    steps: outer steps; reset_every: R; student_steps: K; student_rate: α (AdamW); model_rate: β; penalty: λ; damping:
    η in [0, 1]; regularisation: γ; synthetic_rate: Adam's rate for S; subset: |U|, used where V > 2·|U|; top: label
    items of every row that are always in U, refreshed at each reset; real_batch: real windows a step.
    """

    steps: int = 240
    reset_every: int = 80
    student_steps: int = 2
    student_rate: float = 1e-2
    model_rate: float = 1e-4
    penalty: float = 1.0
    damping: float = 0.5
    regularisation: float = 0.1
    synthetic_rate: float = 0.01
    learn_inputs: bool = True
    subset: int = 1024
    top: int = 8
    real_batch: int = 32

    def __post_init__(self) -> None:
        if not 0 <= self.damping <= 1:
            raise UserError(f"damping is {self.damping}; give a number from 0 (teacher labels) to 1 (plain penalty)")
        if min(self.reset_every, self.student_steps, self.subset, self.top, self.real_batch) < 1:
            raise UserError("reset_every, student_steps, subset, top and real_batch must be at least 1")


@dataclass(frozen=True)
class DistillStep:
    """What one outer step saw. Losses are means over positions in nats.

    synthetic_theta, synthetic_omega: KL(P ‖ p) at θ and at ω, gap their difference; real: L_D(θ); entropy: of P on U;
    distance: ‖θ − ω‖.
    """

    step: int
    steps: int
    synthetic_theta: float
    synthetic_omega: float
    gap: float
    real: float
    regulariser: float
    entropy: float
    distance: float


def default_steps(n_items: int, positions: int, events: int) -> int:
    """Outer steps where the run names none: the same for every size so far."""
    del n_items, positions, events
    return 240


def label_divergence(
    model: SequentialRecommender, table: Tensor, inputs: tuple[Tensor, Tensor], labels: Tensor, subset: ItemSubset
) -> Tensor:
    """Mean over positions of KL(P ‖ p_model) on U, a scalar. Dropout is off.

    table: item embeddings of U ∪ inputs as `table[items]` [V', D]; labels: log P [M, L, U], corrected like the model's.
    """
    items, weights = inputs
    logits = model.logits(model(mix(table, items, weights)), table[: len(subset.items)]) - subset.log_inclusion
    return (labels.exp() * (labels - logits.log_softmax(-1))).sum(-1).mean()


class Distiller:
    """The state of a distillation. `state`/`restore` make a resumed run equal to an uninterrupted one."""

    def __init__(
        self,
        start: SyntheticSequences,
        basis: Tensor,
        features: Tensor,
        windows: RealWindows,
        experts: list[ExpertTrajectory],
        student: RecommenderConfig,
        config: DistillConfig,
        seed: int,
    ) -> None:
        self.features, self.basis, self.windows, self.experts = features, basis, windows, experts
        self.student, self.config, self.seed = replace(student, dropout=0.0), config, seed
        self.device = features.device
        self.weights = start.weights.clone().requires_grad_(config.learn_inputs and start.weights.shape[-1] > 1)
        self.queries = start.queries.clone().requires_grad_()
        self.fixed = start
        learned = [p for p in (self.weights, self.queries) if p.requires_grad]
        self.optimizer = torch.optim.Adam(learned, lr=config.synthetic_rate, betas=(0.9, 0.99))
        self.step = 0
        self.draw = Generator().manual_seed(seed)
        self.theta, self.omega = self._anchor()
        self._clear_optimisers()

    @property
    def synthetic(self) -> SyntheticSequences:
        """S as it stands, sharing the tensors that are being learned."""
        return replace(self.fixed, weights=self.weights, queries=self.queries)

    def run(self) -> Iterator[DistillStep]:
        """Take the remaining steps, yielding after each."""
        while self.step < self.config.steps:
            yield self._step()

    def _step(self) -> DistillStep:
        c = self.config
        if self.step and self.step % c.reset_every == 0:
            self.theta, self.omega = self._anchor()
            self._clear_optimisers()
        real = self.windows.draw(c.real_batch, self.draw)
        subset, real_here, inputs, table_items = self._view(real)
        sub_basis, features = self.basis[subset.items], self.features[table_items]

        def labels() -> Tensor:
            return (self.synthetic.labels(sub_basis) - subset.log_inclusion).log_softmax(-1)

        frozen_labels, frozen_inputs = labels().detach(), (inputs[0], inputs[1].detach())
        for _ in range(c.student_steps):
            self._descend(self.omega, self.omega_optimizer, features, frozen_inputs, frozen_labels, subset)
        real_loss = self._real_loss(features, subset, real_here)
        self.theta_optimizer.zero_grad(set_to_none=True)
        follow = self._divergence(self.theta, features, frozen_inputs, frozen_labels, subset)
        (real_loss + c.penalty * follow).backward()
        self.theta_optimizer.step()

        log_p = labels()
        at_theta = self._divergence(self.theta, features, inputs, log_p, subset)
        at_omega = self._divergence(self.omega, features, inputs, log_p, subset)
        reg = torch.zeros((), device=self.device)
        if c.regularisation > 0:
            similarity = semantic_similarity(self.features[subset.items])
            reg = regulariser(log_p.exp(), similarity)
        loss = c.penalty * (at_theta - c.damping * at_omega) + c.regularisation * reg
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=[p for p in (self.weights, self.queries) if p.requires_grad])
        rate = 1 - self.step / c.steps  # linear decay: the last steps settle
        for group in self.optimizer.param_groups:
            group["lr"] = c.synthetic_rate * max(rate, 0.1)
        self.optimizer.step()
        self.step += 1
        with torch.no_grad():
            entropy = -(log_p.exp() * log_p).sum(-1).mean()
            pairs = zip(self.theta.parameters(), self.omega.parameters(), strict=True)
            distance = sum(float((a - b).pow(2).sum()) for a, b in pairs if a.shape == b.shape) ** 0.5
        theta_kl, omega_kl = float(at_theta.detach()), float(at_omega.detach())
        return DistillStep(
            step=self.step,
            steps=c.steps,
            synthetic_theta=theta_kl,
            synthetic_omega=omega_kl,
            gap=theta_kl - omega_kl,
            real=float(real_loss.detach()),
            regulariser=float(reg.detach()),
            entropy=float(entropy),
            distance=distance,
        )

    def _view(self, real: Batch) -> tuple[ItemSubset, Batch, tuple[Tensor, Tensor], Tensor]:
        """The step's U; the real batch and the synthetic inputs in its rows; the items of the embedding table.

        The table's first |U| rows are U, the rest the input items outside it: those are read, not scored.
        """
        n_items, c = len(self.features), self.config
        items, weights = self.synthetic.inputs(self.basis)
        if n_items <= 2 * c.subset:
            subset = whole_catalogue(n_items, self.device)
            return subset, real, (items, weights), subset.items
        needed = torch.cat([real.items.flatten(), real.targets[real.targets >= 0], self.top.flatten()])
        subset = draw_subset(n_items, needed, c.subset, self.draw)
        outside = items[~torch.isin(items, subset.items)].unique()
        table_items = torch.cat([subset.items, outside])
        order = table_items.argsort()
        rows = order[torch.searchsorted(table_items[order], items)]
        here = Batch(subset.rows(real.items.clamp(min=0)), real.weights, subset.rows(real.targets))
        return subset, here, (rows, weights), table_items

    def _divergence(
        self,
        model: SequentialRecommender,
        features: Tensor,
        inputs: tuple[Tensor, Tensor],
        labels: Tensor,
        subset: ItemSubset,
    ) -> Tensor:
        return label_divergence(model, model.item_table(features), inputs, labels, subset)

    def _descend(
        self,
        model: SequentialRecommender,
        optimizer: torch.optim.Optimizer,
        features: Tensor,
        inputs: tuple[Tensor, Tensor],
        labels: Tensor,
        subset: ItemSubset,
    ) -> None:
        optimizer.zero_grad(set_to_none=True)
        self._divergence(model, features, inputs, labels, subset).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    def _real_loss(self, features: Tensor, subset: ItemSubset, real: Batch) -> Tensor:
        """L_D(θ) on U, corrected by inclusion probability."""
        if len(subset.items) == len(self.features):
            return next_item_loss(self.theta, features, real)
        table = self.theta.item_table(features)
        hidden = self.theta(mix(table, real.items, real.weights))
        scored = real.targets >= 0
        logits = self.theta.logits(hidden[scored], table[: len(subset.items)]) - subset.log_inclusion
        return torch.nn.functional.cross_entropy(logits, real.targets[scored])

    def _anchor(self) -> tuple[SequentialRecommender, SequentialRecommender]:
        """θ from a random expert's late anchors, ω a fresh student; refreshes the labels' top-k as well."""
        expert = self.experts[int(torch.randint(len(self.experts), (), generator=self.draw))]
        late = expert.late()
        theta = expert.load(late[int(torch.randint(len(late), (), generator=self.draw))], self.device)
        omega = build_recommender(self.features.shape[1], self.student, self.draw).to(self.device)
        with torch.no_grad():
            flat = self.queries.reshape(-1, self.queries.shape[-1])
            top = min(self.config.top, len(self.features))
            # in blocks of rows: never M·L·V numbers at once
            self.top = torch.cat([(block @ self.basis.T).topk(top).indices for block in flat.split(256)])
        return theta, omega

    def _clear_optimisers(self) -> None:
        self.theta_optimizer = torch.optim.SGD(self.theta.parameters(), lr=self.config.model_rate)
        self.omega_optimizer = torch.optim.AdamW(
            self.omega.parameters(), lr=self.config.student_rate, weight_decay=0.0, betas=(0.9, 0.98)
        )

    def state(self) -> dict[str, Tensor]:
        """Everything the loop needs to go on, as named tensors. Take it at a reset: θ and ω are then drawn anew."""
        state: dict[str, Any] = {"weights": self.weights, "queries": self.queries, "items": self.fixed.items}
        state |= {"step": torch.tensor(self.step), "draw": self.draw.get_state()}
        for name, parameter in (("weights", self.weights), ("queries", self.queries)):
            for key, value in self.optimizer.state.get(parameter, {}).items():
                state[f"adam.{key}.{name}"] = value
        return {k: v.detach().clone().contiguous() for k, v in state.items()}

    @property
    def at_reset(self) -> bool:
        """Whether the next step begins with a reset (the points where `state` is complete)."""
        return self.step % self.config.reset_every == 0

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        with torch.no_grad():
            self.weights.copy_(state["weights"])
            self.queries.copy_(state["queries"])
        self.step = int(state["step"])
        self.draw.set_state(state["draw"])
        for name, parameter in (("weights", self.weights), ("queries", self.queries)):
            found = {k.split(".")[1]: v for k, v in state.items() if k.startswith("adam.") and k.endswith(f".{name}")}
            if found:
                self.optimizer.state[parameter] = {
                    k: v.clone() if k == "step" else v.to(self.device) for k, v in found.items()
                }
