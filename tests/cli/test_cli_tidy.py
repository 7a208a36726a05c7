"""foster rm, rename, cache; and a launch without room."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from cli_tools import Foster
from run_folders import held, lay_run

from foster.runs import RunStore

RUN = "20260921-1000-foster-sample-0001"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_rm_asks_on_a_terminal(foster: Foster, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_run(store.root)
    foster("rename", RUN, "Keep me")
    monkeypatch.setattr("sys.stdin", _Terminal("\n"))
    code, out, err = foster("rm", RUN)
    assert (code, out) == (3, "")
    assert f"delete run {RUN} (Keep me), " in err
    assert (store.root / RUN).is_dir()
    monkeypatch.setattr("sys.stdin", _Terminal("y\n"))
    code, out, _ = foster("rm", RUN)
    assert (code, out.startswith(f"run {RUN} is deleted, ")) == (0, True)
    assert not (store.root / RUN).exists()


def test_rm_without_a_terminal_wants_yes(foster: Foster, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_run(store.root)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    code, out, err = foster("rm", RUN)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--yes" in err
    assert foster("rm", RUN, "--yes")[0] == 0
    assert not (store.root / RUN).exists()


def test_rm_keeps_live_and_shipped_runs(foster: Foster, store: RunStore) -> None:
    shipped = next(run for run in store.list() if run.read_only)
    with held(lay_run(store.root, state="running")):
        for run_id in (RUN, shipped.id, "../..", "20260921-1000-foster-sample-0009"):
            code, out, err = foster("rm", run_id, "--yes")
            assert (code, out, err.count("\n")) == (2, "", 1)
    assert (store.root / RUN).is_dir()
    assert shipped.path.is_dir()


def test_a_name_is_listed_and_taken_away(foster: Foster, store: RunStore) -> None:
    lay_run(store.root)
    assert "name" not in foster("runs")[1].splitlines()[0].split()
    code, out, _ = foster("rename", RUN, "First \x1b[31mtry", "--note", "for the class")
    assert (code, out) == (0, f"run {RUN} is called “First [31mtry”\n")
    out = foster("runs")[1]
    assert "First [31mtry" in out
    assert "\x1b" not in out
    (listed,) = (each for each in json.loads(foster("runs", "--json")[1])["runs"] if each["run_id"] == RUN)
    assert listed["label"] == {"name": "First [31mtry", "note": "for the class"}
    assert listed["bytes"] == sum(path.stat().st_size for path in (store.root / RUN).rglob("*") if path.is_file())
    foster("rename", RUN, "")
    (listed,) = (each for each in json.loads(foster("runs", "--json")[1])["runs"] if each["run_id"] == RUN)
    assert listed["label"] == {"name": "", "note": "for the class"}
    code, out, err = foster("rename", RUN, "x" * 81)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_the_cache_is_shown_and_pruned(foster: Foster, store: RunStore) -> None:
    assert foster("cache")[:2] == (0, "the cache takes 0 bytes\n")
    for name in ("a", "b"):
        (store.cache / "trajectories" / name).mkdir(parents=True)
        (store.cache / "trajectories" / name / "000.safetensors").write_bytes(b"x" * 1_000)
    lay_run(store.root)
    assert json.loads(foster("cache", "--json")[1]) == {"bytes": 2_000}
    code, out, err = foster("cache", "prune")
    assert (code, out) == (0, "0 entries removed, 0 bytes freed, 2.0 kB left\n")
    assert f"all was kept for the runs that name nothing ({RUN})" in err
    code, out, _ = foster("cache", "prune", "--all", "--json")
    assert (code, json.loads(out)) == (0, {"entries": 2, "freed": 2_000, "left": 0, "silent": []})
    lay_run(store.root, "20260921-1000-foster-sample-0002", "stopped")
    with held(lay_run(store.root, "20260921-1000-foster-sample-0003", "running")):
        code, out, err = foster("cache", "prune", "--all")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert foster("cache", "burn")[0] == 2


def test_a_run_without_room_is_refused(foster: Foster, store: RunStore, data: Path) -> None:
    code, out, err = foster("run", "--data", str(data), "--steps", "1", free=lambda folder: 1_000_000)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "foster cache prune" in err
    assert not [run for run in store.list() if not run.read_only]
