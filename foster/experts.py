"""The experts of a run: full-data models, which are its reference and its teachers.

How long the first has to read decides how many there are. They differ by their seeds alone; runs share them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np

from foster.clock import Clock
from foster.evaluate import model_scorer
from foster.metrics import ndcg_at
from foster.parallel import side_by_side
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.runs import RunWriter, Stopped
from foster.spec import RunSpec
from foster.students import derived_seed
from foster.training import RealWindows
from foster.trajectory import ExpertCheck, ExpertConfig, ExpertTrajectory, train_expert
from foster.world import World

# One wide layer and softer logits than SASRec's own: on a log and on few sequences alike, it learns in half the steps.
FULL = RecommenderConfig(width=128, layers=1, temperature=0.1, adapter=True, dropout=0.2)
TEXT_RATE = 1e-4  # of layers of the text encoder, where some learn
FEW_POSITIONS = 200  # so small a set has one teacher
# A step on few events costs as much for the items that it scores and for its optimiser as for what it reads: where
# there are so many users with histories as short, it reads twice as many at rates some √2 as high, and a model is as
# good after as many epochs. On a CPU such a step is worth a second core.
MANY_USERS, SHORT_HISTORY = 10_000, 10
MOST_TEACHERS, READ_TOGETHER = 4, 10_000_000  # teachers of a set, and the real events that all of them may read
EXPERT = 12  # of those in the cache: raise it when equal settings learn something else


def experts_of(spec: RunSpec, run: RunWriter, world: World, cache: Path, clock: Clock) -> list[ExpertTrajectory]:
    """The first alone, as how long it reads decides how many there are; then the others side by side."""
    shape = expert_shape(world, spec.length)
    batch_size = expert_training(world).batch_size
    # where the encoder learns, reading costs so much more that one has to do
    positions = spec.sequences * spec.length if world.store is None else 0
    window = np.minimum(np.diff(world.split.train.offsets), shape.max_length).mean()
    done: dict[int, float] = {}
    one_tells = Lock()
    ended: list[BaseException] = []

    def count_after(step: int) -> int:
        return default_experts(positions, round(step * batch_size * window))

    def trained(number: int, count: Callable[[int], int]) -> ExpertTrajectory:
        def tell(check: ExpertCheck) -> None:
            said = f"expert {number + 1}: check {check.check}, NDCG@10 {check.score:.4f}"
            with one_tells:
                done[number] = 1 - 0.9**check.check
                clock.progress(sum(done.values()) / count(check.step), said)

        try:
            found = expert_of(spec, run, world, shape, cache, number, tell)
        except BaseException as error:
            ended.append(error)
            run.give_up()  # so that no other learns on
            raise
        done[number] = 1.0
        return found

    first = trained(0, count_after)
    count = count_after(first.steps[-1])
    done.update(dict.fromkeys(range(1, count), 0.0))
    jobs = [partial(trained, number, lambda _: count) for number in range(1, count)]
    try:
        with closing(side_by_side(jobs, world.device)) as others:
            return [first, *others]
    except Stopped:
        raise ended[0] from None  # the others stop because of it


def default_experts(positions: int, read: int) -> int:
    """Full-data models that teach together: several see further than one, but a small set cannot say it, and where the
    first has to read long until it stops (`read` events), it takes what time there is."""
    return 1 if positions < FEW_POSITIONS else max(1, min(MOST_TEACHERS, READ_TOGETHER // max(1, read)))


def expert_shape(world: World, length: int) -> RecommenderConfig:
    """The full-data model's shape: it reads the mean training history rounded up to tens, from L up to 50 events."""
    return world.repeating(replace(FULL, max_length=max(length, min(50, world.split.usual_history))))


def expert_training(world: World) -> ExpertConfig:
    """How full-data models learn from this log."""
    training = ExpertConfig(text_rate=None if world.store is None else TEXT_RATE)
    log = world.split.train
    if log.n_users < MANY_USERS or len(log.items) > SHORT_HISTORY * log.n_users:
        return training
    large = replace(training, batch_size=2 * training.batch_size, learning_rate=0.014, matrix_rate=0.04)
    return replace(large, parts=2) if world.device.type == "cpu" else large


def expert_of(
    spec: RunSpec,
    run: RunWriter,
    world: World,
    config: RecommenderConfig,
    cache: Path,
    number: int = 0,
    tell: Callable[[ExpertCheck], None] = lambda check: None,
) -> ExpertTrajectory:
    """Full-data training of a model of this shape, from the shared cache where it was done before; number: from 0,
    among experts that differ by their seeds; tell: called at each of its checks."""
    training = expert_training(world)
    # What is not used is not named, so that experts of before it could be are still found.
    shape = {name: value for name, value in asdict(config).items() if value is not None}
    unused = {("text_rate", None), ("parts", 1)}
    taught = {name: value for name, value in asdict(training).items() if (name, value) not in unused}
    settings = [EXPERT, shape, taught, spec.seed, number, world.device.type]
    recipe = json.dumps(settings, sort_keys=True)
    name = hashlib.sha256(f"{world.key}/{recipe}".encode()).hexdigest()[:32]
    folder = cache / "trajectories" / name
    run.uses(folder)
    found = ExpertTrajectory.open(folder, config, world.texts)
    if found is None:
        windows = RealWindows(world.split.train, config.max_length, world.device)

        def score(model: SequentialRecommender) -> float:
            alone = world.device if number == 0 else None
            return ndcg_at(world.protocol.ranks(model_scorer(model, world.texts), "valid", alone), 10)

        seed = derived_seed(spec.seed, "expert", number)
        checks = train_expert(folder, config, training, world.texts, windows, score, seed, run.checkpoint)
        for check in checks:
            run.checkpoint()  # of a paused run nothing new is told
            run.event("expert", expert=number, **asdict(check))
            tell(check)
        found = ExpertTrajectory.open(folder, config, world.texts)
        assert found is not None
    return found
