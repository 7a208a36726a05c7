"""Jobs side by side: the same results in the same order on any number of cores, and an end at once when asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import torch

from foster.parallel import all_cores, cores, once, side_by_side, twice_differentiable, use_one_thread

CPU = torch.device("cpu")


@pytest.fixture(params=["1", "2", "3"])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("OMP_NUM_THREADS", request.param)
    return int(request.param)


def test_results_come_in_the_order_of_the_jobs_each_computed_on_one_thread(at_once: int) -> None:
    with spread_out():
        found = list(side_by_side([lambda n=n: (n, torch.get_num_threads()) for n in range(7)], CPU))
    assert found == [(n, 1) for n in range(7)]


def test_threads_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    both = threading.Barrier(2, timeout=60)

    def who() -> int:
        both.wait()
        return threading.get_ident()

    assert {*side_by_side([who] * 2, CPU)} == {*side_by_side([who] * 2, CPU)}


@contextmanager
def spread_out() -> Iterator[None]:
    """The calling thread computes on one core where there is one, else on more than its jobs may."""
    before = torch.get_num_threads()
    torch.set_num_threads(cores())
    yield
    torch.set_num_threads(before)


def test_no_job_gives_no_result(at_once: int) -> None:
    assert list(side_by_side(list[Callable[[], int]](), CPU)) == []


def test_two_cores_work_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    both = threading.Barrier(2, timeout=60)  # broken, and so raised, where they do not meet
    assert sorted(side_by_side([both.wait, both.wait], CPU)) == [0, 1]


def test_a_gpu_takes_one_job_at_a_time_on_the_calling_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert set(side_by_side([threading.get_ident] * 3, torch.device("cuda"))) == {threading.get_ident()}


def test_what_a_job_raises_is_raised_and_no_later_job_begins(at_once: int) -> None:
    begun: list[int] = []
    error = ValueError("planted")

    def job(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise error
        return number

    with pytest.raises(ValueError, match="planted"):
        list(side_by_side([lambda n=n: job(n) for n in range(50)], CPU))
    assert len(begun) < 2 * at_once + 4


def test_what_is_under_way_is_waited_for_when_another_job_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    begun, ended = threading.Event(), threading.Event()

    def fails() -> None:
        begun.wait(60)
        raise ValueError("planted")

    def goes_on() -> None:
        begun.set()
        time.sleep(0.2)
        ended.set()

    with pytest.raises(ValueError, match="planted"):
        list(side_by_side([fails, goes_on], CPU))
    assert ended.is_set()


def test_who_stops_listening_ends_it(at_once: int) -> None:
    begun: list[int] = []

    def jobs() -> Iterator[Callable[[], None]]:
        for number in range(50):
            yield lambda number=number: begun.append(number)

    with closing(side_by_side(jobs(), CPU)) as found:
        next(found)
    assert len(begun) < 2 * at_once + 4


def test_who_stops_listening_waits_for_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    begun, ended = threading.Event(), threading.Event()

    def goes_on() -> None:
        begun.set()
        time.sleep(0.2)
        ended.set()

    with closing(side_by_side([lambda: begun.wait(60), goes_on, *[lambda: None] * 5], CPU)) as found:
        next(found)
    assert ended.is_set()


def test_all_cores_are_taken_and_given_back(at_once: int) -> None:
    use_one_thread()
    assert cores() == at_once
    with all_cores():
        assert torch.get_num_threads() == at_once
    assert torch.get_num_threads() == 1
    with spread_out(), all_cores():
        pass
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("setting", ["", "0", "4,2", "many"])
def test_a_setting_that_is_no_number_leaves_what_the_system_grants(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    assert cores() >= 1


def test_the_choice_of_kernels_is_taken_back_when_the_last_thread_leaves() -> None:
    """The first thread leaves while the second is still inside."""
    steps = [threading.Event() for _ in range(3)]
    seen: list[bool] = []

    def first() -> None:
        with twice_differentiable():
            steps[0].set()
            steps[1].wait(10)
        seen.append(torch.backends.cuda.flash_sdp_enabled())
        steps[2].set()

    def second() -> None:
        steps[0].wait(10)
        with twice_differentiable():
            steps[1].set()
            steps[2].wait(10)

    assert torch.backends.cuda.flash_sdp_enabled()
    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == [False], "the second still needs it"
    assert torch.backends.cuda.flash_sdp_enabled()


def test_jobs_of_a_job_are_done_one_by_one_on_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def job() -> tuple[int, list[int]]:
        return threading.get_ident(), list(side_by_side([threading.get_ident] * 3, CPU))

    for own, of_jobs in side_by_side([job, job], CPU):
        assert of_jobs == [own] * 3
    assert list(side_by_side([threading.get_ident], CPU)) != [threading.get_ident()], "the caller is no job"


def test_what_is_made_once_is_made_by_one_thread_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    made: list[object] = []
    together = threading.Barrier(3, timeout=60)
    get = once(lambda: made.append(object()) or made[-1])

    def asked() -> object:
        together.wait()
        return get()

    found = list(side_by_side([asked] * 3, CPU))
    assert len(made) == 1
    assert found == made * 3


def test_what_cannot_be_made_is_tried_once_and_told_to_all() -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise KeyboardInterrupt("planted")

    get = once(fail)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt, match="planted"):
            get()
    assert len(tries) == 1
