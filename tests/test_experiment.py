"""The whole experiment on a small world: complete, and the same after being cut off anywhere."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log
from patience import PATIENCE_S
from short_runs import short_runs

import foster.experts
import foster.hard_form
import foster.pipeline
from foster.clock import Clock
from foster.errors import UserError
from foster.experts import default_experts
from foster.hard_form import BALANCES, FINALISTS, HARD, JUDGES, OPENINGS, RANDOM, START_HARD
from foster.pipeline import HARD_RECIPE, choose_device, execute, prepare, soft_recipe, student_shape
from foster.recommend import load_model
from foster.runs import RunStore, RunWriter
from foster.spec import RunSpec
from foster.training import Recipe

NAMES = "full popular bigram zero_shot untrained random teacher_random teacher_uniform start_soft start_hard soft hard"


class Cut(Exception):
    pass


class CuttingWriter(RunWriter):
    """Dies at the n-th event of a kind, as a killed worker would."""

    def __init__(self, folder: Path, kind: str, at: int) -> None:
        super().__init__(folder)
        self.kind, self.left = kind, at

    def event(self, kind: str, **fields: Any) -> None:
        super().event(kind, **fields)
        self.left -= kind == self.kind
        if self.left == 0:
            raise Cut


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RunSpec]:
    folder = tmp_path / "cycle"
    with short_runs(folder, steps=5, save_every=8, student_steps=2, paths=2, real_batch=16) as patch:
        patch.setenv("OMP_NUM_THREADS", "2")  # students side by side
        yield RunSpec(data=str(folder), sequences=4, length=5, steps=20, students=2, report_test=True, device="cpu")


def finish(store: RunStore, run_folder: Path) -> dict[str, Any]:
    with RunWriter(run_folder) as writer:
        return execute(RunStore(store.root).get(run_folder.name).spec, writer, store.cache)


def comparable(report: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in report.items() if k not in ("seconds", "shared_students", "peak_memory_mb", "run_id")}


def test_the_number_of_cores_changes_no_result(world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foster.experts.default_experts", lambda *_: 3)
    found = {}
    for cores in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        store = RunStore(tmp_path / cores, bundled=None)
        run = store.create(world)
        report = finish(store, run.path)
        made = [(run.path / file).read_bytes() for file in ("synthetic.safetensors", "hard.json")]
        found[cores] = comparable(report), made
    assert found["1"] == found["2"]


@pytest.mark.parametrize(
    ("positions", "read", "count"),
    [(199, 1000, 1), (200, 0, 4), (400, 2_500_000, 4), (400, 2_500_001, 3), (400, 5_000_001, 1), (3000, 10**9, 1)],
)
def test_several_teach_where_there_is_room_and_time_for_what_they_say(positions: int, read: int, count: int) -> None:
    assert default_experts(positions, read) == count


def test_how_many_teach_follows_from_what_the_first_one_read(
    world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def count(positions: int, read: int) -> int:
        asked.append((positions, read))
        return 2 if read else 4

    monkeypatch.setattr("foster.experts.default_experts", count)
    store = RunStore(tmp_path / "runs")
    with RunWriter(store.create(world).path) as writer:
        _, experts = prepare(world, writer, store.cache, Clock(writer))
    assert len(experts) == 2
    # of nine events seven are left to train on; a batch has 16 windows
    assert asked[-1] == (20, experts[0].steps[-1] * 16 * 7)


@pytest.mark.parametrize(("many", "short", "size"), [(1, 7, 32), (1, 6.9, 16), (10_000, 7, 16)])
def test_many_short_histories_are_read_in_batches_twice_as_large(
    world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, short: float, size: int
) -> None:
    monkeypatch.setattr("foster.experts.MANY_USERS", many)
    monkeypatch.setattr("foster.experts.SHORT_HISTORY", short)
    asked: list[int] = []
    monkeypatch.setattr("foster.experts.default_experts", lambda _, read: asked.append(read) or 1)
    store = RunStore(tmp_path / "runs")
    with RunWriter(store.create(world).path) as writer:
        _, experts = prepare(world, writer, store.cache, Clock(writer))
    training = json.loads((experts[0].folder / "trajectory.json").read_text())["training"]
    assert (training["batch_size"], training["parts"]) == (size, size // 16)
    assert (training["learning_rate"] > 0.01) == (size > 16)
    assert asked[-1] == experts[0].steps[-1] * size * 7, "every history has seven events"


def test_progress_reckons_with_fewer_teachers_as_soon_as_the_first_reads_long(
    world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foster.experts.default_experts", lambda _, read: 4 if read < 1000 else 1)
    told: list[float] = []
    monkeypatch.setattr(Clock, "progress", lambda _, share, message: told.append(share))
    store = RunStore(tmp_path / "runs")
    with RunWriter(store.create(world).path) as writer:
        _, experts = prepare(world, writer, store.cache, Clock(writer))
    assert len(experts) == 1
    # a check every 8 steps, each of 16 windows of 7 events
    assert told == pytest.approx([(1 - 0.9**k) / (4 if 8 * k * 16 * 7 < 1000 else 1) for k in range(1, len(told) + 1)])
    assert told[1] > 2 * told[0]


def test_teachers_that_learn_side_by_side_tell_one_progress_that_never_falls(
    world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr("foster.experts.default_experts", lambda *_: 4)
    told: list[float] = []
    monkeypatch.setattr(Clock, "progress", lambda _, share, message: told.append(share))
    store = RunStore(tmp_path / "runs")
    run = store.create(world)
    with RunWriter(run.path) as writer:
        _, experts = prepare(world, writer, store.cache, Clock(writer))
    assert len({expert.folder for expert in experts}) == 4
    assert next(event["expert"] for event in run.events("expert") if event["done"]) == 0
    assert told == sorted(told)
    assert 0.5 < told[-1] <= 1


def test_a_teacher_that_fails_ends_the_run_and_those_beside_it(
    world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, begun = foster.experts.expert_of, threading.Event()

    def expert(spec: RunSpec, run: RunWriter, *rest: Any) -> object:
        number = rest[3]
        if number == 0:
            return alone(spec, run, *rest)
        if number == 2:
            assert begun.wait(PATIENCE_S)
            raise UserError("the disk is full")
        begun.set()
        while True:  # learns until nobody wants it any more
            run.checkpoint()
            time.sleep(0.01)

    monkeypatch.setattr("foster.experts.expert_of", expert)
    monkeypatch.setattr("foster.experts.default_experts", lambda *_: 3)
    store = RunStore(tmp_path / "runs")
    with RunWriter(store.create(world).path) as writer, pytest.raises(UserError, match="the disk is full"):
        prepare(world, writer, store.cache, Clock(writer))


def test_report_is_complete_and_everything_a_page_reads_is_there(
    world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foster.experts.default_experts", lambda *_: 2)
    store = RunStore(tmp_path / "runs")
    run = store.create(world)
    report = finish(store, run.path)
    assert set(report["valid"]) == set(report["test"]) == {*NAMES.split(), "ensemble"}
    assert report["experts"] == 2
    assert {event["expert"] for event in run.events("expert")} == {0, 1}
    assert report["valid"]["soft"]["recall@10"]["n"] == 2
    assert report["valid"]["bigram"]["recall@10"]["mean"] == 1  # planted
    assert report["budget"] == {"sequences": 4, "length": 5}
    assert run.report() == report
    assert len(run.sequences()) == 20
    assert run.snapshots()[0] == 0
    assert run.snapshots()[-1] == 20
    assert len(run.items()) == 24
    assert float(run.map()["mass"].sum()) == pytest.approx(20, abs=1e-2)
    models = {path.stem: load_model(path, 16) for path in sorted((run.path / "models").glob("*.safetensors"))}
    assert set(models) == {"full", "soft", "hard", "random", "untrained"}
    kept = {f"{file.parent.name}/{file.name}" for file in store.cache.glob("*/*")}
    assert kept == set(json.loads((run.path / "cache.json").read_text())["uses"])
    assert sorted(Path(name).parent.name for name in kept) == ["controls", "layouts", "layouts", *2 * ["trajectories"]]
    assert not torch.equal(models["full"].projection.weight, models["untrained"].projection.weight)
    assert set(run.neighbours().columns) >= {"nearest_user", "overlap", "repetition", "diversity"}


@pytest.mark.parametrize(("students", "judges"), [(1, 1), (2, 2), (4, 3)])
def test_a_run_of_few_students_has_as_few_judges_but_for_what_runs_share(
    world: RunSpec, tmp_path: Path, students: int, judges: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Recipe, int]] = []
    alone = foster.hard_form.train_student

    def counted(*given: Any) -> Any:
        asked.append((given[3], given[4]))
        return alone(*given)

    monkeypatch.setattr("foster.hard_form.train_student", counted)
    store = RunStore(tmp_path / "runs", bundled=None)
    finish(store, (run := store.create(dataclasses.replace(world, students=students))).path)
    seeds = [seed for recipe, seed in asked if recipe.event_dropout is None]
    assert len(set(seeds)) == JUDGES  # of random real ones, whose students other runs take
    candidates = 2 + len(BALANCES) * OPENINGS * judges  # the result, the start, walks
    more = len(seeds) - candidates - JUDGES
    assert more in {(judges - 1) * count for count in range(FINALISTS, 2 * FINALISTS + 1)}
    chosen = {json.loads((run.path / name).read_text())["reading"] for name in (HARD, START_HARD)}
    longer = len(asked) - len(seeds)
    assert longer - JUDGES in {judges * count for count in range(len(chosen), 3)}, "what was chosen, and random ones"


@pytest.mark.parametrize("better", ["labels", "walk_2_0", "walk_4_0", "walk_4_4"])
def test_the_hard_form_is_the_candidate_from_which_students_learn_most(
    world: RunSpec, tmp_path: Path, better: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["labels", *(f"walk_{balance}_{opening}" for opening in range(6) for balance in (2, 4))]
    made = {name: torch.full((4, 5), item) for item, name in enumerate(names)}
    made[better] = round_the_cycle = torch.arange(20).view(4, 5)  # the others teach nothing
    firsts: list[tuple[int, ...]] = []  # of the walks, in the order in which they are first asked for
    often = torch.from_numpy(np.bincount(cycle_log().leave_one_out().train.items, minlength=N_ITEMS))

    def walk(teachers: list[Any], _: Any, first: torch.Tensor, length: int, in_log: Any, by: float, *_rest: Any) -> Any:
        assert (len(teachers), length, in_log.tolist()) == (2, 5, often.tolist())
        if (opening := tuple(first.tolist())) not in firsts:
            firsts.append(opening)
        return made[f"walk_{by:g}_{firsts.index(opening)}"]

    monkeypatch.setattr("foster.experts.default_experts", lambda *_: 2)
    monkeypatch.setattr("foster.hard_form.harden", lambda *_: made["labels"])
    monkeypatch.setattr("foster.hard_form.teacher_walk", walk)
    store = RunStore(tmp_path / "runs")
    spec = dataclasses.replace(world, steps=2)
    run = store.create(spec)
    with pytest.raises(Cut), CuttingWriter(run.path, "student", 2) as writer:  # the hard form is chosen by then
        execute(spec, writer, store.cache)
    (found,) = (each for each in run.events("hard") if each["name"] == HARD)
    assert found[better] == max(found[name] for name in made)
    assert len(firsts) == 6
    assert firsts[0] == tuple(made["labels"][:, 0].tolist()), "the first walks begin where the set does"
    for file in (HARD, START_HARD):
        kept = json.loads((run.path / file).read_text())
        assert kept["reading"] == better
        assert kept["sequences"] == [[f"i{item}" for item in row] for row in round_the_cycle.tolist()]


@pytest.mark.parametrize(("more", "walks"), [(0, 6), (-1, 2)])
def test_walks_of_many_positions_begin_where_the_set_does_alone(
    world: RunSpec, tmp_path: Path, more: int, walks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foster.hard_form.FEW", world.sequences * world.length + more)
    store = RunStore(tmp_path / "runs", bundled=None)
    finish(store, (run := store.create(dataclasses.replace(world, students=1))).path)
    (found,) = (each for each in run.events("hard") if each["name"] == HARD)
    assert sum(name.startswith("walk") for name in found) == walks


def test_plain_sequences_are_judged_by_some_of_many_held_out_items(
    world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    alone = foster.hard_form.ndcg_at
    monkeypatch.setattr("foster.hard_form.ASKED", 7)
    monkeypatch.setattr("foster.hard_form.ndcg_at", lambda ranks, k: counted.append(len(ranks)) or alone(ranks, k))
    store = RunStore(tmp_path / "runs", bundled=None)
    finish(store, store.create(dataclasses.replace(world, students=1)).path)
    assert set(counted) == {7}


@pytest.mark.parametrize("gaps", [True, False])
def test_students_of_plain_sequences_learn_by_the_recipe_that_ranks_best(
    world: RunSpec, tmp_path: Path, gaps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: one of the two recipes takes no step."""
    steps, alone = 100, foster.hard_form.longer
    recipe = Recipe(steps=0 if gaps else steps, learning_rate=1e-2, matrix_rate=3e-2)
    monkeypatch.setattr("foster.pipeline.HARD_RECIPE", recipe)
    monkeypatch.setattr(
        "foster.hard_form.longer", lambda given: dataclasses.replace(alone(given), steps=steps if gaps else 0)
    )
    store = RunStore(tmp_path / "runs", bundled=None)
    monkeypatch.setattr("foster.hard_form.harden", lambda *_: torch.arange(20).view(4, 5))  # of the cycle
    monkeypatch.setattr("foster.hard_form.teacher_walk", lambda *_: torch.arange(20).view(4, 5))
    report = finish(store, (run := store.create(world)).path)
    for file in (HARD, START_HARD, RANDOM):
        told = json.loads((run.path / file).read_text())["recipe"]
        assert told.get("event_dropout") == (0.3 if gaps else None), file
        assert None not in told.values()
        assert told["steps"] == steps
    assert report["hard_recipe"].get("event_dropout") == (0.3 if gaps else None)


def test_where_start_and_result_are_one_walk_their_rows_are_one(
    world: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foster.hard_form.harden", lambda *_: torch.arange(20).view(4, 5))
    store = RunStore(tmp_path / "runs", bundled=None)
    report = finish(store, (run := store.create(world)).path)
    assert (run.path / HARD).read_bytes() == (run.path / START_HARD).read_bytes()
    assert report["test"]["hard"] == report["test"]["start_hard"]


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        ("stage", 2),
        ("expert", 2),
        ("distil", 3),
        ("distil", 18),
        ("hard", 1),
        ("hard", 3),
        ("student", 3),
        ("stage", 6),
    ],
)
def test_a_run_cut_off_anywhere_ends_with_the_same_result(
    world: RunSpec, tmp_path: Path, kind: str, at: int, uncut: dict[str, Any]
) -> None:
    if not uncut:
        whole = RunStore(tmp_path / "whole")
        run = whole.create(world)
        uncut["report"] = comparable(finish(whole, run.path))
        uncut["artefact"] = (run.path / "synthetic.safetensors").read_bytes()
        uncut["hard"] = (run.path / "hard.json").read_bytes()
    store = RunStore(tmp_path / "cut")
    run = store.create(world)
    with pytest.raises(Cut), CuttingWriter(run.path, kind, at) as writer:
        execute(world, writer, store.cache)
    report = comparable(finish(store, run.path))
    assert (run.path / "synthetic.safetensors").read_bytes() == uncut["artefact"]
    assert (run.path / "hard.json").read_bytes() == uncut["hard"]
    assert {**report, "spec_hash": ""} == {**uncut["report"], "spec_hash": ""}  # the data folder's path differs


@pytest.fixture(scope="module")
def uncut() -> dict[str, Any]:
    return {}


def test_more_sequences_than_users_and_no_steps_still_report(world: RunSpec, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    run = store.create(dataclasses.replace(world, sequences=50, length=3, steps=0, students=1, report_test=False))
    report = finish(store, run.path)
    assert "test" not in report
    assert set(report["valid"]) == set(NAMES.split())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_says_what_to_do() -> None:
    with pytest.raises(UserError, match="--device cpu"):
        choose_device("cuda")


def test_students_of_few_labels_take_fewer_steps_and_more_dropout_than_of_many() -> None:
    steps = [soft_recipe(labels).steps for labels in (1, 49, 50, 399, 400, 500, 10_000)]
    assert steps == [100, 100, 400, 400, 640, 800, 1200]
    dropouts = [soft_recipe(labels).dropout for labels in (1, 399, 1000, 2000, 6000)]
    assert dropouts == [0.3, 0.3, 0.15, 0.09, 0.03], "many labels are not overfitted"
    few, many = soft_recipe(399), soft_recipe(400)
    assert few.learning_rate < many.learning_rate
    assert few.matrix_rate is not None
    assert many.matrix_rate is not None
    assert few.matrix_rate < many.matrix_rate


def test_students_of_a_handful_of_labels_have_no_adapter() -> None:
    assert [soft_recipe(labels).adapter for labels in (1, 49, 50, 10_000)] == [False, False, True, True]


def test_students_of_labels_have_an_adapter_those_of_plain_sequences_and_of_earlier_sets_none() -> None:
    recipes = (soft_recipe(200), HARD_RECIPE, Recipe())
    assert [student_shape(RunSpec(), recipe).adapter for recipe in recipes] == [True, False, False]
