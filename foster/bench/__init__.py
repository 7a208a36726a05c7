"""Benchmarks: each a module here with `measure(quick, say, …)` → plain values, and `text(found)` → them as a table.

A new one is its module and an entry below, its first sentence for the list of all. The command line reads these only, a
module is imported when it is asked for.
"""

from __future__ import annotations

import importlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foster import __version__
from foster.launch import patient

BENCHMARKS = {
    "pages": "how long each page of the app takes to open and to run again, with the demo run",
    "map": "the item map against the number of items: layout, memory, bytes to the browser, seconds until drawn",
    "headline": "every row of a report over several distillations and students, with how sure it is. "
    "Each distillation is a run with its own seed in RUNS/.headline. A call works for --minutes, then stops at a "
    "checkpoint and says how far it is; the same call again goes on, also after a kill. Once complete: Recall@10 and "
    "NDCG@10 on the test items, the share of the full-data model with a 95 % interval (hierarchical bootstrap over "
    "users, distillations and students, 2,000 draws), and how surely the soft set is above its own start and each "
    "control (one-sided p, over the controls corrected by Holm's method). Finished runs of this engine are kept.",
    "sweep": "what the budget or the regularisation weight does: recall, bytes and co-occurrence at several values. "
    "Each value is a run in RUNS/.sweep; a call works for --minutes, and the same call again goes on. Scores are of "
    "the validation items, with --report-test of the test items. The regulariser is told of the stored labels, at "
    "γ = 0 too: lower where similar items co-occur more. --svg draws all data sets once they are complete.",
    "transfer": "whether a set teaches other recommenders: deeper and narrower SASRec, GRU4Rec, another text encoder. "
    "Each kind of student learns from one run's set by the recipes that travel with it, beside the same kind on "
    "everything, on random real sequences, on uniform items with a teacher's labels, and untrained. The other encoder "
    "is latent semantic analysis of the texts. What is done is kept in RUNS/.transfer, and the same call again goes "
    "on. Scores are of the validation items, with --report-test of the test items.",
    "ablations": "what each part of the loop is good for: one thing changed at a time. "
    "All rows have the same log, expert, start and student seeds: the loop as it is; all items in every step; no reset "
    "to anchors; no regulariser; no momentum; damped; without the model that follows the set alone; θ on events, not "
    "the expert's expectations; exact second order and DARTS' finite difference; the loop's start; a teacher's labels "
    "on random real sequences and on uniform items; the start without the fit of its label basis; and, to say what "
    "storing costs, students of labels in full, on the start and on all real histories. A row is made "
    "in a process of its own and kept in RUNS/.ablations; after --minutes no further one is begun, and the same call "
    "again goes on. Scores are of the validation items, with --report-test of the test items too.",
    "cost": "memory and time of a step: first order, exact second order, unrolled, and against the number of items. "
    "All forms see the same labels, items and texts, once as frozen features, once with a layer of an encoder of "
    "MiniLM's form learning, 16 tokens a text; each is measured in a process of its own, as peak "
    "memory above the model's own and median seconds of several steps. An unroll whose predicted memory is above "
    "--limit-mb is not run but read off a line through the smaller ones, and marked. Against the catalogue, up to a "
    "million items, text features stay in a file (0.8 GB of free disk are needed for a while).",
}

Say = Callable[[str], None]
"""Called with a line about what is measured next."""


@dataclass(frozen=True)
class Result:
    """What a benchmark found, and the machine it was found on. value: JSON; text: for a terminal."""

    value: dict[str, Any]
    text: str


def run(name: str, quick: bool, say: Say, **options: Any) -> Result:
    """quick: few and small, to see that it works; the numbers are not to be told. name: of BENCHMARKS; options: its own
    keyword arguments."""
    os.environ.update(patient(os.environ))
    benchmark = importlib.import_module(f"foster.bench.{name}")
    began, where = time.monotonic(), machine()
    found: dict[str, Any] = benchmark.measure(quick, say, **options)
    value: dict[str, Any] = {
        "schema": 1,
        "benchmark": name,
        "version": __version__,
        "quick": quick,
        "machine": where,
        "seconds": round(time.monotonic() - began, 1),
        "found": found,
    }
    return Result(value, f"{benchmark.text(found)}\n\n{_where(where)}")


def machine() -> dict[str, Any]:
    """load: of the last minute; more than the cores means that others were at work."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _where(found: dict[str, Any]) -> str:
    return f"{found['cores']} cores, load {found['load']} at the start, Python {found['python']}, {found['system']}"
