"""foster with an experiment that takes no time, for the tests of the queue: as a module and as a program."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from foster.__main__ import main
from foster.errors import UserError
from foster.runs import RunWriter
from foster.spec import RunSpec

if TYPE_CHECKING:
    import pandas as pd

COMMAND = (sys.executable, __file__)
STEP_S = 0.02
INNER = 4  # checkpoints within a step


def execute(spec: RunSpec, run: RunWriter, cache: Path) -> dict[str, object]:
    """Sums the squares of its steps, with a checkpoint at every fifth. The encoder's name makes it misbehave."""
    _trace(cache, run, "begin")
    if spec.encoder == "crash":
        raise RuntimeError("the engine broke\nin two lines")
    if spec.encoder == "user-error":
        raise UserError("the catalogue is empty; give one item")
    if spec.encoder == "full-disk":
        raise OSError(28, "No space left on device", "/somewhere")
    saved = run.path("checkpoints/sum.json")
    step, total = json.loads(saved.read_text())["state"] if saved.exists() else (0, 0)
    run.event("stage", stage="distil", message="condensing")
    steps = spec.steps or 0
    while step < steps:
        for _ in range(INNER):
            run.checkpoint()
            time.sleep(STEP_S / INNER)
        step, total = step + 1, total + step * step
        terms = dict.fromkeys(("synthetic_theta", "synthetic_omega", "gap", "real", "regulariser"), 1 / step)
        run.event("distil", step=step, steps=steps, **terms)
        run.status(stage="distil", fraction=step / (steps + 1), message=f"step {step} of {steps}")
        if step % 5 == 0:
            run.write_json("checkpoints/sum.json", {"state": [step, total]})
        run.checkpoint(ends_step=True)
    run.write_table("sequences.parquet", sequences())
    numbers = {"mean": 0.25, "std": 0.01, "n": spec.students}
    table = {"full": {"recall@10": numbers, "ndcg@10": numbers}, "soft": {"recall@10": numbers, "ndcg@10": numbers}}
    report = {
        "run_id": run.folder.name,
        "spec_hash": spec.hash(),
        "total": total,
        "valid": table,
        **({"test": table} if spec.report_test else {}),
        "stored_bytes": {"soft": 10240, "hard": 512, "log": 99999},
        "seconds": {"distil": 1.5, "students": 2.25},
    }
    run.write_json("report.json", report)
    _trace(cache, run, "end")
    return report


def environment() -> dict[str, str]:
    """For a process that a test starts itself: foster may be a checkout that is not installed."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


def sequences() -> pd.DataFrame:
    """Two sequences of two; one title tries to paint the terminal, one position has no target."""
    import pandas as pd

    return pd.DataFrame(
        {
            "sequence": [0, 0, 1, 1],
            "position": [0, 1, 0, 1],
            "item_id": ["a", "b", "a", "c"],
            "title": ["The Hobbit", "\x1b[31mRed\x07\u202e<script>", "The Hobbit", "x" * 10_000],
            "confidence": [0.875, 0.5, 0.25, 1.0],
            "alternatives": [[{"item_id": "a", "title": "The Hobbit", "weight": 0.875}]] * 4,
            "label_title": ["Dune", None, "Emma", None],
            "label_confidence": [0.5, None, 0.75, None],
        }
    )


def _trace(cache: Path, run: RunWriter, what: str) -> None:
    """Beside the runs, so that a test sees which ones overlapped."""
    with (cache.parent / "trace").open("a") as file:
        file.write(f"{what} {run.folder.name} {os.getppid()}\n")


if __name__ == "__main__":
    sys.exit(main(execute=execute, command=COMMAND, has_gpu=lambda: False))
