"""foster export."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from cli_tools import Foster
from run_folders import held, lay_run

from foster.runs import RunStore

RUN = "20260921-1000-foster-sample-0001"


def test_a_folder_and_a_zip(foster: Foster, store: RunStore, tmp_path: Path) -> None:
    lay_run(store.root)
    to = tmp_path / "out"
    code, out, err = foster("export", RUN, "--to", str(to), "--json")
    said = json.loads(out)
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert (said["run_id"], said["to"]) == (RUN, str(to))
    for file in said["files"]:
        data = (to / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    assert said["bytes"] == sum(file["bytes"] for file in said["files"])
    code, out, _ = foster("export", RUN, "--to", str(tmp_path / "zips"), "--zip")
    assert code == 0
    assert f"foster-{RUN}.zip: 14 files" in out
    with zipfile.ZipFile(tmp_path / "zips" / f"foster-{RUN}.zip") as archive:
        assert len(archive.namelist()) == 14


def test_the_shipped_run_can_be_taken_away(foster: Foster, store: RunStore, tmp_path: Path) -> None:
    shipped = next(run for run in store.list() if run.read_only)
    assert foster("export", shipped.id, "--to", str(tmp_path / "out"))[0] == 0
    assert (tmp_path / "out" / "soft" / "synthetic.safetensors").stat().st_size > 0
    assert not store.root.exists()


def test_refusals_are_one_line_and_write_nothing(foster: Foster, store: RunStore, tmp_path: Path) -> None:
    lay_run(store.root)
    waiting = lay_run(store.root, "20260921-1000-foster-sample-0002", "queued", ready="nothing").name
    running = lay_run(store.root, "20260921-1000-foster-sample-0003", "running", ready="snapshots")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    with held(running):
        for run_id, to, message in (
            (RUN, "full", "holds something"),
            (waiting, "new", "wait for its turn"),
            (running.name, "new", "wait until it ends (55% are done)"),
            ("20260921-1000-foster-sample-0009", "new", "there is no run"),
        ):
            code, out, err = foster("export", run_id, "--to", str(tmp_path / to))
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert message in err
    assert foster("export", RUN)[0] == 2
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
