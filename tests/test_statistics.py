"""The bootstrap on planted rows: a difference that is there, one that is not, one user, one seed."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from numpy.typing import NDArray

import foster.statistics
from foster.statistics import bootstrap, holm, interval, p_not_above, ratio, spread_of


def planted(share: float, seed: int, shape: tuple[int, int, int] = (3, 5, 400)) -> NDArray[np.float64]:
    """Gains of rows that hit a user with the given probability."""
    return (np.random.default_rng(seed).random(shape) < share).astype(float)


def test_the_examples_hold() -> None:
    found = doctest.testmod(foster.statistics)
    assert (found.failed, found.attempted) == (0, 6)


def test_a_known_difference_is_found_and_its_interval_holds_the_truth() -> None:
    rows = {"full": planted(0.5, 1), "soft": planted(0.4, 2), "random": planted(0.2, 3)}
    drawn = bootstrap(rows)
    assert {name: len(values) for name, values in drawn.items()} == dict.fromkeys(rows, 2_000)
    assert p_not_above(drawn["soft"] - drawn["random"]) < 0.01
    assert p_not_above(drawn["random"] - drawn["soft"]) == 1
    bounds = interval(ratio(drawn["soft"], drawn["full"]))
    assert bounds is not None
    assert bounds[0] < 0.8 < bounds[1]
    assert bounds[1] - bounds[0] < 0.3


def test_without_a_difference_none_is_found() -> None:
    same = planted(0.3, 4, (3, 1, 400))
    drawn = bootstrap({"soft": same, "control": same})
    assert drawn["soft"] == pytest.approx(drawn["control"])
    assert p_not_above(drawn["soft"] - drawn["control"]) == 1
    apart = bootstrap({"soft": planted(0.3, 5), "control": planted(0.3, 6)})
    assert 0.05 < p_not_above(apart["soft"] - apart["control"]) < 0.95


def test_users_are_paired_over_rows() -> None:
    """Hard and easy users, the same for both rows: alone the rows spread widely, their difference does not."""
    user = np.repeat([0.0, 1.0], 20)[None, None]
    drawn = bootstrap({"soft": user, "control": user - 0.01})
    assert drawn["soft"].std() > 0.05
    assert drawn["soft"] - drawn["control"] == pytest.approx(0.01)


def test_the_spread_over_users_is_that_of_the_binomial() -> None:
    drawn = bootstrap({"row": planted(0.3, 7, (1, 1, 1000))})["row"]
    assert drawn.std() == pytest.approx((0.3 * 0.7 / 1000) ** 0.5, rel=0.1)


def test_seeds_add_their_own_spread() -> None:
    users = np.full((1, 1, 50), 0.5)
    distillations = users + np.array([-0.1, 0.0, 0.1])[:, None, None]
    students = users + np.array([-0.1, 0.0, 0.1])[None, :, None]
    assert bootstrap({"row": users})["row"] == pytest.approx(0.5)
    expected = (0.02 / 3) ** 0.5 / 3**0.5  # the sample's own variance, over three draws
    assert bootstrap({"row": distillations})["row"].std() == pytest.approx(expected, rel=0.1)
    assert bootstrap({"row": students})["row"].std() == pytest.approx(expected, rel=0.1)


def test_one_user_and_one_seed_have_no_spread_and_break_nothing() -> None:
    drawn = bootstrap({"soft": np.ones((1, 1, 1)), "full": np.ones((1, 1, 1))})
    assert interval(ratio(drawn["soft"], drawn["full"])) == (1, 1)
    one = spread_of(np.ones((1, 1, 1)))
    assert (one.mean, one.sd_distillations, one.sd_students) == (1, None, None)


def test_the_same_seed_draws_the_same() -> None:
    rows = {"row": planted(0.3, 8)}
    assert np.array_equal(bootstrap(rows)["row"], bootstrap(rows)["row"])
    assert not np.array_equal(bootstrap(rows)["row"], bootstrap(rows, seed=1)["row"])


def test_a_full_model_that_finds_nothing_has_no_ratio() -> None:
    drawn = bootstrap({"soft": np.ones((1, 1, 3)), "full": np.zeros((1, 1, 3))})
    assert interval(ratio(drawn["soft"], drawn["full"])) is None


def test_rows_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="must be the same"):
        bootstrap({"a": np.ones((2, 1, 5)), "b": np.ones((2, 1, 6))})


def test_correction_never_lowers_and_keeps_the_order() -> None:
    p = {"a": 0.2, "b": 0.001, "c": 0.04, "d": 0.9}
    found = holm(p)
    assert list(found) == list(p)
    assert all(found[name] >= p[name] for name in p)
    assert sorted(found, key=found.__getitem__) == sorted(p, key=p.__getitem__)
    assert found["b"] == pytest.approx(0.004)
