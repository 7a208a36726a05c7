"""The headline benchmark: ranks that are kept, runs that go on where they were cut, planted superiority."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cycle_world import cycle_folder, cycle_log
from safetensors.numpy import save_file
from short_runs import no_map, short_runs

import foster.pipeline
from foster.bench import headline
from foster.console import plain
from foster.errors import UserError
from foster.evaluate import Protocol, popular_scorer
from foster.metrics import summary
from foster.pipeline import execute
from foster.results import Results, kept_ranks
from foster.run_files import to_json
from foster.runs import RunState, RunStore, RunWriter
from foster.spec import RunSpec

NAMES = "full popular bigram zero_shot untrained random teacher_random teacher_uniform start_soft start_hard soft hard"
SPEC = RunSpec(sequences=3, length=4, steps=4, students=2, report_test=True, device="cpu")


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The cycle with shipped embeddings, and recipes of seconds."""
    folder = tmp_path_factory.mktemp("data") / "cycle"
    with short_runs(folder, save_every=2, paths=2, student_steps=1) as patch:
        patch.setattr(foster.pipeline, "item_map", no_map)
        yield str(folder)


def call(root: Path, *data: str, minutes: float = 60, **changes: Any) -> dict[str, Any]:
    asked = {"root": root, "data": data, "spec": SPEC, "distillations": 2, "minutes": minutes, **changes}
    return headline.measure(False, lambda line: None, **asked)


def values(found: dict[str, Any]) -> Any:
    """What must not depend on how the runs went."""
    (of_set,) = found["sets"]
    return json.loads(to_json({name: of_set[name] for name in ("rows", "superiority", "stored_bytes", "users")}))


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory, data: str) -> dict[str, Any]:
    return call(tmp_path_factory.mktemp("whole"), data)


def test_a_complete_headline_holds_every_row_with_its_uncertainty(uncut: dict[str, Any]) -> None:
    assert uncut["complete"] is True
    (of_set,) = uncut["sets"]
    assert set(of_set["rows"]) == set(NAMES.split())
    assert (of_set["rows"]["soft"]["n"], of_set["rows"]["full"]["n"]) == (4, 2)
    bigram = of_set["rows"]["bigram"]["recall@10"]
    assert (bigram["mean"], bigram["sd_distillations"], bigram["sd_students"]) == (1, 0, None)  # planted
    soft = of_set["rows"]["soft"]["ndcg@10"]
    assert soft["interval"][0] <= soft["of_full"] <= soft["interval"][1]
    assert set(of_set["superiority"]["recall@10"]) == {"start_soft", *headline.CONTROLS}
    assert of_set["superiority"]["recall@10"]["bigram"]["p"] == 1  # nothing is above everything right
    for metric in headline.METRICS:
        for name, tested in of_set["superiority"][metric].items():
            assert 0 < tested["p"] <= tested["p_holm"] <= 1, name
    assert set(of_set["stored_bytes"]) == {"soft", "hard", "log"}
    assert {"experts", "distil", "students"} <= set(of_set["seconds"])
    assert json.loads(to_json(uncut))["sets"][0]["users"] == 40
    text = headline.text(uncut)
    assert "Distilled, soft" in text
    assert "soft above uniform items" in text


def test_ranks_of_every_user_give_the_metrics_of_the_report(uncut: dict[str, Any]) -> None:
    store = RunStore(Path(uncut["store"]), bundled=None)
    for each in uncut["sets"][0]["runs"]:
        run = store.get(each["run"])
        report = run.report()
        assert report is not None
        for part in ("valid", "test"):
            ranks = kept_ranks(run.path, part)  # type: ignore[arg-type]
            assert set(ranks) == set(NAMES.split())
            assert ranks["soft"].shape == (2, 40)
            assert ranks["soft"].dtype == np.int32
            for name, found in ranks.items():
                means = np.mean([summary(each)["mrr"] for each in found.astype(np.int64)])
                assert means == pytest.approx(report[part][name]["mrr"]["mean"])


def test_a_row_without_its_ranks_is_measured_again(tmp_path: Path) -> None:
    """As of a run begun before ranks were kept."""
    protocol = Protocol(cycle_log().leave_one_out(), 24)
    run = RunStore(tmp_path / "runs", bundled=None).create(SPEC)
    with RunWriter(run.path) as writer:
        results = Results(writer, protocol, report_test=False)
        results.add("popular", 0, results.measure(popular_scorer(protocol.split, 24)))
        assert Results(writer, protocol, report_test=False).has("popular", 0)
        assert set(kept_ranks(run.path, "valid")) == {"popular"}
        assert kept_ranks(run.path, "test") == {}
        (run.path / "checkpoints/ranks/popular-0.safetensors").unlink()
        assert not Results(writer, protocol, report_test=False).has("popular", 0)


@pytest.mark.parametrize(("kind", "at"), [("expert", 1), ("distil", 3), ("student", 3), ("student", 9)])
def test_a_headline_cut_after_a_piece_and_continued_equals_an_uncut_one(
    uncut: dict[str, Any], data: str, tmp_path: Path, kind: str, at: int
) -> None:
    class StoppingWriter(RunWriter):
        left = at

        def event(self, kind_of: str, **fields: Any) -> None:
            super().event(kind_of, **fields)
            self.left -= kind_of == kind
            if self.left == 0:
                (self.folder / "stop").touch()

    def cut(spec: RunSpec, run: RunWriter, cache: Path) -> Any:
        run.__class__ = StoppingWriter
        return execute(spec, run, cache)

    first = call(tmp_path, data, execute=cut)
    assert first["complete"] is False
    assert [each["state"] for each in first["sets"][0]["runs"]] == ["stopped", "queued"]
    assert "rows" not in first["sets"][0]
    assert "the same command again goes on" in headline.text(first)
    second = call(tmp_path, data)
    assert values(second) == values(uncut)
    assert len(RunStore(tmp_path / headline.STORE, bundled=None).list()) == 2


def test_a_killed_call_goes_on(uncut: dict[str, Any], data: str, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def killed(spec: RunSpec, run: RunWriter, cache: Path) -> Any:
        run.event = lambda kind, **fields: (_ for _ in ()).throw(Killed()) if kind == "student" else None  # type: ignore[assignment]
        return execute(spec, run, cache)

    with pytest.raises(Killed):
        call(tmp_path, data, execute=killed)
    (begun,) = (run for run in RunStore(tmp_path / headline.STORE, bundled=None).list() if run.spec.seed == 0)
    assert begun.status().state is RunState.LOST
    assert values(call(tmp_path, data)) == values(uncut)


def test_what_is_complete_is_not_run_again(uncut: dict[str, Any], data: str) -> None:
    def never(spec: RunSpec, run: RunWriter, cache: Path) -> Any:
        raise AssertionError

    again = call(Path(uncut["store"]).parent, data, execute=never)
    assert values(again) == values(uncut)


def test_no_time_left_begins_nothing_and_says_so(data: str, tmp_path: Path) -> None:
    found = call(tmp_path, data, minutes=0)
    assert found["complete"] is False
    assert [each["state"] for each in found["sets"][0]["runs"]] == ["queued", "queued"]


def test_a_run_that_fails_is_an_error_with_its_reason(data: str, tmp_path: Path) -> None:
    def broken(spec: RunSpec, run: RunWriter, cache: Path) -> Any:
        raise UserError("the catalogue is empty; give one item")

    with pytest.raises(UserError, match=r"failed: the catalogue is empty.*tries it again"):
        call(tmp_path, data, execute=broken)


@pytest.mark.parametrize(("quick", "data_given", "said"), [(False, [], "--data"), (True, ["sample"], "leave out")])
def test_data_that_is_missing_or_in_vain_is_said(tmp_path: Path, quick: bool, data_given: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        headline.measure(quick, plain, root=tmp_path, data=data_given, spec=SPEC, distillations=1, minutes=1)


def planted_run(store: RunStore, spec: RunSpec, shares: dict[str, float]) -> None:
    """A finished run whose rows find each user's item with the given probability."""
    draw = np.random.default_rng(spec.seed)
    user = draw.random(300)
    run = store.create(spec)
    with RunWriter(run.path) as writer:
        found: dict[str, dict[str, Any]] = {}
        for name, share in shares.items():
            for k in range(spec.students):
                ranks = np.where(0.7 * user + 0.3 * draw.random(300) < share, 1, 99).astype(np.int32)
                file = f"checkpoints/ranks/{name}-{k}.safetensors"
                writer.write_file(file, lambda path, ranks=ranks: save_file({"test": ranks}, path))
                found.setdefault(name, {})[str(k)] = {}
        writer.write_json("checkpoints/students.json", found)
        stored = {"soft": 10 + spec.seed, "hard": 1, "log": 99}
        writer.write_json(
            "report.json",
            {"schema": 1, "stored_bytes": stored, "seconds": {"distil": 2.0}, "device": "cpu", "version": "0"},
        )
        writer.finish(RunState.DONE)


def test_planted_superiority_is_found_where_it_is_and_pooled_over_sets(data: str, tmp_path: Path) -> None:
    shares = dict.fromkeys(headline.CONTROLS, 0.2) | {"teacher_uniform": 0.5, "full": 0.6, "soft": 0.5}
    other = cycle_folder(tmp_path / "other")
    store = RunStore(tmp_path / headline.STORE, bundled=None)
    for name in (data, str(other)):
        for seed in range(2):
            spec = dataclasses.replace(SPEC, data=name, seed=seed)
            planted_run(store, spec, {**shares, "start_soft": 0.3})
    found = call(tmp_path, data, str(other), data)
    assert len(found["sets"]) == 2
    for tested in (*(each["superiority"]["recall@10"] for each in found["sets"]), found["pooled"]["recall@10"]):
        assert tested["start_soft"]["p"] < 0.01
        assert all(tested[name]["p_holm"] < 0.01 for name in headline.CONTROLS if name != "teacher_uniform")
        assert tested["teacher_uniform"]["p_holm"] > 0.05
    soft = found["sets"][0]["rows"]["soft"]["recall@10"]
    assert soft["of_full"] == pytest.approx(0.5 / 0.6, abs=0.1)
    assert found["sets"][0]["stored_bytes"]["soft"] == 11
    assert "all data sets" in headline.text(found)
