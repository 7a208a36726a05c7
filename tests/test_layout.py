"""The layout: planted groups stay together, a start is kept to, a turned picture is turned back."""

from __future__ import annotations

import numpy as np
import pytest

from foster.layout import aligned, beside, centred, layout, principal

GROUPS, EACH = 6, 40


def planted(seed: int = 0, noise: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Rows [240, 12] around six directions, shuffled, and which direction each is from."""
    draw = np.random.default_rng(seed)
    group = draw.permutation(np.repeat(np.arange(GROUPS), EACH))
    rows = np.eye(GROUPS, 12)[group] + draw.normal(0, noise, (len(group), 12))
    return rows.astype(np.float32), group


def own_share(places: np.ndarray, group: np.ndarray, k: int = 10) -> float:
    """How many of the k nearest points are of the same group."""
    far = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(far, np.inf)
    return float((group[np.argsort(far, axis=1)[:, :k]] == group[:, None]).mean())


def turned(places: np.ndarray, angle: float, mirrored: bool) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (places @ turn @ np.diag([-1.0 if mirrored else 1.0, 1.0]) + [3.0, -2.0]).astype(np.float32)


def test_planted_groups_are_groups_in_the_plane() -> None:
    rows, group = planted()
    places = layout(rows)
    assert places.shape == (len(rows), 2)
    assert own_share(places, group) > 0.95 > own_share(np.random.default_rng(0).normal(size=places.shape), group)
    assert np.abs(places).max() == pytest.approx(1, abs=1e-6)
    assert np.abs(places.mean(0)).max() < 1e-6


def test_the_same_rows_give_the_same_places() -> None:
    rows, _ = planted()
    assert np.array_equal(layout(rows), layout(rows))
    assert not np.array_equal(layout(rows), layout(rows, seed=1))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.7, 3.0])
def test_a_turned_and_mirrored_picture_is_turned_back(angle: float, mirrored: bool) -> None:
    places = centred(np.random.default_rng(0).normal(size=(50, 2)))
    assert aligned(turned(places, angle, mirrored), places) == pytest.approx(places, abs=1e-5)


def test_a_layout_that_starts_from_another_keeps_its_points_in_place() -> None:
    """The same groups in other rows: each stands where it stood, and does not without the common start."""
    (rows, group), draw = planted(), np.random.default_rng(5)
    others = (rows @ np.linalg.qr(draw.normal(size=(12, 12)))[0] + draw.normal(0, 0.1, rows.shape)).astype(np.float32)
    first = layout(rows)

    def moved(places: np.ndarray) -> float:
        """Mean way of the groups' centres between the pictures."""
        ways = [places[group == g].mean(0) - first[group == g].mean(0) for g in range(GROUPS)]
        return float(np.linalg.norm(ways, axis=1).mean())

    followed = aligned(layout(others, start=first), first)
    assert own_share(followed, group) > 0.95
    assert moved(followed) < 0.35 < 0.9 < moved(layout(others))


def test_rows_left_out_stand_beside_those_most_like_them() -> None:
    rows, group = planted()
    known = np.arange(len(rows)) % 4 > 0
    places = layout(rows[known])
    all_places = np.empty((len(rows), 2), np.float32)
    all_places[known], all_places[~known] = places, beside(rows[~known], rows[known], places)
    assert own_share(all_places, group, k=5) > 0.9


@pytest.mark.parametrize(
    "rows",
    [np.zeros((40, 5)), np.ones((40, 5)), np.repeat(np.eye(3), 10, 0), np.eye(12), np.zeros((0, 3)), np.eye(9)],
    ids=["nothing", "all alike", "three values", "all unlike", "no rows", "few rows"],
)
def test_odd_rows_have_places_too(rows: np.ndarray) -> None:
    places = layout(rows.astype(np.float32))
    assert places.shape == (len(rows), 2)
    assert np.isfinite(places).all()
    assert len(np.unique(places.round(6), axis=0)) == len(rows), "each point can be seen"


def test_rows_of_nothing_stand_together() -> None:
    rows, _ = planted()
    rows[::6] = 0
    assert own_share(layout(rows), np.arange(len(rows)) % 6 == 0) > 0.95


def test_progress_rises_and_may_end_the_layout() -> None:
    seen: list[float] = []
    layout(planted()[0], progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert any(0 < share < 1 for share in seen), "it says when UMAP begins"

    class Stop(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0.5:
            raise Stop

    with pytest.raises(Stop):
        layout(planted()[0], progress=stop)


def test_principal_components_are_the_widest_directions() -> None:
    draw = np.random.default_rng(0)
    rows = (draw.normal(size=(500, 6)) * [1, 9, 2, 5, 1, 1]).astype(np.float32)
    found = principal(rows)
    assert abs(np.corrcoef(found[:, 0], rows[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(found[:, 1], rows[:, 3])[0, 1]) > 0.98
