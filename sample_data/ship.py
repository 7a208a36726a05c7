"""Puts a finished run among those that come with the sample: `python sample_data/ship.py RUN_FOLDER NAME`.

What only a resume needs stays behind, and of the snapshots SNAPSHOTS from the first to the last are kept. With `--lean`
it is LEAN_SNAPSHOTS, and the models stay behind, too.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

SNAPSHOTS, LEAN_SNAPSHOTS = 16, 3
BEHIND = ("checkpoints", "cache.json", "lock", "log.txt", "note.json")


def ship(run: Path, name: str, lean: bool) -> Path:
    """Copies `run` to sample_data/runs/NAME, in the place of what is there. Raises SystemExit for an unfinished run."""
    status = json.loads((run / "status.json").read_text())
    if status["state"] != "done":
        raise SystemExit(f"{run.name} is {status['state']}; only a run that is done can be shipped")
    spec = json.loads((run / "spec.json").read_text())
    if spec["data"] != "sample" or spec["encoder"] != "minilm":
        raise SystemExit(f"{run.name} is of {spec['data']} by {spec['encoder']}; only runs of the sample by minilm")
    if not name.replace("-", "").isalnum():
        raise SystemExit(f"NAME is {name!r}; give letters, digits and hyphens")
    there = Path(__file__).parent / "runs" / name
    if run.resolve() == there.resolve():
        raise SystemExit(f"{name} is shipped already; give the folder of another run")
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(run, there, ignore=shutil.ignore_patterns(*BEHIND, *(("models",) if lean else ())))
    report = json.loads((there / "report.json").read_text())
    (there / "report.json").write_text(json.dumps(report | {"run_id": name}))
    (there / "log.txt").touch()
    snapshots, count = sorted((there / "snapshots").iterdir()), LEAN_SNAPSHOTS if lean else SNAPSHOTS
    kept = {snapshots[round(k * (len(snapshots) - 1) / (count - 1))] for k in range(count)}
    for snapshot in {*snapshots} - kept:
        snapshot.unlink()
    return there


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--lean", action="store_true")
    given = parser.parse_args()
    print(ship(given.run, given.name, given.lean))
