"""The hard form of a set: plain sequences of item ids, of several candidates those that teach fresh students most.

What a student of few plain sequences cannot learn through texts is what is popular; how often an item stands in them
tells. How much that counts (λ, `Recipe.popularity`) is decided on validation and travels with the sequences, and so
does whether students read them with events left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from statistics import fmean

import numpy as np
import torch
from torch import Generator, Tensor

from foster.clock import Clock
from foster.condensers import teacher_walk, weighted_items
from foster.decode import harden
from foster.evaluate import prior_scorers
from foster.metrics import ndcg_at
from foster.parallel import side_by_side
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.runs import RunWriter
from foster.students import derived_seed, every_step, popularity, train_student
from foster.synthetic import SyntheticSequences, hard_batch
from foster.training import Recipe
from foster.world import World

HARD, START_HARD, RANDOM = "hard.json", "checkpoints/start_hard.json", "checkpoints/random.json"
JUDGES = 3  # one student alone would choose by its luck
BALANCES = (1.0, 2.0)  # of the teachers' walks
OPENINGS, FEW = 3, 1000  # first items that walks of so few positions begin at: the set's, the others drawn
ASKED = 10_000  # users, of whose validation items students are judged
POPULARITY = (0.5, 1.0)  # λ, besides none
Choice = tuple[str, Recipe, float | None]  # sequences, by what students learn from them, λ


def write_hard(
    run: RunWriter,
    world: World,
    teachers: list[SequentialRecommender],
    sets: Mapping[str, SyntheticSequences],
    random: Tensor,
    shape: RecommenderConfig,
    recipe: Recipe,
    seed: int,
    judges: int,
    clock: Clock,
) -> None:
    """Writes plain sequences of each set, the start and the result, into its file, and random real ones into theirs.

    Candidates: what the set's labels say comes next; how the teachers would go on by two balances from its first items
    and, where positions are FEW, from others (the same for all sets of a run). `judges` fresh students of each are
    asked for validation items of up to ASKED users, then, on the best, as many that learn by `longer`, all with each λ;
    what scores highest is chosen. random [M, L]: the control, real sequences, for which recipe and λ are chosen
    likewise, by JUDGES, as runs share its students; shape: of those students. Raises `Stopped` when asked to stop.
    """
    clock.tell(1.0, "plain sequences")
    found = {file: harden(made, made.basis(world.features)).to(world.device) for file, made in sets.items()}
    often = torch.from_numpy(np.bincount(world.split.train.items, minlength=world.n_items))
    draw = Generator().manual_seed(derived_seed(seed, "openings"))
    own = next(iter(found.values()))
    more = OPENINGS - 1 if own.numel() <= FEW else 0  # students of many positions take long, and hardly differ
    others = [weighted_items((often + 0.1).sqrt(), len(own), draw).to(world.device) for _ in range(more)]
    openings = [own[:, 0], *others]
    walks = {f"walk_{balance:g}_{n}": (first, balance) for n, first in enumerate(openings) for balance in BALANCES}
    for name, (first, balance) in walks.items():
        found[name] = teacher_walk(teachers, world.texts, first, own.shape[1], often, balance, run.checkpoint)
    found[RANDOM] = random.to(world.device)
    asked = world.protocol.of_some(ASKED, derived_seed(seed, "asked"))
    scores: dict[Choice, float] = {}

    def judged(name: str, by: Recipe, k: int) -> list[float]:
        """NDCG@10 on validation of student k, with no λ and each of POPULARITY."""
        batch = hard_batch(found[name])
        at = derived_seed(seed, "hard", k)  # the same for every candidate
        student = train_student(every_step(batch), world.texts, shape, by, at, run.heed_stop)
        priors = [None, *(popularity(batch, weight, world.n_items) for weight in POPULARITY)]
        ranks = asked.ranks_of_all(prior_scorers(student, world.texts, priors), "valid")
        return [ndcg_at(of_weight, 10) for of_weight in ranks]

    def judge(names: Iterable[str], by: Recipe, said: str) -> None:
        jobs = [(name, k) for name in names for k in range(JUDGES if name == RANDOM else judges)]
        told: dict[str, list[list[float]]] = {name: [] for name, _ in jobs}
        work = (partial(judged, name, by, k) for name, k in jobs)
        with closing(side_by_side(work, world.device)) as judgements:
            for done, ((name, _), of_weights) in enumerate(zip(jobs, judgements, strict=True), start=1):
                told[name].append(of_weights)
                clock.tell(1.0, f"{said}: student {done} of {len(jobs)}")
                run.checkpoint()
        for name, of_students in told.items():
            for weight, each in zip((None, *POPULARITY), zip(*of_students, strict=True), strict=True):
                scores[name, by, weight] = fmean(each)

    def best(names: Iterable[str]) -> Choice:
        among = set(names)
        return max((choice for choice in scores if choice[0] in among), key=lambda choice: scores[choice])

    judge(found, recipe, "plain sequences")
    candidates: dict[str, dict[str, str]] = {RANDOM: {"random": RANDOM}}  # file → reading → its sequences
    candidates |= {file: {"labels": file} | {name: name for name in walks} for file in sets}
    judge(
        dict.fromkeys(best(of.values())[0] for of in candidates.values()), longer(recipe), "plain sequences with gaps"
    )
    ids = world.dataset.catalog.ids
    for file, of in candidates.items():  # HARD last: where it is there, all are
        name, by, weight = best(of.values())
        of_each = {reading: scores[best([each])] for reading, each in of.items()}
        run.event("hard", name=file, popularity=weight, event_dropout=by.event_dropout, **of_each)
        kept = {
            "schema": 1,
            "reading": next(reading for reading, each in of.items() if each == name),
            "recipe": asdict(replace(by, popularity=weight)),
            "sequences": [[ids[item] for item in row] for row in found[name].tolist()],
        }
        run.write_json(file, kept)


def longer(recipe: Recipe) -> Recipe:
    """Twice the steps on sequences with gaps: better where histories are long, worse where they are short."""
    return replace(recipe, steps=2 * recipe.steps, event_dropout=0.3)


def read_hard(run: RunWriter, file: str, world: World) -> tuple[Tensor, Recipe]:
    """Plain sequences [M, L] of item indices and their students' recipe, from a file of the run that holds ids."""
    index = world.dataset.catalog.index()
    kept = json.loads(run.path(file).read_text())
    return torch.tensor([[index[item] for item in row] for row in kept["sequences"]]), Recipe(**kept["recipe"])
