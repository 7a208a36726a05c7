"""A measurement in a process of its own: nothing is imported, cached or allocated yet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
RESET, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


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


def above(work: Callable[[], object], device: str = "cpu") -> float:
    """MB that `work` takes at its most, above what was held before: tensors on a GPU ("cuda"), else this process's
    resident memory. Where the system cannot forget an earlier peak (all but Linux), only what exceeds that is seen."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)
    with suppress(OSError):
        RESET.write_text("5")  # the highest resident size becomes the present one
    held = _highest_mb()
    work()
    return round(_highest_mb() - held, 1)


def _highest_mb() -> float:
    """Unlike `peak_mb`, forgotten when it is reset."""
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    return peak_mb()
