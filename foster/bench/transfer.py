"""Whether a set that was distilled with one recommender teaches others: students of other shapes, and of other text.

The set is an ordinary run's, in a store of its own, ROOT/.transfer. Students of every kind learn from it by the recipes
that travel with it, tuned for none of them; beside them stand the same kind on everything (validated as the run's own
expert is), on random real sequences, on uniform items with the run's teacher's labels, and untrained. With another text
encoder a student reads its inputs and scores items through that; the labels, which are distributions over items, are
what the set says they are.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from foster import pipeline
from foster.artefact import load
from foster.bench import Say
from foster.bench.lsa import latent_semantic
from foster.bench.working import kept_in, progress_of, progress_table, runs_of, work_on
from foster.clock import Clock
from foster.console import table
from foster.controls import Controls
from foster.encoder import public_features
from foster.evaluate import Part, model_scorer
from foster.experts import expert_of, expert_shape
from foster.formats import load_dataset
from foster.launch import Execute
from foster.metrics import summary
from foster.parallel import side_by_side
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.rows import Rows
from foster.runs import Run, RunState, RunStore, RunWriter
from foster.spec import RunSpec
from foster.students import Draw, derived_seed, spread, train_student
from foster.training import Recipe
from foster.world import World

STORE = ".transfer"
METRIC = "recall@10"
QUICK = RunSpec(sequences=3, length=4, steps=2, students=1, device="cpu")
QUICK_KINDS = ("gru4rec", "lsa")


@dataclass(frozen=True)
class Kind:
    """changes: of the shape it was distilled with; texts: embeddings of another encoder, None for the run's own."""

    about: str
    changes: dict[str, Any]
    texts: Callable[[Sequence[str]], Tensor] | None = None


KINDS = {
    "same": Kind("SASRec, as it was distilled with", {}),
    "deeper": Kind("SASRec of three layers", {"layers": 3}),
    "narrow": Kind("SASRec of width 64", {"width": 64}),
    "gru4rec": Kind("GRU4Rec", {"backbone": "gru4rec"}),
    "lsa": Kind("SASRec on latent semantic analysis of the texts", {}, latent_semantic),
}
ROWS = {
    "full": "everything",
    "soft": "foster, soft",
    "hard": "foster, hard",
    "teacher_uniform": "uniform items, a teacher's labels",
    "random": "random real sequences",
    "untrained": "nothing",
}


def measure(
    quick: bool,
    say: Say,
    *,
    root: Path,
    data: str | None,
    spec: RunSpec,
    minutes: float,
    execute: Execute | None = None,
) -> dict[str, Any]:
    """complete; kinds: name → row → the metrics of `part`, as they are done. What is done is kept in ROOT/.transfer.

    minutes: after them the run stops at its next checkpoint, and no further kind is begun.
    """
    with kept_in(root / STORE, quick, data) as (store, tiny):
        if tiny is None:
            return _measured(store, replace(spec, data=str(data)), tuple(KINDS), minutes, say, execute)
        quick_spec = replace(QUICK, data=tiny, report_test=spec.report_test)
        return _measured(store, quick_spec, QUICK_KINDS, minutes, say, execute)


def _measured(
    store: RunStore, spec: RunSpec, names: tuple[str, ...], minutes: float, say: Say, execute: Execute | None
) -> dict[str, Any]:
    deadline = time.monotonic() + 60 * minutes
    load_dataset(spec.data)  # so that bad data is refused before the first minute
    (run,) = runs_of([spec], store)
    work_on([run], store, deadline, say, execute)
    part: Part = "test" if spec.report_test else "valid"
    kinds: dict[str, Any] = {}
    if run.status().state is RunState.DONE:
        for name in names:
            file = run.path / "transfer" / f"{name}.json"
            if not file.is_file() and time.monotonic() < deadline:
                say(f"{name}: {KINDS[name].about}")
                _one_kind(run, store.cache, name, part)
            if file.is_file():
                kinds[name] = json.loads(file.read_text())
    return {
        "complete": len(kinds) == len(names),
        "data": spec.data,
        "part": part,
        "metric": METRIC,
        "budget": {"sequences": spec.sequences, "length": spec.length},
        "students": spec.students,
        "store": str(store.root),
        "run": progress_of(run),
        "kinds": kinds,
    }


def _one_kind(run: Run, cache: Path, name: str, part: Part) -> None:
    spec, kind, file = run.spec, KINDS[name], f"transfer/{name}.json"
    with tempfile.TemporaryDirectory() as folder, RunWriter(run.path) as kept:
        # What is done here is not told as of the run, which is done: its events and its status stay as they are.
        scratch = RunStore(Path(folder), bundled=None).create(spec)
        with RunWriter(scratch.path) as writer:
            clock = Clock(writer)
            world, own_experts = pipeline.prepare(spec, writer, cache, clock)
            teachers = [own.load(own.best, world.device) for own in own_experts]
            shape_of = partial(pipeline.student_shape, spec)
            rows = Rows(spec, kept, world, teachers, shape_of, Controls(kept, None))
            soft, _ = load(kept.path(pipeline.SOFT_FILE), world.features)
            trained = rows.trained(soft)  # labels of rows are by the run's own features
            told = {row: each for row, each in trained.items() if row in ROWS}
            draws = {row: (replace(shape_of(by), **kind.changes), make(), by) for row, (make, by) in told.items()}
            if kind.texts is not None:
                features = public_features(kind.texts(world.dataset.catalog.texts)).to(world.device)
                world = replace(world, features=features, key=f"{world.key}/{name}", store=None)
            full_shape = replace(expert_shape(world, spec.length), **kind.changes)
            expert = expert_of(spec, writer, world, full_shape, cache)
        scores = {"full": [_scored(world, expert.load(expert.best, world.device), part)]}
        jobs = [(row, k) for row in draws for k in range(spec.students)]
        seeds = {(row, k): derived_seed(spec.seed, "student", row, k) for row, k in jobs}  # those of the report
        work = (partial(_student, world, *draws[row], seeds[row, k], part) for row, k in jobs)
        with closing(side_by_side(work, world.device)) as found:
            for (row, _), metrics in zip(jobs, found, strict=True):
                scores.setdefault(row, []).append(metrics)
        kept.path(file)
        kept.write_json(file, {row: spread(scores[row]) for row in ROWS})


def _student(
    world: World, shape: RecommenderConfig, draw: Draw | None, recipe: Recipe, seed: int, part: Part
) -> dict[str, float]:
    return _scored(world, train_student(draw, world.texts, shape, recipe, seed), part)


def _scored(world: World, model: SequentialRecommender, part: Part) -> dict[str, float]:
    return summary(world.protocol.ranks(model_scorer(model, world.texts), part))


def text(found: dict[str, Any]) -> str:
    if not found["kinds"]:
        told = progress_table([found["run"]])
    else:
        rows = []
        for name, kind in found["kinds"].items():
            full = kind["full"][METRIC]["mean"]
            cells = [KINDS[name].about, f"{full:.4f}"]
            for row in list(ROWS)[1:]:
                each = kind[row][METRIC]
                share = "" if full == 0 else f" ({each['mean'] / full:.0%})"
                cells.append(f"{each['mean']:.4f} ± {each['std']:.4f}{share}")
            rows.append(tuple(cells))
        head = ("student", *ROWS.values())
        told = f"{found['data']}, {found['part']} Recall@10\n\n{table(head, rows, numbers=range(1, len(head)))}"
    return told if found["complete"] else f"{told}\n\nnot complete: the same command again goes on from here"
