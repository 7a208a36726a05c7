"""The engine inside the server: one computation at a time, on one thread.

What pages compute is tiny. More threads would only wait for each other, and spin while they do, most of all where a
run's worker wants the same cores. Workers are processes of their own; nothing here reaches them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_TURN = RLock()


@contextmanager
def turn() -> Iterator[None]:
    """Waits for its turn and loads the engine; import whatever needs it inside."""
    with _TURN:
        from foster.parallel import use_one_thread

        use_one_thread()  # of the calling thread; streamlit starts a new one for every rerun
        yield
