"""How long tests wait for what others do. Nothing here measures speed: the machine may be busy with much else."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 500.0  # one wait; below pytest's own limit, so that the test itself says what it waited for


def until(condition: Callable[[], bool], said: Callable[[], object] = lambda: "waited in vain") -> None:
    """Waits for what another thread, a run or a server does; `said` is told if it never comes."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.02)
