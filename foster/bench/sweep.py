"""What a budget or the regularisation weight does: the same run at several values of one setting.

Every value is an ordinary run in a store of its own, ROOT/.sweep, worked on for some minutes a call (`working`). The
experts are trained once for all of them, the students on controls once for all weights. Co-occurrence is told by the
value of the regulariser on the stored labels, mean KL(w_i ‖ c(·|i)), at γ = 0 as well: lower where similar items
co-occur more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from foster.artefact import load
from foster.bench import Say
from foster.bench.labels import of_labels
from foster.bench.sweep_chart import drawn
from foster.bench.working import kept_in, progress_of, progress_table, runs_of, work_on
from foster.console import table
from foster.errors import UserError
from foster.formats import load_dataset
from foster.launch import Execute
from foster.pipeline import SOFT_FILE
from foster.recommend import item_features
from foster.runs import Run, RunState, RunStore
from foster.spec import RunSpec
from foster.verdict import NAMES

STORE = ".sweep"
VALUES: dict[str, tuple[float, ...]] = {
    "sequences": (5, 10, 20, 40, 60, 100),
    "regularisation": (0, 0.1, 0.3, 1, 3, 10),
}
ROWS = ("full", "soft", "start_soft", "teacher_uniform", "hard", "random")
METRIC = "recall@10"
QUICK = RunSpec(sequences=3, length=4, steps=2, students=1, device="cpu")


def measure(
    quick: bool,
    say: Say,
    *,
    root: Path,
    data: Sequence[str],
    spec: RunSpec,
    over: str,
    values: Sequence[float],
    minutes: float,
    svg: Path | None = None,
    execute: Execute | None = None,
) -> dict[str, Any]:
    """complete; sets: one for each of `data`, with a point for every value: `rows` of `part`, `stored_bytes`,
    `regulariser` and `entropy` once its run is done.

    over: a field of RunSpec, one of VALUES; values: empty for its own; spec: of every run, but for data and that
    field. svg: where the chart is written once all is complete. With `quick` a tiny world, and nothing is kept.
    """
    if over not in VALUES:
        raise UserError(f"--over is {over!r}; choose one of {', '.join(VALUES)}")
    with kept_in(root / STORE, quick, data) as (store, tiny):
        if tiny is None:
            return _measured(store, list(dict.fromkeys(data)), spec, over, values, minutes, svg, say, execute)
        few = (2, 3) if over == "sequences" else (0, 0.1)
        quick_spec = replace(QUICK, report_test=spec.report_test)
        return _measured(store, [tiny], quick_spec, over, few, minutes, svg, say, execute)


def _measured(
    store: RunStore,
    data: list[str],
    spec: RunSpec,
    over: str,
    values: Sequence[float],
    minutes: float,
    svg: Path | None,
    say: Say,
    execute: Execute | None,
) -> dict[str, Any]:
    deadline = time.monotonic() + 60 * minutes
    asked = sorted(set(values or VALUES[over]))
    wanted = {name: [_at(replace(spec, data=name), over, value) for value in asked] for name in data}
    for name in data:
        load_dataset(name)  # so that bad data is refused before the first minute
    runs = {name: runs_of(specs, store) for name, specs in wanted.items()}
    work_on([run for of_set in runs.values() for run in of_set], store, deadline, say, execute)
    part = "test" if spec.report_test else "valid"
    sets = []
    for name in data:
        points = [_point(run, store.cache, over, part) for run in runs[name]]
        complete = all("rows" in point for point in points)
        sets.append({"data": name, "complete": complete, "points": points})
    found = {
        "complete": all(each["complete"] for each in sets),
        "over": over,
        "part": part,
        "metric": METRIC,
        "length": spec.length,
        "sequences": None if over == "sequences" else spec.sequences,
        "students": spec.students,
        "store": str(store.root),
        "sets": sets,
    }
    if svg is not None and found["complete"]:
        svg.write_text(drawn(found), encoding="utf-8")
    return found


def _at(spec: RunSpec, over: str, value: float) -> RunSpec:
    if over == "regularisation":
        return replace(spec, regularisation=value)
    if not float(value).is_integer():
        raise UserError(f"a number of sequences is {value:g}; give whole numbers")
    return replace(spec, sequences=int(value))


def _point(run: Run, cache: Path, over: str, part: str) -> dict[str, Any]:
    point: dict[str, Any] = {"value": getattr(run.spec, over), **progress_of(run)}
    report = run.report()
    if run.status().state is not RunState.DONE or report is None:
        return point
    features = item_features(load_dataset(run.spec.data), run.spec.encoder, cache)
    made, _ = load(run.path / SOFT_FILE, features)
    rows = {name: report[part][name][METRIC] for name in ROWS}
    return {
        **point,
        "rows": rows,
        "stored_bytes": report["stored_bytes"],
        **of_labels(made, features),
    }


def text(found: dict[str, Any]) -> str:
    parts = []
    for each in found["sets"]:
        progress = f"{each['data']}\n\n{progress_table(each['points'], 'value')}"
        parts.append(_set_text(each, found) if each["complete"] else progress)
    if not found["complete"]:
        parts.append("not complete: the same command again goes on from here")
    return "\n\n\n".join(parts)


def _set_text(each: dict[str, Any], found: dict[str, Any]) -> str:
    full = each["points"][0]["rows"]["full"]["mean"]
    rows = []
    for point in each["points"]:
        cells = [f"{point['value']:g}"]
        for name in ROWS[1:]:
            cells.append(f"{point['rows'][name]['mean']:.4f} ± {point['rows'][name]['std']:.4f}")
        share = "–" if full == 0 else f"{point['rows']['soft']['mean'] / full:.1%}"
        stored = point["stored_bytes"]
        cells += [share, f"{stored['soft']:,}", f"{stored['hard']:,}"]
        rows.append((*cells, f"{point['regulariser']:.3f}", f"{point['entropy']:.2f}"))
    names = [NAMES.get(name, name) for name in ROWS[1:]]
    head = (found["over"], *names, "soft of full", "bytes, soft", "bytes, hard", "regulariser", "entropy, nats")
    title = f"{each['data']}, {found['part']} {found['metric'].capitalize()}, full data {full:.4f}"
    return f"{title}\n\n{table(head, rows, numbers=range(len(head)))}"
