"""What each part of the loop is good for: the same log, expert, start and student seeds, one thing changed at a time.

A row is a set as it would be stored, at equal bytes, judged by fresh students on validation (and on test, if asked);
regulariser and label entropy are of its labels, memory and seconds of making it (the loop's from its start on), in a
process of its own.

The last rows are no sets that could be stored, or no loop: they say what the stored form itself costs. Students see the
teacher's labels in full, on the readings of the start, for twice as many steps, on all real histories; and the start
with labels on the teacher's leading directions, without a lift, instead of a fitted basis.

Loops that take other steps are in `foster.bench.variants`. Not measured, because foster has no code for them: labels
learned by an unrolled gradient (what a step of it costs says `foster bench cost`); inputs that are learned; the tied
form.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from foster import pipeline
from foster.artefact import load, save
from foster.bench import Say
from foster.bench.apart import above, apart
from foster.bench.labels import of_labels
from foster.bench.variants import Damped, Exact, FiniteDifference, Joint, NeverReset
from foster.bench.working import kept_in, runs_of
from foster.clock import Clock
from foster.condensers import real_readings, teacher_log_labels, uniform_items, with_teacher_labels
from foster.console import table
from foster.distiller import DistillConfig, Distiller
from foster.evaluate import Part, model_scorer
from foster.metrics import summary
from foster.parallel import side_by_side
from foster.recommender import SequentialRecommender
from foster.runs import Run, RunStore, RunWriter
from foster.spec import DEFAULT_STEPS, RunSpec
from foster.students import Draw, derived_seed, spread, train_student
from foster.subset import draw_subset
from foster.synthetic import UNUSED, SyntheticSequences, drawn_rows, in_sessions
from foster.training import Batch, RealWindows, Recipe
from foster.tuning import Texts
from foster.world import World

STORE = ".ablations"
QUICK = RunSpec(sequences=3, length=4, steps=2, students=1, device="cpu")
QUICK_ROWS = ("default", "no_reset", "start", "teacher_uniform", "leading", "in_full", "real_in_full")


@dataclass(frozen=True)
class Ablation:
    """loop: what takes the steps; changes: of its configuration; expert: whether L_D asks for what the expert expects,
    or for the events themselves."""

    about: str
    loop: type[Distiller] = Distiller
    changes: dict[str, Any] = field(default_factory=dict)
    expert: bool = True


ROWS = {
    "default": Ablation("the loop as it is"),
    "no_subset": Ablation("all items in every step", changes={"subset": 2**31}),
    "no_reset": Ablation("models never go back to an anchor", NeverReset, {"paths": 1}),
    "no_regulariser": Ablation("no regulariser", changes={"regularisation": 0.0}),
    "no_momentum": Ablation("no momentum", changes={"momentum": 0.0}),
    "damped": Ablation("damped, η = 0.5", Damped),
    "joint": Ablation("no ω, the labels follow θ", Joint),
    "events": Ablation("θ learns the events, not what the expert expects", expert=False),
    "exact": Ablation("exact second order, one inner step", Exact),
    "finite_difference": Ablation("finite difference of DARTS", FiniteDifference),
    "start": Ablation("the loop's start", changes={"steps": 0}),
    "teacher_random": Ablation("random real sequences, a teacher's labels"),
    "teacher_uniform": Ablation("uniform items, a teacher's labels"),
    "leading": Ablation("the start, its basis not fitted to the labels"),
}
# Of labels in full: they take hundreds of times the bytes.
IN_FULL = {
    "in_full": "the start, labels in full",
    "in_full_longer": "the same, twice the student steps",
    "real_in_full": "all real histories, labels in full",
}
ABOUT = {**{name: row.about for name, row in ROWS.items()}, **IN_FULL}


def measure(
    quick: bool,
    say: Say,
    *,
    root: Path,
    data: str | None,
    spec: RunSpec,
    minutes: float,
    alone: Callable[..., dict[str, Any]] = apart,
) -> dict[str, Any]:
    """complete; rows: of those that are done, in the order of ABOUT. What is done is kept in ROOT/.ablations and not
    measured again. With `quick` a few rows of a tiny world, in this process, and nothing is kept.

    minutes: no further row is begun after them. alone: calls a function in a process of its own.
    """
    with kept_in(root / STORE, quick, data) as (store, tiny):
        if tiny is None:
            return _measured(store, replace(spec, data=str(data)), tuple(ABOUT), minutes, say, alone)
        quick_spec = replace(QUICK, data=tiny, report_test=spec.report_test)
        return _measured(store, quick_spec, QUICK_ROWS, minutes, say, lambda function, *given: function(*given))


def _measured(
    store: RunStore,
    spec: RunSpec,
    names: tuple[str, ...],
    minutes: float,
    say: Say,
    alone: Callable[..., dict[str, Any]],
) -> dict[str, Any]:
    deadline = time.monotonic() + 60 * minutes
    pipeline.load_dataset(spec.data)  # so that bad data is refused before the first minute
    (run,) = runs_of([spec], store)
    rows: dict[str, Any] = {}
    for name in names:
        file = run.path / "ablations" / f"{name}.json"
        if not file.is_file() and time.monotonic() < deadline:
            say(f"{name.replace('_', ' ')}: {ABOUT[name]}")
            alone(one_row, str(store.root), run.id, name)
        if file.is_file():
            rows[name] = json.loads(file.read_text())
    return {
        "complete": len(rows) == len(names),
        "data": spec.data,
        "budget": {"sequences": spec.sequences, "length": spec.length},
        "students": spec.students,
        "store": str(store.root),
        "rows": rows,
    }


def text(found: dict[str, Any]) -> str:
    parts: tuple[Part, ...] = ("valid", "test")
    shown = [part for part in parts if any(part in row for row in found["rows"].values())]
    rows = []
    for name, row in found["rows"].items():
        if "same_as" in row:
            rows.append((ABOUT[name], *("" for _ in shown), "", "", "", f"the same as {row['same_as']}: {row['why']}"))
            continue
        scores = (f"{row[part]['recall@10']['mean']:.4f} ± {row[part]['recall@10']['std']:.4f}" for part in shown)
        others = [
            form.format(row[key]) if key in row else ""
            for key, form in (
                ("regulariser", "{:.3f}"),
                ("entropy", "{:.2f}"),
                ("seconds", "{:.1f}"),
                ("peak_mb", "{:,.0f}"),
            )
        ]
        rows.append((ABOUT[name], *scores, *others))
    head = ("", *(f"{part} Recall@10" for part in shown), "regulariser", "entropy, nats", "seconds", "peak MB")
    made = table(head, rows, numbers=range(1, len(head)))
    return made if found["complete"] else f"{made}\n\nnot complete: the same command again goes on from here"


def one_row(root: str, run_id: str, name: str) -> dict[str, Any]:
    """Makes the set of a row, judges it, and keeps what was found in the run's folder."""
    store = RunStore(Path(root), bundled=None)
    run = store.get(run_id)
    with RunWriter(run.path) as writer:
        found = _row(run, writer, store.cache, name)
        writer.write_json(f"ablations/{name}.json", found)
    return found


def _row(run: Run, writer: RunWriter, cache: Path, name: str) -> dict[str, Any]:
    spec = run.spec
    world, experts = pipeline.prepare(spec, writer, cache, Clock(writer))
    config = DistillConfig(regularisation=spec.regularisation)
    if name == "no_subset" and world.n_items <= 2 * config.subset:
        return {"same_as": "default", "why": f"{world.n_items:,} items are all in every step"}
    teachers = [expert.load(expert.best, world.device) for expert in experts]
    start, recipe = pipeline.starting_set(spec, writer, world, teachers)
    if name in IN_FULL:
        if name == "in_full_longer":
            recipe = replace(recipe, steps=2 * recipe.steps)
        real = name == "real_in_full"
        read, session = (_histories(world, spec.length), None) if real else (start.items, start.session)
        return _judged(in_full(teachers, world.texts, read, recipe, session), recipe, spec, writer, world)
    made: list[SyntheticSequences] = []
    began = time.perf_counter()
    peak = above(
        lambda: made.append(_made(name, spec, writer, world, teachers, start, recipe, config)), world.device.type
    )
    spent = time.perf_counter() - began
    file = writer.path(f"ablations/{name}.safetensors")
    save(made[0].detach(), file, recipe, world.features, world.allowed_bytes(spec))
    stored, _ = load(file, world.features)
    labels = of_labels(stored, world.features)
    draw = drawn_rows(stored, stored.basis(world.features), recipe)
    return {**_judged(draw, recipe, spec, writer, world), **labels, "seconds": round(spent, 2), "peak_mb": peak}


def _made(
    name: str,
    spec: RunSpec,
    writer: RunWriter,
    world: World,
    teachers: list[SequentialRecommender],
    start: SyntheticSequences,
    recipe: Recipe,
    config: DistillConfig,
) -> SyntheticSequences:
    if name == "leading":
        draw = Generator().manual_seed(derived_seed(spec.seed, "start"))
        return with_teacher_labels(start.items, start.sequences, teachers, world.texts, start.form, draw, fit=0)
    if name.startswith("teacher_"):
        draw = Generator().manual_seed(derived_seed(spec.seed, name))
        if name == "teacher_random":
            items = real_readings(world.split.train, len(start.items), spec.length, start.session, draw)
        else:
            items = uniform_items(world.n_items, len(start.items), spec.length, draw)
        items = items.to(world.device)
        return with_teacher_labels(items, len(items), teachers, world.texts, start.form, draw)
    steps = DEFAULT_STEPS if spec.steps is None else spec.steps
    config = replace(config, **{"steps": steps, **ROWS[name].changes})
    windows = RealWindows(world.split.train, spec.length, world.device)
    shape, seed = pipeline.student_shape(spec, recipe), derived_seed(spec.seed, "distil")
    experts = teachers if ROWS[name].expert else []
    loop = ROWS[name].loop(start, world.texts, windows, shape, recipe, config, seed, experts)
    loop.each_step = writer.checkpoint
    for _ in loop.run():
        pass
    return loop.synthetic


def in_full(
    teachers: list[SequentialRecommender], texts: Texts, items: Tensor, recipe: Recipe, session: int | None
) -> Draw:
    """Mini-batches of sequences items [R, L] (-1 unused), in sessions, with the teachers' labels as they are, made as
    they are drawn.

    In a large catalogue they are scored on a subset as students of a stored set are, the likeliest items among it.
    """
    few = recipe.subset is not None and len(texts) > 2 * recipe.subset

    def draw(generator: Generator) -> Batch:
        size = min(len(items), recipe.batch_size or len(items))
        rows = items[torch.randint(len(items), (size,), generator=generator).to(items.device)]
        rows = in_sessions(rows, session, fill=UNUSED)
        labels, used = teacher_log_labels(teachers, texts, rows), (rows >= 0).unsqueeze(-1).float()
        scored = None
        if few and recipe.subset is not None:
            likeliest = labels.topk(max(1, recipe.subset // (2 * rows.numel()))).indices.flatten()
            scored = draw_subset(len(texts), likeliest, recipe.subset, generator)
            labels = (labels[..., scored.items] - scored.log_inclusion).log_softmax(-1)
        return Batch(rows.clamp(min=0).unsqueeze(-1), used, labels.exp() * used, scored)

    return draw


def _histories(world: World, length: int) -> Tensor:
    """The last L training events of every user who has two, [R, L], -1 after a shorter history."""
    train = world.split.train
    rows = [train.sequence(user)[-length:] for user in range(train.n_users) if len(train.sequence(user)) > 1]
    found = torch.full((len(rows), length), -1)
    for row, items in enumerate(rows):
        found[row, : len(items)] = torch.from_numpy(items.astype(np.int64))
    return found.to(world.device)


def _judged(draw: Draw, recipe: Recipe, spec: RunSpec, writer: RunWriter, world: World) -> dict[str, Any]:
    """Metrics of S students, whose seeds are the same for every row."""
    parts: tuple[Part, ...] = ("valid", "test") if spec.report_test else ("valid",)
    shape = pipeline.student_shape(spec, recipe)

    def student(k: int) -> dict[Part, dict[str, float]]:
        seed = derived_seed(spec.seed, "ablation", k)
        model = train_student(draw, world.texts, shape, recipe, seed, writer.heed_stop)
        return {part: summary(world.protocol.ranks(model_scorer(model, world.texts), part)) for part in parts}

    with closing(side_by_side((partial(student, k) for k in range(spec.students)), world.device)) as students:
        found = []
        for each in students:
            found.append(each)
            writer.checkpoint()
    return {part: spread([each[part] for each in found]) for part in parts}
