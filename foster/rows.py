"""The rows of a report: what was distilled beside full data and every other way to spend the same bytes.

Every trained row has fresh students of its own, all by the same rules; finished ones are kept and not trained again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from torch import Generator, Tensor

from foster.artefact import as_stored, load
from foster.clock import Clock
from foster.condensers import real_readings, uniform_items, with_teacher_labels
from foster.controls import Controls
from foster.evaluate import Scorer, bigram_scorer, ensemble_scorer, model_scorer, popular_scorer, zero_shot_scorer
from foster.hard_form import ASKED, HARD, RANDOM, START_HARD, read_hard
from foster.metrics import ndcg_at
from foster.parallel import once, side_by_side
from foster.recommend import model_file, save_model
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.results import Measured, Results
from foster.runs import RunWriter
from foster.spec import RunSpec
from foster.students import Draw, derived_seed, every_step, train_student
from foster.synthetic import SyntheticSequences, drawn_rows, hard_batch
from foster.training import Recipe
from foster.world import World

# The first student of these rows stays with the run, for recommendations side by side; so does the full-data model.
STORED_STUDENTS = ("soft", "hard", "random", "untrained")


class Rows:
    """Measures every row of one run. teachers: the first is the report's full-data model; shape_of: of a student
    by a recipe; controls: students that other runs share."""

    def __init__(
        self,
        spec: RunSpec,
        run: RunWriter,
        world: World,
        teachers: list[SequentialRecommender],
        shape_of: Callable[[Recipe], RecommenderConfig],
        controls: Controls,
    ) -> None:
        self.spec, self.run, self.world, self.teachers = spec, run, world, teachers
        self.shape_of, self.controls = shape_of, controls
        self.results = Results(run, world.protocol, spec.report_test)

    def on_start(self) -> dict[str, float]:
        """Metrics on validation of the first student on the start, trained now if it was not: what a distillation
        begins with is known before it begins."""
        if not self.results.has("start_soft", 0):
            self._take_shared("start_soft", 0)
        if not self.results.has("start_soft", 0):
            start, recipe = self._start()
            measured = self._student("start_soft", 0, lambda: self._soft(start, recipe), recipe, self.run.checkpoint)
            self._add("start_soft", 0, measured)
        return self.results.first("start_soft")

    def measure(self, soft: SyntheticSequences, steps: int, clock: Clock) -> tuple[dict[str, Any], dict[str, Any]]:
        """All rows, on validation and on test. soft: the distilled set as read back from disk, after so many steps."""
        self._fixed()
        trained, count = self.trained(soft), self.spec.students
        # What a person waits for comes first; then each row's first student: so controls are labelled side by side.
        others = [name for name in trained if name != "soft"]
        order = [("soft", k) for k in range(count)] + [(name, k) for k in range(count) for name in others]
        jobs = [job for job in order if not self.results.has(*job)]
        for job in jobs:
            self._take_shared(*job)
        jobs = [job for job in jobs if not self.results.has(*job)]
        done = len(trained) * count - len(jobs)
        clock.tell(done / (len(trained) * count), "students")
        judged = False
        with closing(side_by_side(self._work(trained, jobs), self.world.device)) as found:
            for (name, k), measured in zip(jobs, found, strict=True):
                self._add(name, k, measured)
                if not judged:  # the first student on the result is there, of this worker or of one that was cut off
                    self.run.event("valid", step=steps, **self.results.first("soft"))
                    judged = True
                done += 1
                message = f"student {k + 1} of {count} on {name.replace('_', ' ')}"
                clock.progress(done / (len(trained) * count), message)
        return self.results.rows("valid"), self.results.rows("test")

    def _fixed(self) -> None:
        """The rows without students."""
        world, split = self.world, self.world.split
        save_model(model_file(self.run.folder, "full"), self.teachers[0])
        fixed: dict[str, Callable[[], Scorer]] = {
            "full": lambda: model_scorer(self.teachers[0], world.texts),
            "popular": lambda: popular_scorer(split, world.n_items),
            "bigram": lambda: bigram_scorer(split, world.n_items),
            "zero_shot": lambda: _best_on_validation(world, [zero_shot_scorer(world.features, n) for n in (1, 10)]),
        }
        if len(self.teachers) > 1:
            fixed["ensemble"] = lambda: ensemble_scorer(self.teachers, world.texts)
        names = [name for name in fixed if not self.results.has(name, 0)]

        def measured(name: str) -> Measured:
            return self.results.measure(fixed[name]())

        with closing(side_by_side([partial(measured, name) for name in names], world.device)) as found:
            for name, ranks in zip(names, found, strict=True):
                self.results.add(name, 0, ranks)

    def trained(self, soft: SyntheticSequences) -> dict[str, tuple[Callable[[], Draw | None], Recipe]]:
        """Row → what its students draw from, made at the call, and by which recipe they learn."""
        spec, run, world = self.spec, self.run, self.world
        start, soft_recipe = self._start()

        allowed = world.allowed_bytes(spec)

        def taught(name: str, choose: Callable[[Generator], Tensor]) -> Draw:
            """Teacher labels at equal bytes: as many readings in the same form, as they would be read back; each has
            items of its own, as those of the set have. (Real ones: as long as the log has users.)"""
            generator = draw(name)
            items = choose(generator).to(world.device)
            made = with_teacher_labels(
                items, len(items), self.teachers, world.texts, soft.form, generator, each_step=run.heed_stop
            )
            return self._soft(as_stored(made, soft_recipe, world.features, allowed), soft_recipe)

        def plain(file: str) -> tuple[Callable[[], Draw | None], Recipe]:
            sequences, recipe = read_hard(run, file, world)
            return lambda: every_step(hard_batch(sequences.to(world.device))), recipe

        def draw(name: str) -> Generator:
            return Generator().manual_seed(derived_seed(spec.seed, name))

        def real(generator: Generator) -> Tensor:
            return real_readings(world.split.train, len(soft.items), spec.length, soft.session, generator)

        def uniform(generator: Generator) -> Tensor:
            return uniform_items(world.n_items, len(soft.items), spec.length, generator)

        return {
            "untrained": (lambda: None, soft_recipe),
            "random": plain(RANDOM),
            "teacher_random": (lambda: taught("teacher_random", real), soft_recipe),
            "teacher_uniform": (lambda: taught("teacher_uniform", uniform), soft_recipe),
            "start_soft": (lambda: self._soft(start, soft_recipe), soft_recipe),
            "start_hard": plain(START_HARD),
            "soft": (lambda: self._soft(soft, soft_recipe), soft_recipe),
            "hard": plain(HARD),
        }

    def _start(self) -> tuple[SyntheticSequences, Recipe]:
        return load(self.run.path("checkpoints/start.safetensors"), self.world.features)

    def _soft(self, synthetic: SyntheticSequences, recipe: Recipe) -> Draw:
        synthetic = synthetic.to(self.world.device)
        return drawn_rows(synthetic, synthetic.basis(self.world.features), recipe)

    def _work(
        self, trained: dict[str, tuple[Callable[[], Draw | None], Recipe]], jobs: list[tuple[str, int]]
    ) -> Iterator[Callable[[], Measured]]:
        made = {name: once(trained[name][0]) for name, _ in jobs}  # for all students of a row
        for name, k in jobs:
            yield partial(self._student, name, k, made[name], trained[name][1], self.run.heed_stop)

    def _student(
        self, name: str, k: int, make_draw: Callable[[], Draw | None], recipe: Recipe, each_step: Callable[[], None]
    ) -> Measured:
        # where the walk that is best of the start is best of the result, too, they are one result
        seed = derived_seed(self.spec.seed, "student", "hard" if name == "start_hard" else name, k)
        model = train_student(make_draw(), self.world.texts, self.shape_of(recipe), recipe, seed, each_step)
        if _is_stored(name, k):  # before its row: a row that is there has its model
            save_model(model_file(self.run.folder, name), model)
        return self.results.measure(model_scorer(model, self.world.texts))

    def _add(self, name: str, k: int, measured: Measured) -> None:
        self.results.add(name, k, measured)  # first, so that no run takes its own for another's
        self.controls.keep(name, k, measured, _is_stored(name, k))

    def _take_shared(self, name: str, k: int) -> None:
        if (known := self.controls.find(name, k, self.results.parts, _is_stored(name, k))) is not None:
            self.results.add(name, k, known, shared=True)


def _is_stored(name: str, k: int) -> bool:
    return k == 0 and name in STORED_STUDENTS


def _best_on_validation(world: World, scorers: list[Scorer]) -> Scorer:
    some = world.protocol.of_some(ASKED, 0)  # enough to choose one of few by
    return max(scorers, key=lambda scorer: ndcg_at(some.ranks(scorer, "valid"), 10))
