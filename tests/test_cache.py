"""Pruning the shared cache: only what no run needs, never while one is live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_foster import COMMAND
from patience import until
from run_folders import held, lay_run

from foster.cache import Pruned, prune
from foster.errors import UserError
from foster.launch import QUEUE_LOCK
from foster.run_files import FileLock
from foster.runs import RunState, RunStore, RunWriter
from foster.spec import RunSpec

RUN = "20260921-1000-foster-sample-{:04d}"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A cache with two embeddings of 100 and 200 bytes, two trajectories of 1,000 and 2,000, and a half-made file."""
    store = RunStore(tmp_path / "runs", bundled=None)
    for name, size in (("a.safetensors", 100), ("b.safetensors", 200), ("c.77.partial", 50)):
        _file(store.cache / "embeddings" / name, size)
    for name, size in (("one", 1_000), ("two", 2_000)):
        _file(store.cache / "trajectories" / name / "000000.safetensors", size - 2)
        _file(store.cache / "trajectories" / name / "trajectory.json", 2)
    return store


def _file(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def _names(store: RunStore) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in store.cache.glob("*/*")}


def _run(store: RunStore, number: int, *uses: str, state: str = "done") -> Path:
    folder = lay_run(store.root, RUN.format(number), state)
    with RunWriter(folder) as writer:
        for name in uses:
            writer.uses(store.cache / name)
    return folder


def test_what_a_run_names_stays_and_the_rest_is_counted(store: RunStore) -> None:
    _run(store, 1, "embeddings/a.safetensors", "trajectories/two")
    _run(store, 2, "embeddings/a.safetensors", state="stopped")
    assert prune(store) == Pruned(entries=3, freed=200 + 50 + 1_000, left=100 + 2_000)
    assert _names(store) == {"embeddings/a.safetensors", "trajectories/two"}
    assert prune(store) == Pruned(left=2_100)


def test_a_run_names_each_entry_once(store: RunStore) -> None:
    folder = _run(store, 1, "embeddings/a.safetensors", "trajectories/two", "embeddings/a.safetensors")
    said = json.loads((folder / "cache.json").read_text())
    assert said == {"schema": 1, "uses": ["embeddings/a.safetensors", "trajectories/two"]}


@pytest.mark.parametrize("said", [None, "{", "[]", '{"schema": 1}', '{"schema": 1, "uses": 3}'])
def test_for_a_run_that_does_not_say_all_is_kept(store: RunStore, said: str | None) -> None:
    _run(store, 1, "embeddings/a.safetensors")
    silent = lay_run(store.root, RUN.format(2))
    if said is not None:
        (silent / "cache.json").write_text(said)
    before = _names(store)
    assert prune(store) == Pruned(left=3_350, silent=(silent.name,))
    assert _names(store) == before
    assert prune(store, everything=True) == Pruned(entries=5, freed=3_350)
    assert _names(store) == set()


def test_a_run_that_never_began_needs_nothing(store: RunStore) -> None:
    lay_run(store.root, RUN.format(1), "stopped", ready="nothing", started=None)
    assert prune(store).entries == 5


@pytest.mark.parametrize("everything", [False, True])
def test_nothing_is_pruned_while_a_run_is_live(store: RunStore, everything: bool) -> None:
    folder, before = lay_run(store.root, RUN.format(1), "running"), _names(store)
    with held(folder), pytest.raises(UserError, match="is not finished"):
        prune(store, everything)
    lay_run(store.root, RUN.format(2), "queued", ready="nothing")
    with pytest.raises(UserError, match="is not finished"):
        prune(store, everything, ("true",))
    assert _names(store) == before


def test_nothing_is_pruned_while_the_queue_is_worked_on(store: RunStore) -> None:
    lock = FileLock(store.root / QUEUE_LOCK)
    assert lock.acquire(0)
    with pytest.raises(UserError, match="cannot prune"):
        prune(store)
    lock.release()
    assert len(_names(store)) == 5


def test_a_run_launched_meanwhile_is_not_forgotten(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its launch saw the queue's lock held and left the run to the holder."""
    taken, made = prune.__globals__["taken_bytes"], []

    def launch_now(path: Path) -> int:
        if not made:
            made.append(store.create(RunSpec(steps=0)))
        return int(taken(path))

    monkeypatch.setattr("foster.cache.taken_bytes", launch_now)
    prune(store, command=COMMAND)
    until(lambda: made[0].status().is_terminal, lambda: "the run was forgotten")
    assert made[0].status().state is RunState.DONE


def test_no_cache_is_nothing_to_prune(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "nowhere", bundled=None)
    assert prune(store) == Pruned()
    assert not store.root.exists()


def test_leftovers_of_a_killed_pruning_are_swept(store: RunStore) -> None:
    _file(store.cache / "trajectories" / ".removed-0123" / "000000.safetensors", 10)
    _run(store, 1, "trajectories/one")
    prune(store)
    assert _names(store) == {"trajectories/one"}


def test_links_are_not_followed(store: RunStore, tmp_path: Path) -> None:
    _file(tmp_path / "elsewhere" / "precious" / "file", 10)
    (store.cache / "trajectories" / "link").symlink_to(tmp_path / "elsewhere" / "precious")
    (store.cache / "linked").symlink_to(tmp_path / "elsewhere")
    prune(store, everything=True)
    assert (tmp_path / "elsewhere" / "precious" / "file").exists()
    assert not (store.cache / "trajectories" / "link").is_symlink()
