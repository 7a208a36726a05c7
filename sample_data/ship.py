"""Puts a finished run among those that come with the sample: `python sample_data/ship.py RUN_FOLDER NAME`.

What only a resume needs stays behind. With `--lean` the models stay behind
too, and of the snapshots the first, the middle and the last are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

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
    if lean:
        snapshots = sorted((there / "snapshots").iterdir())
        for snapshot in {*snapshots} - {snapshots[0], snapshots[len(snapshots) // 2], snapshots[-1]}:
            snapshot.unlink()
    return there


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--lean", action="store_true")
    given = parser.parse_args()
    print(ship(given.run, given.name, given.lean))
