"""The headline table: every row of a report, over distillation and student seeds, with how sure it is (METHOD §4.7).

A distillation is an ordinary run with its own seed, in a store of its own, ROOT/.headline, and worked on in this
process for some minutes a call (`working`). Numbers are of the test items and stand once a data set is complete.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from foster.bench import Say
from foster.bench.working import kept_in, progress_of, progress_table, runs_of, work_on
from foster.console import table
from foster.formats import load_dataset
from foster.launch import Execute
from foster.results import kept_ranks
from foster.runs import Run, RunStore
from foster.spec import RunSpec
from foster.statistics import (
    DRAWS,
    LEVEL,
    Numbers,
    bootstrap,
    discounted,
    hits,
    holm,
    interval,
    p_not_above,
    ratio,
    spread_of,
)
from foster.verdict import NAMES

METRICS = {"recall@10": hits, "ndcg@10": discounted}
CONTROLS = ("popular", "bigram", "zero_shot", "untrained", "random", "teacher_random", "teacher_uniform")
START = "start_soft"
STORE = ".headline"
QUICK = RunSpec(sequences=3, length=4, steps=2, students=1, report_test=True, device="cpu")
Draws = dict[str, dict[str, Numbers]]  # metric → row → its result in every draw


def measure(
    quick: bool,
    say: Say,
    *,
    root: Path,
    data: Sequence[str],
    spec: RunSpec,
    distillations: int,
    minutes: float,
    execute: Execute | None = None,
) -> dict[str, Any]:
    """complete; sets: one for each of `data`, where its runs are, and with `rows`, `superiority`, `stored_bytes` and
    `seconds` once they are done; pooled: over the sets, once all are.

    spec: of every run, but for data and seed. With `quick` a tiny world of its own, and nothing is kept.
    """
    with kept_in(root / STORE, quick, data) as (store, tiny):
        if tiny is None:
            return _measured(store, list(dict.fromkeys(data)), spec, distillations, minutes, say, execute)
        return _measured(store, [tiny], QUICK, 2, minutes, say, execute)


def _measured(
    store: RunStore,
    data: list[str],
    spec: RunSpec,
    distillations: int,
    minutes: float,
    say: Say,
    execute: Execute | None,
) -> dict[str, Any]:
    deadline = time.monotonic() + 60 * minutes
    specs = {name: [replace(spec, data=name, seed=seed) for seed in range(distillations)] for name in data}
    for name in specs:
        load_dataset(name)  # so that bad data is refused before the first minute
    runs = {name: runs_of(wanted, store) for name, wanted in specs.items()}
    work_on([run for of_set in runs.values() for run in of_set], store, deadline, say, execute)

    sets, drawn = [], []
    for number, name in enumerate(data):
        progress = [progress_of(run) for run in runs[name]]
        found: dict[str, Any] = {"data": name, "complete": all(each["state"] == "done" for each in progress)}
        if found["complete"]:
            say(f"{name}: {DRAWS:,} draws")
            values, draws = _judged(runs[name], seed=number)
            drawn.append(draws)
            found |= values
        sets.append({**found, "runs": progress})
    complete = all(each["complete"] for each in sets)
    return {
        "complete": complete,
        "budget": {"sequences": spec.sequences, "length": spec.length},
        "distillations": distillations,
        "students": spec.students,
        "draws": DRAWS,
        "level": LEVEL,
        "store": str(store.root),
        "sets": sets,
        "pooled": _pooled(drawn) if complete and len(sets) > 1 else None,
    }


def _judged(runs: list[Run], seed: int) -> tuple[dict[str, Any], Draws]:
    """The values of a complete data set, and the draws they come from."""
    kept = [kept_ranks(run.path, "test") for run in runs]
    ranks = {name: np.stack([each[name] for each in kept]) for name in kept[0]}
    rows: dict[str, dict[str, Any]] = {name: {} for name in ranks}
    superiority: dict[str, Any] = {}
    draws: Draws = {}
    for metric, gain in METRICS.items():
        gains = {name: gain(found) for name, found in ranks.items()}
        drawn = draws[metric] = bootstrap(gains, seed=seed)
        spreads = {name: spread_of(found) for name, found in gains.items()}
        full = spreads["full"].mean
        for name, spread in spreads.items():
            rows[name][metric] = {
                **asdict(spread),
                "of_full": spread.mean / full if full > 0 else None,
                "interval": interval(ratio(drawn[name], drawn["full"])),
            }
        apart = {name: drawn["soft"] - drawn[name] for name in (START, *CONTROLS)}
        means = {name: spreads["soft"].mean - spreads[name].mean for name in apart}
        superiority[metric] = _tested(apart, means)
    for name, found in ranks.items():
        rows[name]["n"] = found.shape[0] * found.shape[1]
    reports = [report for run in runs if (report := run.report()) is not None]
    stages = reports[0]["seconds"]
    values = {
        "users": int(next(iter(ranks.values())).shape[-1]),
        "rows": rows,
        "superiority": superiority,
        "stored_bytes": {form: max(each["stored_bytes"][form] for each in reports) for form in ("soft", "hard", "log")},
        "seconds": {stage: round(fmean(each["seconds"].get(stage, 0.0) for each in reports), 1) for stage in stages},
        "device": reports[0]["device"],
        "version": reports[0]["version"],
        "engine": reports[0].get("engine"),
    }
    return values, draws


def _tested(apart: Mapping[str, Numbers], means: Mapping[str, float]) -> dict[str, Any]:
    """How far soft is above its start and each control: one-sided p, over the controls corrected by Holm's method."""
    p = {name: p_not_above(difference) for name, difference in apart.items()}
    corrected = holm({name: p[name] for name in CONTROLS}) | {START: p[START]}
    return {
        name: {"difference": means[name], "interval": interval(apart[name]), "p": p[name], "p_holm": corrected[name]}
        for name in apart
    }


def _pooled(drawn: list[Draws]) -> dict[str, Any]:
    """The same over several data sets: the mean over them of the difference as a share of the full-data model's."""
    found = {}
    for metric in METRICS:
        apart = {
            name: np.mean([ratio(each[metric]["soft"] - each[metric][name], each[metric]["full"]) for each in drawn], 0)
            for name in (START, *CONTROLS)
        }
        found[metric] = _tested(apart, {name: float(np.nanmean(difference)) for name, difference in apart.items()})
    return found


def text(found: dict[str, Any]) -> str:
    parts = [_set_text(each) for each in found["sets"]]
    if found["pooled"] is not None:
        parts.append("all data sets, differences as shares of the full-data model\n\n" + _superiority(found["pooled"]))
    if not found["complete"]:
        parts.append("not complete: the same command again goes on from here")
    return "\n\n\n".join(parts)


def _set_text(found: dict[str, Any]) -> str:
    if not found["complete"]:
        return f"{found['data']}\n\n{progress_table(found['runs'])}"
    rows = [
        (
            NAMES.get(name, name),
            *(cell for metric in METRICS for cell in _cells(row[metric])),
            row["n"],
        )
        for name, row in found["rows"].items()
    ]
    head = ("trained on", *(cell for metric in ("Recall@10", "NDCG@10") for cell in (metric, "of full", "95 %")), "n")
    stored = ", ".join(f"{form} {size:,}" for form, size in found["stored_bytes"].items())
    spent = ", ".join(f"{stage} {seconds:,.0f}" for stage, seconds in found["seconds"].items())
    return "\n\n".join(
        (
            f"{found['data']}, {found['users']:,} users; ± over distillations, then over students",
            table(head, rows, numbers=range(1, 8)),
            _superiority(found["superiority"]),
            f"bytes    {stored}\nseconds  {spent}",
        )
    )


def _cells(value: Mapping[str, Any]) -> tuple[str, str, str]:
    spreads = [value[name] for name in ("sd_distillations", "sd_students") if value[name] is not None]
    mean = " ± ".join(f"{number:.4f}" for number in (value["mean"], *spreads))
    share = "–" if value["of_full"] is None else f"{value['of_full']:.1%}"
    bounds = value["interval"]
    return mean, share, "–" if bounds is None else f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def _superiority(found: Mapping[str, Any]) -> str:
    rows = [
        (
            f"soft above {NAMES.get(name, name)[0].lower()}{NAMES.get(name, name)[1:]}",
            *(
                cell
                for metric in METRICS
                for cell in (f"{found[metric][name]['difference']:+.4f}", f"{found[metric][name]['p_holm']:.4f}")
            ),
        )
        for name in found["recall@10"]
    ]
    return table(("", "Recall@10", "p", "NDCG@10", "p"), rows, numbers=range(1, 5))
