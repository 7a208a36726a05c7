"""Laid runs that differ on purpose: specifications and reports changed after `lay_run`, with planted scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from run_folders import lay_run


def lay_changed(
    root: Path,
    number: int,
    *,
    state: str = "done",
    soft: float | None = None,
    std: float = 0.004,
    n: int = 3,
    report: dict[str, Any] | None = None,
    rows: dict[str, float] | None = None,
    test: bool = False,
    ready: str = "all",
    data: str = "sample",
    **spec: Any,
) -> str:
    """A run's id. soft, std, n: its soft row on validation; rows: further rows; test: report the test items too;
    report: fields of the report to replace; spec: fields of its specification."""
    run_id = f"20260921-10{number:02d}-foster-sample-{number:04d}"
    folder = lay_run(root, run_id, state, ready=ready if state == "done" else "nothing", age=60.0 * number, data=data)
    _edit(folder / "spec.json", {**spec, "data": data})
    if state == "done" and ready == "all":
        found = json.loads((folder / "report.json").read_text())
        valid = found["valid"]
        for name, mean in {**({} if soft is None else {"soft": soft}), **(rows or {})}.items():
            valid[name] = {
                metric: {"mean": mean * factor, "std": std * factor, "n": n}
                for metric, factor in (("recall@10", 1.0), ("ndcg@10", 0.55))
            }
        if test:
            found["test"] = {name: dict(row) for name, row in valid.items()}
        asked = json.loads((folder / "spec.json").read_text())
        found["budget"] = {name: asked[name] for name in ("sequences", "length")}
        found["run_id"] = run_id
        (folder / "report.json").write_text(json.dumps({**found, **(report or {})}))
    return run_id


def _edit(path: Path, changes: dict[str, Any]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
