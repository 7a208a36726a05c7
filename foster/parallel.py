"""All cores for a run on a CPU, with results that, given the embeddings, do not depend on how many there are.

Models this small gain little from a second core on one matrix product and on some machines lose by it, as threads that
wait for each other must be woken; and their last bits depend on the number of threads. So a run computes on one thread;
students, experts, blocks of labels, a step's θ and ω and the parts of a large one stand side by side, each on one
thread. The texts alone take all cores for one computation.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TypeVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

T = TypeVar("T")
AT_MOST = 8  # students, experts or blocks of labels at once: each holds some hundred megabytes on a large catalogue


def cores() -> int:
    """CPU cores that this process may use: OMP_NUM_THREADS where it is set, else what the system grants."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_one_thread() -> None:
    """What the calling thread computes from now on uses no other core."""
    torch.get_num_threads()  # a thread takes the number that others use when it first asks, or else computes
    torch.set_num_threads(1)


@contextmanager
def all_cores() -> Iterator[None]:
    """One computation on all cores; afterwards on as many threads as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


_gate, _chosen, _inside = threading.Lock(), ExitStack(), 0


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Attention has a second derivative, which the fused kernels lack.

    torch keeps the choice of kernels for the whole process. Of threads that are inside at once the first makes it and
    the last takes it back: each putting back what it found would leave the other's choice behind for good.
    """
    global _inside  # of the process, as the choice is
    with _gate:
        if _inside == 0:
            _chosen.enter_context(sdpa_kernel(SDPBackend.MATH))
        _inside += 1
    try:
        yield
    finally:
        with _gate:
            _inside -= 1
            if _inside == 0:
                _chosen.close()


_of_thread = threading.local()


def _begin_work() -> None:
    _of_thread.works = True
    use_one_thread()


def side_by_side(jobs: Iterable[Callable[[], T]], device: torch.device) -> Generator[T, None, None]:
    """The results of jobs, in their order; on a CPU as many at a time as there are cores, on a GPU one by one.

    Jobs are drawn as they are needed, on the calling thread. Jobs of a job are done one by one, too: the cores are
    taken, and what so many of them hold. What a job raises is raised here; no further job is begun then, and those
    under way are waited for.
    """
    at_once = min(cores(), AT_MOST) if device.type == "cpu" and not getattr(_of_thread, "works", False) else 1
    if at_once == 1:
        for job in jobs:
            yield job()
        return
    waiting: deque[Future[T]] = deque()
    crew = _crew(at_once)
    try:
        for job in jobs:
            waiting.append(crew.submit(job))
            if len(waiting) > at_once:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        wait([future for future in waiting if not future.cancel()])
        waiting.clear()  # an error in one of them holds this frame


def _first(waiting: deque[Future[T]]) -> T:
    """The result of the first, which leaves the queue when it is done: who is interrupted here must wait for it yet."""
    found = waiting[0].result()
    waiting.popleft()
    return found


@cache
def _crew(size: int) -> ThreadPoolExecutor:
    """Threads that stay: what a fresh one allocates at first would take a third of a short job."""
    return ThreadPoolExecutor(size, "student", _begin_work)


def once(make: Callable[[], T]) -> Callable[[], T]:
    """What `make` gives or raises, made by whichever thread asks first, for which the others wait."""
    made: Future[T] = Future()
    turn = threading.Lock()

    def get() -> T:
        with turn:
            if not made.done():
                try:
                    made.set_result(make())
                except BaseException as error:
                    made.set_exception(error)
        return made.result()

    return get
