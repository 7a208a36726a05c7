"""The interaction log: grouping, order, and the leave-one-out split."""

from __future__ import annotations

import numpy as np
import pytest

from foster.interactions import Interactions


def log(*sequences: list[int]) -> Interactions:
    offsets = np.cumsum([0, *map(len, sequences)])
    return Interactions(np.concatenate(sequences), offsets, tuple(f"u{user}" for user in range(len(sequences))))


def test_events_are_grouped_by_user_in_order_of_appearance_and_sorted_by_time() -> None:
    interactions = Interactions.from_events(
        users=["z", "a", "z", "a", "z"], items=np.array([0, 1, 2, 3, 4]), times=np.array([9.0, 2.0, 3.5, 1.0, -1.0])
    )
    assert interactions.user_ids == ("z", "a")
    assert interactions.sequence(0).tolist() == [4, 2, 0]
    assert interactions.sequence(1).tolist() == [3, 1]
    assert interactions.users.tolist() == [0, 0, 0, 1, 1]
    assert (interactions.items.dtype, interactions.offsets.dtype) == (np.int32, np.int64)


def test_events_of_equal_time_keep_their_order() -> None:
    items = np.random.default_rng(0).permutation(1_000)
    interactions = Interactions.from_events(["u"] * 1_000, items, np.repeat([5, 5, 1, 1], 250))
    assert interactions.sequence(0).tolist() == [*items[500:], *items[:500]]


def test_grouping_agrees_with_a_literal_sort() -> None:
    rng = np.random.default_rng(1)
    users = [f"u{user}" for user in rng.integers(0, 30, 500)]
    items, times = rng.integers(0, 50, 500), rng.integers(0, 20, 500)
    interactions = Interactions.from_events(users, items, times)
    for number, user in enumerate(dict.fromkeys(users)):
        rows = sorted((row for row in range(500) if users[row] == user), key=lambda row: times[row])
        assert interactions.user_ids[number] == user
        assert interactions.sequence(number).tolist() == items[rows].tolist()


def test_leave_one_out_takes_the_last_two_events_of_every_user() -> None:
    split = log([0, 1, 2], [5, 4, 3, 2, 1]).leave_one_out()
    assert split.train.sequence(0).tolist() == [0]
    assert split.train.sequence(1).tolist() == [5, 4, 3]
    assert split.train.user_ids == ("u0", "u1")
    assert split.valid.tolist() == [1, 2]
    assert split.test.tolist() == [2, 1]
    assert split.valid.dtype == split.test.dtype == np.int32


@pytest.mark.parametrize(
    ("sequences", "mask_history", "repeat_share"),
    [
        (([0, 1, 2], [1, 0, 2]), True, 0.0),  # two users may take one item
        (([0, 1, 2, 2], [0, 1, 2]), True, 0.5),  # the test item repeats, the training log does not
        (([0, 1, 1, 2], [0, 1, 2]), True, 0.0),  # the validation item repeats
        (([0, 0, 1, 2], [0, 1, 2]), False, 0.0),  # the training log repeats
        (([0, 0, 1, 0], [0, 1, 0], [0, 1, 2], [2, 1, 0]), False, 0.5),
    ],
)
def test_history_is_masked_only_where_the_training_log_holds_no_repeats(
    sequences: tuple[list[int], ...], mask_history: bool, repeat_share: float
) -> None:
    split = log(*sequences).leave_one_out()
    assert split.mask_history is mask_history
    assert split.repeat_share == repeat_share


def test_a_user_with_two_events_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="'u1' has fewer than 3"):
        log([0, 1, 2], [0, 1]).leave_one_out()


def test_arrays_are_read_only_copies() -> None:
    items = np.array([0, 1, 2])
    interactions = Interactions(items, np.array([0, 3]), ("u",))
    items[0] = 9
    assert interactions.items.tolist() == [0, 1, 2]
    split = interactions.leave_one_out()
    for array in (interactions.items, interactions.offsets, interactions.sequence(0), split.valid, split.test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("items", "offsets", "user_ids", "message"),
    [
        ([], [0], (), "at least one user"),
        ([0, 0], [0, 1, 2], ("u", "u"), "unique"),
        ([0, 1], [0, 2], ("u", "v"), "3 offsets"),
        ([0, 1], [0, 1], ("u",), "rise from 0"),
        ([0, 1], [1, 2], ("u",), "rise from 0"),
        ([0, 1], [0, 0, 2], ("u", "v"), "at least one event"),
        ([0, 1], [0, 3, 2], ("u", "v"), "rise from 0"),
        ([0, -1], [0, 2], ("u",), "negative"),
        ([0, 2**40], [0, 2], ("u",), "fit int32"),
        ([0.0, 0.5], [0, 2], ("u",), "whole numbers"),
        ([[0], [1]], [0, 2], ("u",), "vector"),
    ],
)
def test_an_invalid_log_cannot_be_built(items: list, offsets: list, user_ids: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Interactions(np.array(items), np.array(offsets), user_ids)


def test_events_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="not one event list"):
        Interactions.from_events(["u"], np.array([0, 1]), np.array([0, 1]))
    with pytest.raises(ValueError, match="finite"):
        Interactions.from_events(["u"], np.array([0]), np.array([np.nan]))


def test_there_is_no_user_beyond_the_last() -> None:
    for user in (-1, 1):
        with pytest.raises(IndexError):
            log([0, 1, 2]).sequence(user)


def test_of_users_with_few_events_nothing_is_kept() -> None:
    log = Interactions(np.arange(9), np.array([0, 2, 6, 9]), ("a", "b", "c"))
    found = log.of_at_least(3)
    assert found is not None
    assert found.user_ids == ("b", "c")
    assert [found.sequence(user).tolist() for user in range(2)] == [[2, 3, 4, 5], [6, 7, 8]]
    assert log.of_at_least(5) is None
