"""Taking a run away: a folder or a zip that is whole, the same every time, and never over something else."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
from pathlib import Path

import pytest
from run_folders import HOSTILE, lay_run

from foster.errors import UserError
from foster.export import export, files_of, zip_name, zip_of
from foster.exporters.finished import read_finished
from foster.runs import Run, RunStore

RUN = "20260921-1000-foster-sample-0001"
SECRET = "/srv/secret/place"
TABLES = ("sequences", "recommendations", "items", "nearness")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs", bundled=None)


@pytest.fixture
def run(store: RunStore) -> Run:
    lay_run(store.root)
    return store.get(RUN)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_holds_everything_and_its_checksums_are_right(run: Run, tmp_path: Path) -> None:
    (run.path / "synthetic.safetensors").write_bytes(b"soft")
    where, files = export(run, tmp_path / "out" / "mine")
    assert where == tmp_path / "out" / "mine"
    assert _contents(where) == files
    assert set(files) == {
        *(f"{name}.{kind}" for name in TABLES for kind in ("parquet", "csv")),
        *("README.md", "SHA256SUMS", "report.html", "run.json", "soft/README.md", "soft/synthetic.safetensors"),
        *("recbole/foster/foster.inter", "recbole/foster/foster.item"),
    }  # fmt: skip
    assert files["soft/synthetic.safetensors"] == b"soft"
    sums = dict(line.split("  ")[::-1] for line in files["SHA256SUMS"].decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "SHA256SUMS"}
    assert sorted(path.name for path in where.parent.iterdir()) == ["mine"]


def test_only_what_the_run_has_is_taken(run: Run) -> None:
    for name in ("items.parquet", "neighbours.parquet", "map.parquet", "events.jsonl", "data.json", "hard.json"):
        (run.path / name).unlink()
    files = files_of(read_finished(run))
    assert set(files) == {
        *("sequences.parquet", "sequences.csv", "recommendations.parquet", "recommendations.csv", "run.json"),
        *("README.md", "SHA256SUMS", "report.html", "recbole/foster/foster.inter"),
    }
    for absent in ("items.parquet", "nearness", "soft/", "Where the items stand", "How it condensed"):
        assert absent not in files["README.md"].decode()
        assert absent not in files["report.html"].decode()


def test_the_zip_is_the_same_whenever_it_is_made(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = zip_of(run)
    (run.path / "log.txt").write_text("something else")
    os.utime(run.path / "sequences.parquet", (1, 1))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert zip_of(run) == first
    finally:
        monkeypatch.undo()
        time.tzset()
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        folder = Path(zip_name(RUN)).stem
        names = [entry.filename for entry in archive.infolist()]
        assert names == sorted(names)
        inside = {name.removeprefix(f"{folder}/"): archive.read(name) for name in names}
    assert inside == files_of(read_finished(run))


def test_a_zip_goes_into_a_folder_or_under_its_own_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.txt").write_text("mine")
    where, _ = export(run, tmp_path / "out", as_zip=True)
    assert where == tmp_path / "out" / f"foster-{RUN}.zip"
    assert where.read_bytes() == zip_of(run)
    assert export(run, tmp_path / "new" / "set.zip", as_zip=True)[0] == tmp_path / "new" / "set.zip"
    with pytest.raises(UserError, match="is there already"):
        export(run, tmp_path / "out", as_zip=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [where.name, "other.txt"]


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    full, file, link, empty = (tmp_path / name for name in ("full", "file", "link", "empty"))
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    file.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    for target in (full, file, link):
        with pytest.raises(UserError, match="nothing is overwritten, so choose another place with --to"):
            export(run, target)
    assert (_contents(full), file.read_text(), link.is_symlink()) == ({"mine.txt": b"mine"}, "mine", True)
    empty.mkdir()
    export(run, empty)
    assert (empty / "README.md").exists()


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_stays(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_zip: bool, error: BaseException
) -> None:
    written = []

    def full(path: Path, data: bytes, write: object = Path.write_bytes) -> int:
        written.append(path)
        if as_zip or len(written) == 3:
            path.open("wb").close()
            raise error
        return write(path, data)  # type: ignore[operator]

    monkeypatch.setattr(Path, "write_bytes", full)
    expected = UserError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="No space left on device; make room" if expected is UserError else None):
        export(run, tmp_path / "out" / "mine", as_zip)
    assert written
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file() or path.name.endswith(".tmp")] == []


def test_a_place_that_cannot_be_written_is_one_clear_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*choose another place"):
        export(run, tmp_path / "file" / "inside")


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("queued", "wait for its turn"),
        ("running", f"it is lost; let it go on with foster resume {RUN}"),
        ("stopped", f"let it go on with foster resume {RUN}"),
        ("failed", "let it go on"),
    ],
)
def test_an_unfinished_run_is_refused_with_the_next_step(
    store: RunStore, tmp_path: Path, state: str, step: str
) -> None:
    lay_run(store.root, state=state, ready="snapshots")
    with pytest.raises(UserError, match=step):
        export(store.get(RUN), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_finished_run_without_its_result_is_refused(run: Run) -> None:
    (run.path / "report.json").unlink()
    with pytest.raises(UserError, match="left no report; run it again"):
        zip_of(run)
    lay_run(run.path.parent, "20260921-1000-foster-sample-0002")
    (run.path.parent / "20260921-1000-foster-sample-0002" / "sequences.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(UserError, match="damaged"):
        zip_of(RunStore(run.path.parent, bundled=None).get("20260921-1000-foster-sample-0002"))


def test_no_path_no_real_user_and_no_private_note_leaves(store: RunStore) -> None:
    folder = lay_run(store.root, data=f"{SECRET}/films", titles=HOSTILE, sequences=3, length=4)
    (folder / "label.json").write_text(json.dumps({"schema": 1, "name": "Our films", "note": "call Ann on Monday"}))
    (folder / "spec.json").write_text(
        (folder / "spec.json").read_text().replace('"minilm"', json.dumps(f"{SECRET}/tuned-encoder"))
    )
    (folder / "data.json").write_text(json.dumps({"name": "films", "users": 3, "items": 12, "interactions": 9}))
    files = files_of(read_finished(store.get(RUN)))
    for name, data in files.items():
        for private in (SECRET, "call Ann", "u0001", str(store.root)):
            assert private.encode() not in data, name
    assert "Our films" in files["README.md"].decode()
    assert "tuned-encoder" in files["run.json"].decode()
