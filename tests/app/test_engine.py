"""The engine inside the server: one thread for whoever computes, one at a time, and nothing of it for workers."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
import torch
from patience import PATIENCE_S

from foster.ui.engine import turn


@pytest.fixture(autouse=True)
def _many_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_every_rerun_computes_on_one_thread_and_workers_inherit_nothing_of_it() -> None:
    before, seen = dict(os.environ), []

    def rerun() -> None:
        with turn():
            seen.append(torch.get_num_threads())

    for _ in range(2):
        thread = threading.Thread(target=rerun)
        thread.start()
        thread.join(PATIENCE_S)
    assert seen == [1, 1]
    assert dict(os.environ) == before


def test_two_sessions_take_turns_and_one_may_go_on_inside_its_own() -> None:
    inside, entered = threading.Event(), threading.Event()

    def other() -> None:
        inside.set()
        with turn():
            entered.set()

    thread = threading.Thread(target=other)
    with turn(), turn():
        thread.start()
        assert inside.wait(PATIENCE_S)
        assert not entered.wait(0.2)
    assert entered.wait(PATIENCE_S)
    thread.join(PATIENCE_S)
