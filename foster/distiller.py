"""The FOSTER loop: stochastic item subsets, first-order optimisation with anchored reset, regulariser (METHOD §2).

Notation: S the synthetic sequences, q their label queries, P their label distributions, B the label basis, U the step's
item subset, L_D the loss on real windows, L_S the loss on S; z = q·Bᵀ the label logits.

L_D asks for what the experts expect after every prefix of a real window, not for the one event that happened to follow:
the same data, of which a step sees a few windows only, with less noise. Without experts it asks for the events.

    once a step:   ω ← a point on the path of a student that learns from S;  θ ← ω, its optimiser and dropout included
    K times:       ω ← Adam(ω, ∇_ω L_S(ω));   θ ← Adam(θ, ∇_θ [L_S(θ) + c·L_D(θ)])
    once:          d = (B̃ᵀB̃)⁻¹ B̃ᵀ (log p_θ − log p_ω),   g = (B̃ᵀB̃)⁻¹ ∇_q L_reg(P)
                   v ← μ v + (1 − μ) [d − γ (‖d‖/‖g‖) g],   q ← q + s v

The bracket is a descent direction of the penalty λ [KL(P ‖ p_θ) − KL(P ‖ p_ω)] + γ L_reg. The penalty's gradient in z
is P ⊙ (log p_ω − log p_θ), up to a constant for each position, so its natural gradient, with the Fisher matrix of P, is
the plain difference of the log-probabilities; B̃ (B with centred columns) projects it on what the queries can say. As
that direction does not shrink where P is small, labels do not collapse onto single items, as they do under the plain
gradient of the undamped penalty. For the regulariser the Fisher matrix of a uniform P is used, and its push is measured
against that of the data: γ = 0.1 moves the labels a tenth as far as the data does in the same step, on every data set.

θ and ω start together, so their difference says what the real data would change at this very point of a student's way
and S does not yet; the anchors are `paths` students at different points of the recipe they are trained by, each going
on with ω and made anew at its end. No graph runs through an update: memory does not grow with K or the number of steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Generator, Tensor

from foster.cooccurrence import regulariser, semantic_similarity
from foster.errors import UserError
from foster.parallel import side_by_side
from foster.recommender import RecommenderConfig, SequentialRecommender, fresh_recommender
from foster.subset import draw_subset, read_with, whole_catalogue
from foster.subset_view import View, divergence
from foster.synthetic import SyntheticSequences
from foster.training import Batch, RealWindows, Recipe, Trainer
from foster.tuning import Learning, Texts, public

T = TypeVar("T")


@dataclass(frozen=True)
class DistillConfig:
    """Hyper-parameters of the loop, one per symbol of the module's docstring.

    steps: outer steps; save_every: outer steps between two points where a run can resume; paths: students in the pool
    of anchors; student_steps: K; real_weight: c; real_batch: real windows of an inner step; momentum: μ;
    synthetic_rate: s, which falls linearly to a tenth; regularisation: γ; subset: |U|, used where V > 2·|U|; ridge: on
    B̃ᵀB̃ / |U|.
    """

    steps: int = 60
    save_every: int = 30
    paths: int = 4
    student_steps: int = 3
    real_weight: float = 0.3
    real_batch: int = 64
    momentum: float = 0.9
    synthetic_rate: float = 0.3
    regularisation: float = 0.1
    subset: int = 1024
    ridge: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise UserError(f"momentum is {self.momentum}; give a number from 0 up to but not including 1")
        if min(self.save_every, self.paths, self.student_steps, self.subset, self.real_batch) < 1:
            raise UserError("save_every, paths, student_steps, subset and real_batch must be at least 1")


@dataclass(frozen=True)
class DistillStep:
    """What one outer step saw. Losses are means over positions in nats.

    synthetic_theta, synthetic_omega: KL(P ‖ p) at θ and at ω, gap their difference; real: L_D(θ) at its last inner
    step; entropy: of P on U; distance: ‖θ − ω‖.
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


class Distiller:
    """The state of a distillation. `state`/`restore` make a resumed run equal to an uninterrupted one."""

    def __init__(
        self,
        start: SyntheticSequences,
        texts: Texts,
        windows: RealWindows,
        student: RecommenderConfig,
        recipe: Recipe,
        config: DistillConfig,
        seed: int,
        experts: Sequence[SequentialRecommender] = (),
        each_step: Callable[[], None] = lambda: None,
    ) -> None:
        """recipe: how students will be trained on the result; experts: whose mean expectations L_D asks for; each_step
        is called after every inner step, may raise."""
        self.texts, self.windows, self.student, self.recipe = texts, windows, student, recipe
        self.config, self.experts, self.each_step, self.device = config, experts, each_step, texts.device
        self.basis = start.basis(public(texts))
        self.queries, self.fixed = start.queries.clone(), start
        self.velocity = torch.zeros_like(self.queries)
        self.step = 0
        self.draw = Generator().manual_seed(seed)
        self.paths: list[Trainer] = []

    @property
    def synthetic(self) -> SyntheticSequences:
        """S as it stands, sharing the queries that are being learned."""
        return replace(self.fixed, queries=self.queries)

    def begin(self, beside: Callable[[], T]) -> T:
        """Makes the pool of anchors, if any step will be taken, while `beside` is computed, whose result comes back."""
        # The longest path first: it is the others that fill what time is left on another core.
        shares = reversed(range(self.config.paths)) if self.config.steps else ()
        jobs: list[Callable[[], Any]] = [beside, *(self._path(share / self.config.paths) for share in shares)]
        result, *self.paths = side_by_side(jobs, self.device)
        return cast(T, result)

    def run(self) -> Iterator[DistillStep]:
        """Take the remaining steps, yielding after each."""
        if not self.paths:
            self.begin(lambda: None)
        while self.step < self.config.steps:
            yield self._step()

    def _step(self) -> DistillStep:
        c = self.config
        theta, omega = self._anchored()
        real = [self.windows.draw(c.real_batch, self.draw) for _ in range(c.student_steps)]
        view = self._view(real, self.draw).read_by(theta.model)
        rows = [self._rows(self.draw) for _ in real]

        def at_theta() -> float:
            return [self._descend(theta, view, *each) for each in zip(rows, real, strict=True)][-1]

        def at_omega() -> float:
            return [self._descend(omega, view, each) for each in rows][-1]

        real_loss, _ = side_by_side([at_theta, at_omega], self.device)
        direction, theta_loss, omega_loss, entropy = self._difference(view, theta.model, omega.model)
        reg, push = self._regularise(view)
        push *= c.regularisation * direction.norm() / push.norm().clamp(min=1e-30)
        self.velocity = c.momentum * self.velocity + (1 - c.momentum) * (direction - push)
        # linear decay: the last steps settle
        self.queries = self.queries + c.synthetic_rate * (1 - 0.9 * (self.step + 1) / c.steps) * self.velocity
        self.step += 1
        pairs = zip(theta.model.parameters(), omega.model.parameters(), strict=True)
        distance = sum(float((a - b).detach().pow(2).sum()) for a, b in pairs) ** 0.5
        return DistillStep(
            step=self.step,
            steps=c.steps,
            synthetic_theta=theta_loss,
            synthetic_omega=omega_loss,
            gap=theta_loss - omega_loss,
            real=real_loss,
            regulariser=reg,
            entropy=entropy,
            distance=distance,
        )

    def _anchored(self) -> tuple[Trainer, Trainer]:
        """θ and ω of the next step, both at one point on a student's path, which goes on with ω."""
        chosen = int(torch.randint(self.config.paths, (), generator=self.draw))
        if self.paths[chosen].steps + self.config.student_steps > self.recipe.steps:
            self.paths[chosen] = self._path(0.0)()
        return duplicate(self.paths[chosen]), self.paths[chosen]

    def _path(self, share: float) -> Callable[[], Trainer]:
        """Makes a fresh student that has learned from S for a share of its recipe; its draws are its own."""
        draw = Generator().manual_seed(int(torch.randint(2**62, (), generator=self.draw)))

        def learned() -> Trainer:
            model = fresh_recommender(self.texts, self.student, draw)
            seed = int(torch.randint(2**62, (), generator=draw))
            trainer = Trainer(model, self.texts, self.recipe, Generator(self.device).manual_seed(seed))
            while trainer.steps < int(share * self.recipe.steps):
                if trainer.steps % self.config.student_steps == 0:
                    view = self._view([], draw).read_by(model)
                self._descend(trainer, view, self._rows(draw))
            return trainer

        return learned

    def _rows(self, draw: Generator) -> Tensor:
        """Readings of one inner step, as many as a student's batch has."""
        total = len(self.queries)
        size = min(self.recipe.batch_size or total, total)
        return torch.randint(total, (size,), generator=draw).to(self.device)

    def _descend(self, trainer: Trainer, view: View, rows: Tensor, real: Batch | None = None) -> float:
        """One step of a student on S, and with `real` on c·L_D as well; returns L_D."""
        view = view.narrowed(rows, real)
        labels = view.log_labels(self.queries[rows])
        # texts are encoded once for both losses; features are cheap
        table = view.table(trainer.model) if isinstance(trainer.model.text, Learning) else None
        all_rows = torch.arange(len(rows), device=self.device)
        loss = divergence(labels, view.scores(trainer.model, all_rows, trainer.generator, table))
        on_real = torch.zeros((), device=self.device)
        if real is not None:
            on_real = view.real_loss(trainer.model, real, self.experts, table)
        trainer.descend(loss + self.config.real_weight * on_real)
        self.each_step()
        return float(on_real.detach())

    @torch.no_grad()
    def _difference(
        self, view: View, theta: SequentialRecommender, omega: SequentialRecommender
    ) -> tuple[Tensor, float, float, float]:
        """(B̃ᵀB̃)⁻¹ B̃ᵀ (log p_θ − log p_ω) [A·M, L, r], KL at θ, KL at ω, entropy; in blocks of readings."""
        project = self._metric(view) @ (view.basis - view.basis.mean(0)).T
        found, sums = [], torch.zeros(3, dtype=torch.float64)
        everything = torch.arange(len(self.queries), device=self.device)
        tables = view.table(theta), view.table(omega)
        for rows in everything.split(16):
            log_theta, log_omega = (
                view.scores(model, rows, table=table) for model, table in zip((theta, omega), tables, strict=True)
            )
            labels = view.log_labels(self.queries[rows])
            found.append((log_theta - log_omega) @ project.T)
            entropy = -(labels.exp() * labels).sum(-1).mean()
            means = (divergence(labels, log_theta), divergence(labels, log_omega), entropy)
            sums += torch.tensor([float(mean) * len(rows) for mean in means], dtype=torch.float64)
        at_theta, at_omega, mean_entropy = (sums / len(everything)).tolist()
        return torch.cat(found), at_theta, at_omega, mean_entropy

    def _metric(self, view: View) -> Tensor:
        """(B̃ᵀB̃)⁻¹ [r, r] over U, with a ridge."""
        centred = view.basis - view.basis.mean(0)
        eye = torch.eye(centred.shape[1], device=self.device, dtype=centred.dtype)
        return torch.linalg.inv(centred.T @ centred + self.config.ridge * len(centred) * eye)

    def _regularise(self, view: View) -> tuple[float, Tensor]:
        """L_reg of one reading of every sequence, drawn anew each step, and g [A·M, L, r], 0 in the others."""
        push = torch.zeros_like(self.queries)
        if self.config.regularisation == 0:
            return 0.0, push
        sequences = self.fixed.shape[0]
        reading = torch.randint(len(self.queries) // sequences, (sequences,), generator=self.draw)
        rows = (reading * sequences + torch.arange(sequences)).to(self.device)
        queries = self.queries[rows].requires_grad_()
        value = regulariser(view.log_labels(queries).exp(), semantic_similarity(public(self.texts[view.subset.items])))
        (gradient,) = torch.autograd.grad(value, queries)
        push[rows] = gradient @ self._metric(view)
        return float(value.detach()), push

    def _view(self, real: list[Batch], draw: Generator) -> View:
        """The step's U: items that follow in the real windows and uniform draws; everything on a small catalogue.

        Events that are learned must all be in U. What experts expect need not: half of U are items of some of the
        events, so that what is popular is mostly there.
        """
        n_items, size = len(self.texts), self.config.subset
        items, shares = self.fixed.items.clamp(min=0).unsqueeze(-1), (self.fixed.items >= 0).float().unsqueeze(-1)
        if n_items <= 2 * size:
            subset = whole_catalogue(n_items, self.device)
            return View(subset, subset.items, self.texts, items, shares, self.basis, self.fixed.session)
        following = torch.cat([batch.target_ids for batch in real]) if real else items.new_empty(0)
        if self.experts:
            following = following[torch.randperm(len(following), generator=draw)[: size // 2].to(self.device)]
        subset = draw_subset(n_items, following, size, draw)
        read = torch.cat([items.flatten(), *(batch.items.flatten() for batch in real)])
        ids, rows = read_with(subset, read)
        read, basis = rows[: items.numel()].view_as(items), self.basis[subset.items]
        return View(subset, ids, self.texts[ids], read, shares, basis, self.fixed.session)

    @property
    def at_checkpoint(self) -> bool:
        """Whether the loop stands where a run keeps its `state`."""
        return self.step % self.config.save_every == 0 or self.step == self.config.steps

    def state(self) -> dict[str, Tensor]:
        """Everything the loop needs to go on, as named tensors."""
        state = {"queries": self.queries, "velocity": self.velocity, "draw": self.draw.get_state()}
        state["step"] = torch.tensor(self.step)
        for number, trainer in enumerate(self.paths):
            state |= {f"path{number}.{name}": value for name, value in trainer.state().items()}
        return {k: v.detach().clone().contiguous() for k, v in state.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        self.queries, self.velocity = (state[name].to(self.device) for name in ("queries", "velocity"))
        self.step = int(state["step"])
        self.paths = [self._path(0.0)() for _ in range(self.config.paths)]
        for number, trainer in enumerate(self.paths):
            prefix = f"path{number}."
            trainer.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        self.draw.set_state(state["draw"])


def duplicate(trainer: Trainer) -> Trainer:
    """An independent trainer that would go on exactly as this one: weights, optimiser, step count, dropout."""
    twin = Trainer(copy.deepcopy(trainer.model), trainer.texts, trainer.recipe, Generator(trainer.generator.device))
    twin.restore(trainer.state())
    return twin
