"""The hard form of a set: plain sequences of item ids, of several candidates those that teach fresh students most.

What a student of few plain sequences cannot learn through texts is what is popular; how often an item stands in them
tells. How much that counts (λ, `Recipe.popularity`) is decided as candidates are chosen and travels with the sequences,
and so does whether students read them with events left out. The students that judge have seen no event of the log, so
besides validation items its training events say how good they are; the teachers that wrote the sequences have, but what
they remember is the same in all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
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
BALANCES = (2.0, 4.0)  # of the teachers' walks
OPENINGS, FEW = 3, 1000  # for each judge: first items that walks of so few positions begin at, one set of them its own
FINALISTS = 3  # of those that a first student likes; sequences differ by more than their students
ASKED = 10_000  # held-out items by which students are judged
POPULARITY = (0.5, 1.0, 2.0)  # λ, besides none


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
    and, where positions are FEW, from others (the same for all sets of a run, OPENINGS for each of its `judges`). A
    fresh student of each is asked for up to ASKED held-out items of the log (`Protocol.reaching_back`), of the
    FINALISTS that do best `judges` are, then, on the best of those, as many that learn by `longer`, all with each λ;
    what scores highest of what so many have judged is chosen. random [M, L]: the control, real sequences, for which
    recipe and λ are chosen likewise, but on validation items alone, as its students have seen events of training, and
    by JUDGES, as runs share them; shape: of all those students. Raises `Stopped` when asked to stop.
    """
    clock.tell(1.0, "plain sequences")
    found = {file: harden(made, made.basis(world.features)).to(world.device) for file, made in sets.items()}
    often = torch.from_numpy(np.bincount(world.split.train.items, minlength=world.n_items))
    draw = Generator().manual_seed(derived_seed(seed, "openings"))
    own = next(iter(found.values()))
    # students of many positions take long, and hardly differ
    more = OPENINGS * judges - 1 if own.numel() <= FEW else 0
    others = [weighted_items((often + 0.1).sqrt(), len(own), draw).to(world.device) for _ in range(more)]
    openings = [own[:, 0], *others]
    walks = {f"walk_{balance:g}_{n}": (first, balance) for n, first in enumerate(openings) for balance in BALANCES}
    for name, (first, balance) in walks.items():
        found[name] = teacher_walk(teachers, world.texts, first, own.shape[1], often, balance, run.checkpoint)
    found[RANDOM] = random.to(world.device)
    candidates: dict[str, dict[str, str]] = {RANDOM: {"random": RANDOM}}  # file → reading → its sequences
    candidates |= {file: {"labels": file} | {name: name for name in walks} for file in sets}

    jury = _Jury(run, world, found, shape, seed, clock)
    jury.judge([(name, recipe, 0) for name in found], "plain sequences")
    last = {file: sorted(of.values(), key=jury.score, reverse=True)[:FINALISTS] for file, of in candidates.items()}
    finalists = dict.fromkeys(name for names in last.values() for name in names)
    of_each = {name: JUDGES if name == RANDOM else judges for name in finalists}
    more_judges = [(name, recipe, k) for k in range(1, JUDGES) for name in finalists if k < of_each[name]]
    jury.judge(more_judges, "the best plain sequences")
    best = {
        file: max((each for each in of.values() if each in finalists), key=jury.score)
        for file, of in candidates.items()
    }
    with_gaps = [(name, longer(recipe), k) for name in dict.fromkeys(best.values()) for k in range(of_each[name])]
    jury.judge(with_gaps, "plain sequences with gaps")
    ids = world.dataset.catalog.ids
    for file, of in candidates.items():  # HARD last: where it is there, all are
        name = best[file]
        by, weight = jury.choice(name)
        scores = {reading: jury.score(each) for reading, each in of.items()}
        run.event("hard", name=file, popularity=weight, event_dropout=by.event_dropout, **scores)
        kept = {
            "schema": 1,
            "reading": next(reading for reading, each in of.items() if each == name),
            "recipe": replace(by, popularity=weight).told(),
            "sequences": [[ids[item] for item in row] for row in found[name].tolist()],
        }
        run.write_json(file, kept)


class _Jury:
    """Fresh students of some plain sequences, found: name → [M, L], and how well they rank what they are asked for."""

    def __init__(
        self,
        run: RunWriter,
        world: World,
        found: Mapping[str, Tensor],
        shape: RecommenderConfig,
        seed: int,
        clock: Clock,
    ) -> None:
        self.run, self.world, self.found, self.shape, self.seed, self.clock = run, world, found, shape, seed, clock
        self.asked = world.protocol.reaching_back(ASKED, derived_seed(seed, "asked"))
        self.told: dict[str, dict[tuple[Recipe, float | None], list[float]]] = {}  # of each student in turn

    def judge(self, jobs: list[tuple[str, Recipe, int]], said: str) -> None:
        """Trains student k by a recipe on sequences of that name, for each job."""
        work = (partial(self._student, *job) for job in jobs)
        with closing(side_by_side(work, self.world.device)) as judgements:
            for done, ((name, by, _), scores) in enumerate(zip(jobs, judgements, strict=True), start=1):
                for weight, score in zip((None, *POPULARITY), scores, strict=True):
                    self.told.setdefault(name, {}).setdefault((by, weight), []).append(score)
                self.clock.tell(1.0, f"{said}: student {done} of {len(jobs)}")
                self.run.checkpoint()

    def choice(self, name: str) -> tuple[Recipe, float | None]:
        """By which recipe and with which λ students of a name's sequences rank best."""
        return max(self.told[name], key=lambda choice: fmean(self.told[name][choice]))

    def score(self, name: str) -> float:
        """Their mean NDCG@10 then."""
        return fmean(self.told[name][self.choice(name)])

    def _student(self, name: str, by: Recipe, k: int) -> list[float]:
        """NDCG@10 of one student with no λ and each of POPULARITY."""
        batch, texts = hard_batch(self.found[name]), self.world.texts
        seed = derived_seed(self.seed, "hard", k)  # the same for every candidate
        student = train_student(every_step(batch), texts, self.shape, by, seed, self.run.heed_stop)
        priors = [None, *(popularity(batch, weight, self.world.n_items) for weight in POPULARITY)]
        scorers = prior_scorers(student, texts, priors)
        asked = self.asked[:1] if name == RANDOM else self.asked
        ranks = np.concatenate([some.ranks_of_all(scorers, part) for some, part in asked], axis=1)
        return [ndcg_at(of_weight, 10) for of_weight in ranks]


def longer(recipe: Recipe) -> Recipe:
    """Twice the steps on sequences with gaps: better where histories are long, worse where they are short."""
    return replace(recipe, steps=2 * recipe.steps, event_dropout=0.3)


def read_hard(run: RunWriter, file: str, world: World) -> tuple[Tensor, Recipe]:
    """Plain sequences [M, L] of item indices and their students' recipe, from a file of the run that holds ids."""
    index = world.dataset.catalog.index()
    kept = json.loads(run.path(file).read_text())
    return torch.tensor([[index[item] for item in row] for row in kept["sequences"]]), Recipe(**kept["recipe"])
