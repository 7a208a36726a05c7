"""Benchmarks: each a module here with `measure(quick, say)` → plain values, and `text(found)` → them as a table.

A new one is its module and a line below. The command line reads names only, a module is imported when it is asked for.
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

BENCHMARKS = {
    "pages": "how long each page of the app takes to open and to run again, with the demo run",
    "map": "the item map against the number of items: layout, memory, bytes to the browser, seconds until drawn",
}

Say = Callable[[str], None]
"""Called with a line about what is measured next."""


@dataclass(frozen=True)
class Result:
    """What a benchmark found, and the machine it was found on. value: JSON; text: for a terminal."""

    value: dict[str, Any]
    text: str


def run(name: str, quick: bool, say: Say) -> Result:
    """quick: few and small, to see that it works; the numbers are not to be told. name: of BENCHMARKS."""
    benchmark = importlib.import_module(f"foster.bench.{name}")
    began, where = time.monotonic(), machine()
    found: dict[str, Any] = benchmark.measure(quick, say)
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
