"""The map: planted groups stay together, the same seed gives the same picture, small catalogues have one too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foster.cooccurrence import soft_cooccurrence
from foster.interactions import Interactions
from foster.item_map import item_map, layout, real_profiles, synthetic_profiles


def two_groups(users: int = 40, each: int = 12) -> Interactions:
    """Even users take items 0 to 11, odd ones 12 to 23, six at a time."""
    draw = np.random.default_rng(0)
    sequences = [draw.permutation(each)[:6] + each * (u % 2) for u in range(users)]
    return Interactions(np.concatenate(sequences), 6 * np.arange(users + 1), tuple(f"u{u}" for u in range(users)))


def separation(points: np.ndarray) -> float:
    """Distance of the groups' centres over the mean distance to one's own centre."""
    centres = [points[:12].mean(0), points[12:].mean(0)]
    own = np.mean([np.linalg.norm(p - centres[i // 12]) for i, p in enumerate(points)])
    return float(np.linalg.norm(centres[0] - centres[1]) / max(own, 1e-9))


def test_items_that_share_users_have_like_profiles() -> None:
    profiles = real_profiles(two_groups(), 24)
    assert profiles.shape[0] == 24
    assert separation(profiles) > 1


@pytest.mark.filterwarnings("ignore")
def test_groups_stay_apart_in_every_view_and_a_seed_gives_one_picture() -> None:
    totals = np.zeros((4, 24), dtype=np.float32)
    totals[0, :6], totals[1, 6:12], totals[0, 6:12], totals[2, 12:] = 1, 0.5, 1, 1
    features = np.repeat(np.eye(2, dtype=np.float32), 12, axis=0)
    features = features + np.random.default_rng(1).normal(0, 0.1, features.shape).astype(np.float32)
    one, same = (item_map(two_groups(), totals, features, seed=3) for _ in range(2))
    for view in ("real", "synthetic", "text"):
        points = one[[f"x_{view}", f"y_{view}"]].to_numpy()
        assert np.isfinite(points).all()
        assert np.abs(points).max() <= 1 + 1e-6
        assert separation(points) > 1, view
    assert one.equals(same)
    assert one.item.tolist() == list(range(24))
    assert one["mass"].tolist() == pytest.approx(totals.sum(0).tolist())


def test_profiles_factor_the_soft_cooccurrence() -> None:
    """Items with the same profile have the same conditional co-occurrence."""
    p = torch.rand(3, 4, 5)
    p[..., 1] = 2 * p[..., 0]
    totals = p.sum(1)
    profiles = synthetic_profiles(totals.numpy())
    assert np.allclose(profiles[0], profiles[1], atol=1e-6)
    assert np.allclose((profiles**2).sum(1), 1, atol=1e-5)
    c = totals.T @ totals
    assert torch.allclose(soft_cooccurrence(p) + torch.einsum("mli,mlj->ij", p, p), c, atol=1e-4)


@pytest.mark.parametrize("n_items", [1, 2, 3, 9])
def test_a_small_catalogue_lies_on_a_circle(n_items: int) -> None:
    log = Interactions(np.arange(n_items), np.array([0, n_items]), ("u",))
    table = item_map(log, np.ones((2, n_items), np.float32), np.eye(n_items, dtype=np.float32), seed=0)
    assert np.hypot(table.x_real, table.y_real).tolist() == pytest.approx([1] * n_items, abs=1e-5)


def test_items_that_nobody_took_still_get_a_place() -> None:
    assert real_profiles(Interactions(np.array([3]), np.array([0, 1]), ("u",)), 6).tolist() == [[0.0] * 32] * 6
    assert layout(np.zeros((5, 3), np.float32), 0).shape == (5, 2)
    assert np.isfinite(synthetic_profiles(np.zeros((2, 4), np.float32))).all()
