"""Expert trajectories: full-data training, recorded.

An expert is a recommender trained on the whole log until validation stops improving. Its checkpoints (step 0, early
steps, then one at every validation) are the anchors of METHOD §1, its best checkpoint is the teacher. (The loop resets
to points on the paths of students instead, see `foster.distiller`.) What is validated and kept is the running average
of the weights along the path (Polyak & Juditsky, 1992): it is a better model than the last point at a constant rate,
and a smoother one, so patience may be short. Large catalogues are scored on a subset of their items, drawn anew at
every step (`foster.subset`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Generator
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from foster.recommender import RecommenderConfig, SequentialRecommender, fresh_recommender
from foster.training import RealWindows, Recipe, Trainer
from foster.tuning import Texts, settled

EARLY_STEPS = (0, 5, 10, 20, 40, 80)


@dataclass(frozen=True)
class ExpertConfig:
    """Full-data training. Stops when validation has not improved for `patience` checks in a row, or rates are down to
    `least_share` of their peak; no epoch cap.

    matrix_rate: Muon's rate for weight matrices, learning_rate: AdamW's for the rest; averaging: decay of the running
    average of the weights; subset: items scored in a step, where the catalogue has more than twice as many; slowing:
    what all rates are multiplied by after every check that was not better than the best so far by a share of
    `least_gain`, as constant ones take twice as long for as much of a large log; check_every: steps between
    validations, None for about an epoch and at least 50 steps; parts: of a step, side by side; text_rate: AdamW's for
    layers of the text encoder, None where none learn.
    """

    learning_rate: float = 1e-2
    matrix_rate: float = 0.03
    weight_decay: float = 1e-4
    batch_size: int = 64
    averaging: float = 0.99
    subset: int = 1024
    patience: int = 4
    slowing: float = 0.5
    least_gain: float = 0.005
    least_share: float = 0.01
    check_every: int | None = None
    parts: int = 1
    text_rate: float | None = None

    def recipe(self, dropout: float) -> Recipe:
        return Recipe(
            steps=2**31,
            learning_rate=self.learning_rate,
            matrix_rate=self.matrix_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            dropout=dropout,
            warmup=20,
            decay="constant",
            text_rate=self.text_rate,
        )


@dataclass(frozen=True)
class ExpertCheck:
    """One validation of a running expert."""

    check: int
    step: int
    loss: float
    score: float
    best: float
    done: bool


@dataclass(frozen=True)
class ExpertTrajectory:
    """Anchors on disk: `steps` in rising order, `best` the step with the best validation score, `scores` of checks."""

    folder: Path
    config: RecommenderConfig
    texts: Texts
    steps: tuple[int, ...]
    best: int
    score: float

    @classmethod
    def open(cls, folder: Path, config: RecommenderConfig, texts: Texts) -> ExpertTrajectory | None:
        """The finished trajectory in `folder` of a model that reads such texts, None if there is none yet."""
        summary = folder / "trajectory.json"
        if not summary.is_file():
            return None
        found = json.loads(summary.read_text())
        return cls(folder, config, texts, tuple(found["steps"]), found["best"], found["score"])

    def load(self, step: int, device: torch.device) -> SequentialRecommender:
        """The model as it was at an anchor; what layers of the encoder had learned is settled."""
        model = fresh_recommender(self.texts, self.config, Generator().manual_seed(0))
        model.load_state_dict(load_file(_anchor(self.folder, step)))
        return settled(model, self.texts).to(device)


def train_expert(
    folder: Path,
    config: RecommenderConfig,
    training: ExpertConfig,
    texts: Texts,
    windows: RealWindows,
    score: Callable[[SequentialRecommender], float],
    seed: int,
    each_step: Callable[[], None] = lambda: None,
) -> Iterator[ExpertCheck]:
    """Train one expert, recording its trajectory in `folder`, yielding at every validation.

    Goes on from the last validation if an earlier call was cut off, with the same final result; the folder is complete
    once `trajectory.json` exists. each_step is called after every step and may raise to stop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = texts.device
    draw = Generator().manual_seed(seed)  # initialisation and windows, on the CPU
    dropout = Generator(device).manual_seed(seed + 1)
    model = fresh_recommender(texts, config, draw)
    trainer = Trainer(model, texts, training.recipe(config.dropout), dropout)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(training.averaging))
    averaged = cast(SequentialRecommender, average.module)
    every = training.check_every or max(50, -(-len(windows) // training.batch_size))
    steps: list[int] = []
    best, best_step, stale, check, misses = -1.0, 0, 0, 0, 0
    progress_file = folder / "resume.json"
    if progress_file.is_file():
        progress = json.loads(progress_file.read_text())
        state = load_file(folder / progress["state"])
        draw.set_state(state.pop("draw"))
        average.load_state_dict({k: state.pop(f"average.{k}") for k in average.state_dict()})
        trainer.restore(state)
        steps, best, best_step = progress["steps"], progress["best"], progress["best_step"]
        stale, check, misses = progress["stale"], progress["check"], progress["misses"]
    while True:
        trainer.share = training.slowing**misses
        loss = 0.0
        for _ in range(every):
            if trainer.steps in EARLY_STEPS:
                save_file(averaged.state_dict(), _anchor(folder, trainer.steps))
                steps.append(trainer.steps)
            # Independent draws, not epochs: the generator's state alone says where a resumed run goes on.
            batch = windows.draw(training.batch_size, draw).on_subset(len(texts), training.subset, draw)
            loss += trainer.step(batch, training.parts) / every
            average.update_parameters(model)
            each_step()
        check += 1
        save_file(averaged.state_dict(), _anchor(folder, trainer.steps))
        steps.append(trainer.steps)
        now = score(averaged)
        misses += now <= best * (1 + training.least_gain) if check > 1 else 0
        best, best_step, stale = (now, trainer.steps, 0) if now > best else (best, best_step, stale + 1)
        done = stale >= training.patience or training.slowing**misses < training.least_share
        if done:
            summary = {"steps": sorted(set(steps)), "best": best_step, "score": best, "training": asdict(training)}
            _write(folder / "trajectory.json", summary)
            for leftover in folder.glob("resume*"):
                leftover.unlink()
        else:
            # two state files in turn: the one the summary names is never the one being written
            state_file = folder / f"resume{check % 2}.safetensors"
            averages = {f"average.{k}": v.contiguous() for k, v in average.state_dict().items()}
            save_file(trainer.state() | averages | {"draw": draw.get_state()}, state_file)
            found = {"state": state_file.name, "steps": steps, "best": best, "best_step": best_step}
            _write(progress_file, {**found, "stale": stale, "check": check, "misses": misses})
        yield ExpertCheck(check, trainer.steps, loss, now, best, done)
        if done:
            return


def _anchor(folder: Path, step: int) -> Path:
    return folder / f"anchor-{step:07d}.safetensors"


def _write(path: Path, value: object) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value))
    partial.replace(path)
