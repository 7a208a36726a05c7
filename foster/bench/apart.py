"""A measurement in a process of its own: nothing is imported, cached or allocated yet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")


def apart(measure: Callable[..., T], *arguments: object) -> T:
    """measure: a function of a module, as it is found again by its name."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def peak_mb() -> float:
    """The most memory this process has held so far."""
    import resource
    import sys

    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(taken / (2**20 if sys.platform == "darwin" else 2**10), 1)
