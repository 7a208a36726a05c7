"""The hard form of a set: plain sequences of item ids, of several candidates those that teach fresh students most.

What a student of few plain sequences cannot learn through texts is what is popular; how often an item stands in them
tells. How much that counts (λ, `Recipe.popularity`) is decided on validation and travels with the sequences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from statistics import fmean

import torch
from torch import Tensor

from foster.clock import Clock
from foster.condensers import teacher_walk
from foster.decode import harden
from foster.evaluate import prior_scorers
from foster.metrics import ndcg_at
from foster.parallel import side_by_side
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.refine import POPULARITY, RefineConfig, refined
from foster.runs import RunWriter
from foster.students import derived_seed, every_step, popularity, train_student
from foster.synthetic import SyntheticSequences, hard_batch
from foster.training import RealWindows, Recipe
from foster.world import World

HARD, START_HARD, RANDOM = "hard.json", "checkpoints/start_hard.json", "checkpoints/random.json"
JUDGES = 3  # one student alone would choose by its luck
REFINED = 500  # positions of a set that is refined: larger ones take long, gigabytes, and hardly gain by it


def write_hard(
    run: RunWriter,
    world: World,
    windows: RealWindows,
    teacher: SequentialRecommender,
    sets: Mapping[str, SyntheticSequences],
    random: Tensor,
    shape: RecommenderConfig,
    recipe: Recipe,
    seed: int,
    judges: int,
    clock: Clock,
) -> None:
    """Writes plain sequences of each set, the start and the result, into its file, and random real ones into theirs.

    Candidates: what the set's labels say comes next; how the teacher would go on from its first items (the same for all
    sets of a run); for a result of few positions both of them refined item by item (`foster.refine`) as well. Chosen is
    the one from which `judges` fresh students score highest on validation, and the λ with which they do. random [M, L]:
    the control, real sequences, for which λ is chosen likewise, by JUDGES, as runs share its students; shape, recipe:
    of those students; windows: of the log, that refining looks at. Raises `Stopped` when asked to stop.
    """
    found = {file: harden(made, made.basis(world.features)).to(world.device) for file, made in sets.items()}
    first = next(iter(found.values()))
    found["walk"] = teacher_walk(teacher, world.texts, first[:, 0], first.shape[1])
    found[RANDOM] = random.to(world.device)

    def better(name: str) -> Tensor:
        at, config = derived_seed(seed, "refine", name), refining(found[name].numel())
        return refined(found[name], world.texts, windows, teacher, shape, recipe, config, at, run.heed_stop)

    names = {HARD: "refined_labels", "walk": "refined_walk"} if first.numel() <= REFINED else {}
    clock.tell(1.0, "plain sequences: refining them item by item" if names else "plain sequences")
    with closing(side_by_side([partial(better, name) for name in names], world.device)) as made:
        for name, better_one in zip(names.values(), made, strict=True):
            found[name] = better_one
            run.checkpoint()

    def judged(sequences: Tensor, k: int) -> dict[float | None, float]:
        """λ → NDCG@10 on validation of student k."""
        batch = hard_batch(sequences)
        at = derived_seed(seed, "hard", k)  # the same for every candidate
        student = train_student(every_step(batch), world.texts, shape, recipe, at, run.heed_stop)
        priors = [None, *(popularity(batch, weight, world.n_items) for weight in POPULARITY)]
        ranks = world.protocol.ranks_of_all(prior_scorers(student, world.texts, priors), "valid")
        return {weight: ndcg_at(of_weight, 10) for weight, of_weight in zip((None, *POPULARITY), ranks, strict=True)}

    jobs = [(name, k) for name in found for k in range(JUDGES if name == RANDOM else judges)]
    scores: dict[str, list[dict[float | None, float]]] = {name: [] for name in found}
    work = (partial(judged, found[name], k) for name, k in jobs)
    with closing(side_by_side(work, world.device)) as judgements:
        for done, ((name, _), of_weights) in enumerate(zip(jobs, judgements, strict=True), start=1):
            scores[name].append(of_weights)
            clock.tell(1.0, f"plain sequences: student {done} of {len(jobs)}")
            run.checkpoint()
    ids = world.dataset.catalog.ids
    for file in (RANDOM, *sets):  # HARD last: where it is there, all are
        candidates = {"random": RANDOM} if file == RANDOM else {"labels": file, "walk": "walk"}
        if file == HARD:
            candidates |= {name: name for name in names.values()}
        means = {
            (reading, weight): fmean(each[weight] for each in scores[name])
            for reading, name in candidates.items()
            for weight in (None, *POPULARITY)
        }
        reading, weight = max(means, key=lambda choice: means[choice])
        best = {each: max(mean for (of, _), mean in means.items() if of == each) for each in candidates}
        run.event("hard", name=file, popularity=weight, **best)
        sequences = [[ids[item] for item in row] for row in found[candidates[reading]].tolist()]
        chosen = asdict(replace(recipe, popularity=weight))
        run.write_json(file, {"schema": 1, "reading": reading, "recipe": chosen, "sequences": sequences})


def refining(positions: int) -> RefineConfig:
    """Fewer rounds where there are few positions to change."""
    whole = RefineConfig()
    return replace(whole, rounds=max(1, min(whole.rounds, positions // 32)))


def read_hard(run: RunWriter, file: str, world: World) -> tuple[Tensor, Recipe]:
    """Plain sequences [M, L] of item indices and their students' recipe, from a file of the run that holds ids."""
    index = world.dataset.catalog.index()
    kept = json.loads(run.path(file).read_text())
    return torch.tensor([[index[item] for item in row] for row in kept["sequences"]]), Recipe(**kept["recipe"])
