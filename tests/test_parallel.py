"""Jobs side by side: the same results in the same order on any number of cores, and an end at once when asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import torch
from torch import Tensor

from foster.parallel import all_cores, computed_on, cores, side_by_side, use_one_thread

CPU = torch.device("cpu")


@pytest.fixture(params=["1", "2", "3"])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("OMP_NUM_THREADS", request.param)
    return int(request.param)


def learned(seed: int) -> Tensor:
    """Some hundred products whose last bits would tell another number of threads."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(64, 300, generator=generator)
    for _ in range(50):
        x = (x @ torch.randn(300, 300, generator=generator)).tanh()
    return x


def test_results_come_in_the_order_of_the_jobs_and_do_not_depend_on_the_cores(at_once: int) -> None:
    use_one_thread()
    found = list(side_by_side([lambda seed=seed: learned(seed) for seed in range(7)], CPU))
    assert all(torch.equal(value, learned(seed)) for seed, value in enumerate(found))
    assert len(found) == 7


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
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("student")]


def test_who_stops_listening_ends_it(at_once: int) -> None:
    begun: list[int] = []

    def jobs() -> Iterator[Callable[[], None]]:
        for number in range(50):
            yield lambda number=number: begun.append(number)

    with closing(side_by_side(jobs(), CPU)) as found:
        next(found)
    assert len(begun) < 2 * at_once + 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("student")]


def test_all_cores_are_taken_and_given_back(at_once: int) -> None:
    use_one_thread()
    assert cores() == at_once
    assert computed_on(CPU) == f"cpu:{at_once}"
    with all_cores():
        assert torch.get_num_threads() == at_once
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("setting", ["", "0", "4,2", "many"])
def test_a_setting_that_is_no_number_leaves_what_the_system_grants(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    assert cores() >= 1
