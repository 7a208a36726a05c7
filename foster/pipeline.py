"""The experiment, top to bottom: data → text → experts → distillation → students → map → report.

Every stage keeps what it finished in the run's `checkpoints/` (experts, and students on controls, in the shared cache),
so that a run killed at any moment goes on where it was and ends with the same result.
"""

from __future__ import annotations

import hashlib
import json
import resource
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Generator

from foster import __version__
from foster.artefact import load, save
from foster.clock import STAGES, Clock
from foster.condensers import (
    arranged_by_teacher,
    gathered_by_theme,
    joined,
    random_real,
    weighted_items,
    with_teacher_labels,
)
from foster.controls import Controls
from foster.decode import neighbour_table, sequence_table, snapshot_table
from foster.distiller import DistillConfig, Distiller
from foster.encoder import TextEncoder, embeddings_file, item_embeddings, load_embeddings, public_features
from foster.errors import UserError
from foster.evaluate import Protocol, model_scorer
from foster.experts import FULL, TEXT_RATE, experts_of
from foster.formats import Dataset, load_dataset
from foster.hard_form import HARD, JUDGES, START_HARD, read_hard, write_hard
from foster.interactions import Split
from foster.item_map import item_map, kept_layouts
from foster.metrics import summary
from foster.parallel import all_cores, use_one_thread
from foster.recommender import RecommenderConfig, SequentialRecommender
from foster.repeats import repeats_of
from foster.rows import Rows
from foster.runs import RunWriter
from foster.spec import DEFAULT_STEPS, RunSpec
from foster.stored_form import Form, affordable_form, log_bytes
from foster.students import derived_seed, train_student
from foster.synthetic import SyntheticSequences, drawn_rows
from foster.training import RealWindows, Recipe
from foster.trajectory import ExpertTrajectory
from foster.tuning import states_file, token_states
from foster.world import World

SOFT_RECIPE = Recipe(
    steps=1200, learning_rate=4e-2, matrix_rate=0.05, warmup=30, dropout=0.15, batch_size=10, subset=1024, adapter=True
)
FEW_LABELS, HANDFUL, MANY_LABELS_STEPS = 400, 50, 2000
HARD_RECIPE = Recipe(steps=120, learning_rate=5e-3, matrix_rate=0.01, dropout=0.5, subset=1024)
FOR_START = 0.97  # of the bytes, so that what the loop makes of it can be stored with the same step
SNAPSHOTS = 30
CHECK_EVERY = 120  # steps between two fresh students of a loop, each of which takes as long as many steps
START_FILE, EXACT_FILE = "checkpoints/start.safetensors", "checkpoints/exact.safetensors"
SOFT_FILE, ENGINE_FILE = "synthetic.safetensors", "checkpoints/engine.json"
# Raise it when equal settings learn something else: what another one made is not gone on from.
ENGINE = 24  # of a run's checkpoints


def execute(spec: RunSpec, run: RunWriter, cache: Path) -> dict[str, Any]:
    """Carry out `spec`, writing everything a person will look at into `run`; returns the report.

    cache: folder of embeddings, experts and students on controls, shared between runs. Raises UserError for data, an
    encoder or a device that cannot be had, `Stopped` when asked to stop.
    """
    clock = Clock(run)
    world, experts = prepare(spec, run, cache, clock)
    dataset, split, device = world.dataset, world.split, world.device
    teachers = [expert.load(expert.best, device) for expert in experts]
    controls = Controls(run, controls_folder(spec, world, experts, cache))
    rows = Rows(spec, run, world, teachers, partial(student_shape, spec), controls)
    try:
        with clock.stage("distil"):
            final, steps = _distil(spec, run, world, teachers, rows, clock)
        with clock.stage("students"):
            valid, test = rows.measure(final, steps, clock)
    except BaseException:
        run.give_up()  # so that no student learns on, side by side with what failed, while the run ends
        raise
    with clock.stage("map"):
        _map(run, world, final, cache, clock)

    hard, hard_recipe = read_hard(run, HARD, world)
    report = {
        "schema": 1,
        "run_id": run.folder.name,
        "spec_hash": spec.hash(),
        "method": spec.method,
        "experts": len(experts),
        "data": _data_summary(dataset, split),
        "budget": {"sequences": spec.sequences, "length": spec.length},
        "form": asdict(final.form),
        "hard_recipe": hard_recipe.told(),
        "stored_bytes": {
            "soft": run.path(SOFT_FILE).stat().st_size,
            "hard": hard.numel() * (2 if world.n_items <= 2**16 else 4),
            "log": log_bytes(split.train, world.n_items),
        },
        "valid": valid,
        **({"test": test} if spec.report_test else {}),
        "seconds": {name: round(spent, 2) for name, spent in clock.spent.items()},
        "shared_students": rows.results.shared,
        "peak_memory_mb": _peak_memory_mb(device),
        "device": str(device),
        "seed": spec.seed,
        "version": __version__,
        "engine": ENGINE,
    }
    run.write_json("report.json", report)
    return report


def prepare(spec: RunSpec, run: RunWriter, cache: Path, clock: Clock) -> tuple[World, list[ExpertTrajectory]]:
    """What comes before a distillation, and does not depend on how it is done. Raises as `execute`."""
    _of_this_engine(run)
    device = choose_device(spec.device)
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # every new tensor would be written twice
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        use_one_thread()
    run.status(device=str(device))
    with clock.stage("data"):
        dataset, split = _data(spec, run)
    with clock.stage("embed"), all_cores():
        world = _embed(spec, run, dataset, split, device, cache)
    with clock.stage("experts"):
        return world, experts_of(spec, run, world, cache, clock)


def _of_this_engine(run: RunWriter) -> None:
    """Raises UserError for a run that another engine has begun: half of each would be neither's result."""
    if begun_by_another(run.folder):
        raise UserError("this run was begun by another version of foster, which learns otherwise; start it anew")
    run.path(ENGINE_FILE)
    run.write_json(ENGINE_FILE, ENGINE)


def begun_by_another(folder: Path) -> bool:
    """Whether a run's folder holds what another engine made."""
    mark, begun = folder / ENGINE_FILE, (folder / START_FILE).is_file()
    return (json.loads(mark.read_text()) if mark.is_file() else None if begun else ENGINE) != ENGINE


def choose_device(name: str) -> torch.device:
    """`auto` is a GPU when there is one. Raises UserError for cuda without a GPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device is 'cuda' but torch sees no GPU on this machine; use --device auto or --device cpu")
    return torch.device(name)


def session_length(split: Split, length: int) -> int | None:
    """Sessions of about equal length, no longer than a usual history, that fill a reading of L; None for one."""
    count = -(-length // split.usual_history)
    return None if count == 1 else -(-length // count)


def _data(spec: RunSpec, run: RunWriter) -> tuple[Dataset, Split]:
    dataset = load_dataset(spec.data)
    split = dataset.interactions.leave_one_out()
    run.write_json("data.json", _data_summary(dataset, split))
    import pandas as pd

    catalog = dataset.catalog
    popularity = np.bincount(split.train.items, minlength=len(catalog))
    columns = {
        "item": np.arange(len(catalog), dtype=np.int32),
        "item_id": list(catalog.ids),
        "title": list(catalog.titles),
        "category": list(catalog.category),
        "popularity": popularity.astype(np.int32),
    }
    run.write_table("items.parquet", pd.DataFrame(columns))
    return dataset, split


def _data_summary(dataset: Dataset, split: Split) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "users": split.train.n_users,
        "items": len(dataset.catalog),
        "interactions": len(dataset.interactions.items),
        "dropped": dict(dataset.dropped),
        "history_masked": split.mask_history,
        "repeat_share": split.repeat_share,
    }


def _embed(spec: RunSpec, run: RunWriter, dataset: Dataset, split: Split, device: torch.device, cache: Path) -> World:
    texts = dataset.catalog.texts

    def progress(done: int, total: int) -> None:
        run.checkpoint()
        run.status(fraction=STAGES["data"] + STAGES["embed"] * done / total, message=f"{done} of {total} texts")

    if dataset.embeddings is not None and spec.encoder == "minilm":
        embeddings, origin = load_embeddings(dataset.embeddings, len(texts)), "minilm, shipped"
    else:
        encoder = TextEncoder.named(spec.encoder)
        run.uses(embeddings_file(encoder, texts, cache))
        embeddings, origin = item_embeddings(encoder, texts, cache, device, progress), encoder.identity
    store = None
    if spec.tuned_layers:
        encoder = TextEncoder.named(spec.encoder)
        run.uses(states_file(encoder, texts, spec.tuned_layers, cache))
        store = token_states(encoder, texts, spec.tuned_layers, embeddings, cache, device, progress)
        origin = f"{origin}, {spec.tuned_layers} layers tuned"
    digest = hashlib.sha256(f"{dataset.catalog.fingerprint}/{origin}".encode())
    digest.update(split.train.items.tobytes() + split.train.offsets.tobytes() + split.valid.tobytes())
    protocol = Protocol(split, len(texts))
    features = public_features(embeddings).to(device)
    repeats = None if split.mask_history else repeats_of(split.train)
    return World(dataset, split, features, protocol, device, digest.hexdigest(), repeats, store)


def _distil(
    spec: RunSpec,
    run: RunWriter,
    world: World,
    teachers: list[SequentialRecommender],
    rows: Rows,
    clock: Clock,
) -> tuple[SyntheticSequences, int]:
    """Start, loop, artefact. Returns the final set as read back from disk, and after how many steps."""
    steps = DEFAULT_STEPS if spec.steps is None else spec.steps
    state_file = run.path("checkpoints/distil.safetensors")
    clock.tell(0.0, "labels of the start")
    start, recipe = starting_set(spec, run, world, teachers)
    basis = start.basis(world.features)

    config = DistillConfig(steps=steps, regularisation=spec.regularisation)
    windows = RealWindows(world.split.train, spec.length, world.device)
    seed = derived_seed(spec.seed, "distil")
    distiller = Distiller(
        start, world.texts, windows, student_shape(spec, recipe), recipe, config, seed, teachers, run.checkpoint
    )
    if state_file.is_file():
        distiller.restore(load_file(state_file))
    keep = set(np.unique(np.geomspace(1, max(1, steps), SNAPSHOTS).round().astype(int)).tolist())
    if distiller.step == 0:
        run.write_table("snapshots/000000.parquet", snapshot_table(start, basis))
        clock.tell(0.0, "first students")
        judged = distiller.begin(rows.on_start)
        run.event("valid", step=0, **judged)
    for event in distiller.run():
        if event.step in keep:
            run.write_table(f"snapshots/{event.step:06d}.parquet", snapshot_table(distiller.synthetic, basis))
        if event.step % CHECK_EVERY == 0 and event.step < steps:
            _check_student(spec, run, world, distiller)
        # last, so that who sees it finds the step's snapshot and student; that of the last step is a row of the report
        run.event("distil", **asdict(event))
        if distiller.at_checkpoint:
            run.write_file("checkpoints/distil.safetensors", lambda path: save_file(distiller.state(), path))
        clock.progress(event.step / steps, f"step {event.step} of {steps}")

    learned = distiller.synthetic.detach()
    run.write_file(SOFT_FILE, lambda path: save(learned, path, recipe, world.features, world.allowed_bytes(spec)))
    final, _ = load(run.path(SOFT_FILE), world.features)
    if not run.path(HARD).is_file():  # chosen once: rows that are done are of what was chosen then
        hard_recipe, sets = recipe_on(world, HARD_RECIPE), {START_HARD: start, HARD: final}
        shape = student_shape(spec, hard_recipe)
        draw = Generator().manual_seed(derived_seed(spec.seed, "random"))
        random = random_real(world.split.train, spec.sequences, spec.length, draw)
        judges = min(JUDGES, spec.students)  # a run of few students is to be quick
        write_hard(run, world, teachers, sets, random, shape, hard_recipe, spec.seed, judges, clock)
    hard, _ = read_hard(run, HARD, world)
    run.write_table("sequences.parquet", sequence_table(final, hard, basis, world.dataset.catalog))
    run.write_table("neighbours.parquet", neighbour_table(hard, world.split.train, world.features))
    return final, steps


def controls_folder(spec: RunSpec, world: World, experts: list[ExpertTrajectory], cache: Path) -> Path:
    """Where the students on controls and on the start are shared, named by the hash of all that decides them."""
    taught = [asdict(each) for each in (FULL, SOFT_RECIPE, HARD_RECIPE)]
    teachers = [expert.folder.name for expert in experts]  # of data, texts and device as well
    decided = [ENGINE, taught, teachers, spec.seed, spec.sequences, spec.length]
    digest = hashlib.sha256(json.dumps(decided).encode())
    digest.update(world.split.test.tobytes())
    return cache / "controls" / digest.hexdigest()[:32]


def soft_recipe(labels: int) -> Recipe:
    """By which students of a set of so many labels learn: few labels they would only overfit at high rates or without
    dropout, a handful of them with an adapter, too; many they would not see often enough in few steps, and dropout only
    slows them down."""
    if labels < FEW_LABELS:
        few = replace(SOFT_RECIPE, learning_rate=5e-3, matrix_rate=6.25e-3, dropout=0.3)
        return replace(few, steps=100, adapter=False) if labels < HANDFUL else replace(few, steps=400)
    steps = min(SOFT_RECIPE.steps, max(min(800, round(1.6 * labels)), round(0.45 * labels)))
    dropout = round(min(SOFT_RECIPE.dropout, 180 / labels), 3)
    return replace(SOFT_RECIPE, steps=max(steps, min(MANY_LABELS_STEPS, round(0.1 * labels))), dropout=dropout)


def starting_set(
    spec: RunSpec, run: RunWriter, world: World, teachers: list[SequentialRecommender]
) -> tuple[SyntheticSequences, Recipe]:
    """The set before the first step and its recipe, made and kept at the first call: as read back from disk, but with
    labels that were not rounded, as what is smaller than a step would be lost on rounded ones."""
    file, exact = run.path(START_FILE), run.path(EXACT_FILE)
    if not (file.is_file() and exact.is_file()):
        allowed = world.allowed_bytes(spec)
        widths = (world.features.shape[1], teachers[0].config.width)
        form = affordable_form(spec.sequences, spec.length, world.n_items, widths, allowed)
        form = replace(form, session=session_length(world.split, spec.length))
        start, size = _stored_start(spec, run, world, teachers, form)
        while size > allowed and form.readings > 1:  # labels of this log are less foreseeable than a form reckons with
            form = replace(form, readings=max(1, min(form.readings - 1, form.readings * allowed // size)))
            start, size = _stored_start(spec, run, world, teachers, form)
        exact_labels = {"queries": start.queries.cpu().contiguous()}
        run.write_file(EXACT_FILE, lambda path: save_file(exact_labels, path))  # last: where both are, both are whole
    start, recipe = load(file, world.features)
    return replace(start, queries=load_file(exact)["queries"].to(world.device)), recipe


def _stored_start(
    spec: RunSpec, run: RunWriter, world: World, teachers: list[SequentialRecommender], form: Form
) -> tuple[SyntheticSequences, int]:
    """The set before the first step in a given form, its labels not rounded, and the bytes that START_FILE has then."""
    draw = Generator().manual_seed(derived_seed(spec.seed, "start"))
    # √ of popularity: what people read must stand in the contexts, what few read must too
    counts = np.bincount(world.split.train.items, minlength=world.n_items)
    weights = torch.from_numpy(np.sqrt(counts + 0.1)).float()
    session = form.session or spec.length
    count = form.readings * spec.sequences * -(-spec.length // session)
    drawn = weighted_items(weights, count * session, draw).to(world.device)
    arranged = arranged_by_teacher(teachers[0], world.texts, drawn, count, draw, run.checkpoint)
    themes = gathered_by_theme(arranged, spec.sequences, world.features)
    items = joined(themes, spec.sequences, spec.length)
    start = with_teacher_labels(items, spec.sequences, teachers, world.texts, form, draw, each_step=run.checkpoint)
    recipe = recipe_on(world, soft_recipe(start.queries[..., 0].numel()))
    available = round(FOR_START * world.allowed_bytes(spec))
    run.write_file(START_FILE, lambda path: save(start, path, recipe, world.features, available))
    return start, run.path(START_FILE).stat().st_size


def recipe_on(world: World, recipe: Recipe) -> Recipe:
    """The recipe with what depends on the log and on the encoder."""
    return replace(world.repeating(recipe), text_rate=None if world.store is None else TEXT_RATE)


def student_shape(spec: RunSpec, recipe: Recipe) -> RecommenderConfig:
    """A student by a recipe reads as many events as a synthetic sequence has."""
    return replace(
        FULL,
        max_length=spec.length,
        adapter=recipe.adapter,
        dropout=recipe.dropout,
        repeat_rate=recipe.repeat_rate,
        repeat_decay=recipe.repeat_decay,
    )


def _check_student(spec: RunSpec, run: RunWriter, world: World, distiller: Distiller) -> None:
    """One fresh student on the set as it stands, on validation: what the live page shows."""
    draw = drawn_rows(distiller.synthetic.detach(), distiller.basis, distiller.recipe)
    seed = derived_seed(spec.seed, "check", distiller.step)
    shape = student_shape(spec, distiller.recipe)
    student = train_student(draw, world.texts, shape, distiller.recipe, seed, run.checkpoint)
    found = summary(world.protocol.ranks(model_scorer(student, world.texts), "valid"))
    run.event("valid", step=distiller.step, **found)


def _map(run: RunWriter, world: World, final: SyntheticSequences, cache: Path, clock: Clock) -> None:
    with torch.no_grad():
        basis = final.basis(world.features)
        totals = torch.stack([(q @ basis.T).softmax(-1).sum(0) for q in final.own]).cpu().numpy()
    features = world.features.cpu().numpy()
    for file in kept_layouts(world.split.train, features, cache):
        run.uses(file)

    def report(share: float, view: str) -> None:
        run.checkpoint()
        clock.tell(share, f"map: {view} view")

    run.write_table("map.parquet", item_map(world.split.train, totals, features, cache, report))


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
