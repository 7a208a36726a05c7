"""The run store: creating and finding runs, whoever tampers."""

from __future__ import annotations

from pathlib import Path

import pytest

from foster.errors import UserError
from foster.runs import Run, RunState, RunStore, default_root
from foster.spec import RunSpec

SPEC = RunSpec(sequences=3, length=4, steps=7)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", bundled=None)


@pytest.fixture
def run(store: RunStore) -> Run:
    return store.create(SPEC)


def test_a_created_run_is_queued_and_reads_back(store: RunStore) -> None:
    run = store.create(SPEC)
    again = store.get(run.id)
    assert again == run
    assert again.spec == SPEC
    status = again.status()
    assert (status.state, status.fraction, status.is_terminal) == (RunState.QUEUED, 0.0, False)
    assert (again.events(), again.log(), again.snapshots()) == ([], "", [])
    assert (again.report(), again.data(), again.items(), again.sequences(), again.map()) == (None,) * 5
    assert sorted(path.name for path in store.root.iterdir()) == [run.id]


def test_runs_are_listed_newest_first(store: RunStore) -> None:
    made = [store.create(SPEC) for _ in range(5)]
    assert len({run.id for run in made}) == 5
    assert store.list() == made[::-1]
    assert store.problems() == {}


def test_a_missing_root_is_an_empty_store_and_is_not_made(store: RunStore) -> None:
    assert store.list() == []
    assert not store.root.exists()


@pytest.mark.parametrize("data", ["/data/Ünï code — set", "/", "/data/" + "x" * 300, "/data/..", "sample"])
def test_ids_are_well_formed_for_any_data_name(store: RunStore, data: str) -> None:
    run = store.create(RunSpec(data=data))
    assert store.get(run.id).spec.data == data


@pytest.mark.parametrize(
    "run_id",
    ["", "short", "..", "../../../etc", "/etc/passwd", "a" * 65, "UPPERCASE", "newline-1\n", "has space-", "é" * 9],
)
def test_malformed_ids_are_refused(store: RunStore, run: Run, run_id: str) -> None:
    with pytest.raises(UserError, match="no run id"):
        store.get(run_id)


def test_unknown_ids_are_refused(store: RunStore, run: Run) -> None:
    with pytest.raises(UserError, match="there is no run"):
        store.get("20260101-0000-foster-none")


def test_links_out_of_the_root_are_refused(store: RunStore, run: Run, tmp_path: Path) -> None:
    outside = RunStore(tmp_path / "elsewhere", bundled=None).create(SPEC)
    (store.root / "linked-run").symlink_to(outside.path)
    (store.root / "alias-run").symlink_to(run.path)
    for name in ("linked-run", "alias-run"):
        with pytest.raises(UserError, match="link to another folder"):
            store.get(name)
    assert store.list() == [run]
    assert set(store.problems()) == {"linked-run", "alias-run"}


def test_damaged_and_foreign_folders_are_skipped_with_a_reason(store: RunStore, run: Run) -> None:
    damaged = {
        "spec.json": [b"", b"{", b"[1]", b"\xff\xfe", b'{"schema": 2}', b'{"schema": 1, "budget": 3}', None],
        "status.json": [
            b'{"schema": 9, "state": "done", "created": 1}',
            b'{"schema": 1, "state": "lost", "created": 1}',
            b'{"schema": 1, "state": "done"}',
            b'{"schema": 1, "state": "done", "created": 1, "colour": 2}',
            b'{"schema": 1, "state": "done", "created": 1, "fraction": "half"}',
            b'{"schema": 1, "state": "done", "created": 1, "fraction": 7}',
            b'{"schema": 1, "state": ["done"], "created": 1}',
            b"[" * 100_000,
            None,
        ],
    }
    bad = []
    for name, contents in damaged.items():
        for content in contents:
            each = store.create(SPEC)
            (each.path / name).unlink() if content is None else (each.path / name).write_bytes(content)
            bad.append(each.id)
    (store.root / "Foreign Folder").mkdir()
    (store.root / "empty-folder").mkdir()
    (store.root / ".cache").mkdir()
    (store.root / "drain.log").write_text("a file is no folder")
    assert store.list() == [run]
    problems = store.problems()
    assert set(problems) == {*bad, "Foreign Folder", "empty-folder"}
    assert all(reason and "\n" not in reason for reason in problems.values())
    for name in (*bad, "empty-folder"):
        with pytest.raises(UserError):
            store.get(name)


def test_a_root_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*--runs"):
        RunStore(tmp_path / "file", bundled=None).create(SPEC)


def test_a_full_disk_leaves_no_half_written_run(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left"):
        store.create(SPEC)
    assert list(store.root.iterdir()) == []


def test_bundled_runs_are_listed_and_take_no_requests(store: RunStore, tmp_path: Path) -> None:
    shipped = RunStore(tmp_path / "bundle", bundled=None).create(SPEC)
    own = store.create(SPEC)
    both = RunStore(store.root, bundled=tmp_path / "bundle")
    assert {run.id: run.read_only for run in both.list()} == {own.id: False, shipped.id: True}
    for request in ("request_stop", "request_pause", "request_resume"):
        with pytest.raises(UserError, match="read-only"):
            getattr(both.get(shipped.id), request)()
    assert sorted(path.name for path in shipped.path.iterdir()) == ["spec.json", "status.json"]


def test_the_default_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOSTER_RUNS", "/one")
    assert default_root() == Path("/one")
    monkeypatch.delenv("FOSTER_RUNS")
    monkeypatch.setenv("XDG_DATA_HOME", "/two")
    assert default_root() == Path("/two/foster/runs")
