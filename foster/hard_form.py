"""The hard form of a set: plain sequences of item ids, of two readings the one from which fresh students learn more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from statistics import fmean

import torch
from torch import Tensor

from foster.clock import Clock
from foster.condensers import teacher_walk
from foster.decode import harden
from foster.evaluate import model_scorer
from foster.metrics import ndcg_at
from foster.parallel import side_by_side
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.runs import RunWriter
from foster.students import derived_seed, every_step, train_student
from foster.synthetic import SyntheticSequences, hard_batch
from foster.training import Recipe
from foster.world import World

HARD, START_HARD = "hard.json", "checkpoints/start_hard.json"
JUDGES = 3  # one student alone would choose by its luck


def write_hard(
    run: RunWriter,
    world: World,
    teacher: SequentialRecommender,
    sets: Mapping[str, SyntheticSequences],
    shape: RecommenderConfig,
    recipe: Recipe,
    seed: int,
    clock: Clock,
) -> None:
    """Writes plain sequences of each set into its file: what its labels say comes next, or how the teacher would go on
    from its first items (the same for all sets of a run), whichever JUDGES fresh students score higher with on
    validation.

    shape, recipe: of those students. Raises `Stopped` when asked to stop.
    """
    readings = {file: harden(made, made.basis(world.features)).to(world.device) for file, made in sets.items()}
    first = next(iter(readings.values()))
    readings["walk"] = teacher_walk(teacher, world.features, first[:, 0], first.shape[1])

    def judged(sequences: Tensor, k: int) -> float:
        draw = every_step(hard_batch(sequences))
        at = derived_seed(seed, "hard", k)  # the same for every reading
        student = train_student(draw, world.features, shape, recipe, at, run.heed_stop)
        return ndcg_at(world.protocol.ranks(model_scorer(student, world.features), "valid"), 10)

    jobs = [(name, k) for name in readings for k in range(JUDGES)]
    scores: dict[str, list[float]] = {name: [] for name in readings}
    work = (partial(judged, readings[name], k) for name, k in jobs)
    with closing(side_by_side(work, world.device)) as found:
        for done, ((name, _), score) in enumerate(zip(jobs, found, strict=True), start=1):
            scores[name].append(score)
            clock.tell(1.0, f"plain sequences: student {done} of {len(jobs)}")
            run.checkpoint()
    ids, walk = world.dataset.catalog.ids, fmean(scores["walk"])
    for file in sets:
        labels = fmean(scores[file])
        run.event("hard", name=file, labels=labels, walk=walk)
        reading, chosen = ("walk", readings["walk"]) if walk > labels else ("labels", readings[file])
        sequences = [[ids[item] for item in row] for row in chosen.tolist()]
        run.write_json(file, {"schema": 1, "reading": reading, "recipe": asdict(recipe), "sequences": sequences})


def read_hard(run: RunWriter, file: str, world: World) -> Tensor:
    """Plain sequences [M, L] of item indices, from a file of the run that holds them as ids."""
    index = world.dataset.catalog.index()
    rows = json.loads(run.path(file).read_text())["sequences"]
    return torch.tensor([[index[item] for item in row] for row in rows])
