"""The map: planted groups stay together in three views that are in line, and what no result changes is made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file

import foster.item_map
from foster.cooccurrence import soft_cooccurrence
from foster.interactions import Interactions
from foster.item_map import item_map, kept, kept_layouts, near, real_profiles, synthetic_profiles
from foster.map_facts import NEAR


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


def planted_run(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Label mass [4, 24] and text features [24, 2] of the same two groups."""
    totals = np.zeros((4, 24), dtype=np.float32)
    totals[0, :6], totals[1, 6:12], totals[0, 6:12], totals[2, 12:] = 1, 0.5, 1, 1
    features = np.repeat(np.eye(2, dtype=np.float32), 12, axis=0)
    return totals, features + np.random.default_rng(seed).normal(0, 0.1, features.shape).astype(np.float32)


def places(table: pd.DataFrame, view: str) -> np.ndarray:
    return table[[f"x_{view}", f"y_{view}"]].to_numpy()


def test_groups_stay_apart_in_every_view_and_can_be_followed(tmp_path: Path) -> None:
    totals, features = planted_run()
    one, same = (item_map(two_groups(), totals, features, tmp_path / name) for name in "ab")
    real = places(one, "real")
    across = real[12:].mean(0) - real[:12].mean(0)
    for view in ("real", "synthetic", "text"):
        points = places(one, view)
        assert np.isfinite(points).all()
        assert np.abs(points).max() <= 1 + 1e-6
        assert separation(points) > 1, view
        here = points[12:].mean(0) - points[:12].mean(0)
        cosine = here @ across / np.linalg.norm(here) / np.linalg.norm(across)
        assert cosine > 0.95, f"{view}: the groups lie to the same side as in the real view"
    assert one.equals(same)
    assert one.item.tolist() == list(range(24))
    assert one["mass"].tolist() == pytest.approx(totals.sum(0).tolist())


def test_a_view_keeps_the_neighbours_it_has_in_common_with_the_log() -> None:
    draw = np.random.default_rng(0)
    real, unlike = (draw.normal(size=(60, 5)).astype(np.float32) for _ in range(2))
    assert kept(near(real), near(3 * real)).tolist() == [1.0] * 60
    found = kept(near(real), near(unlike))
    for item in (0, 31, 59):
        orders = []
        for rows in (real, unlike):
            unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            order = np.argsort(-(unit @ unit[item]), kind="stable").tolist()
            orders.append({row for row in order[: NEAR + 1] if row != item})
        assert found[item] == pytest.approx(len(orders[0] & orders[1]) / NEAR)


def test_what_has_no_neighbours_of_its_own_is_not_judged() -> None:
    real = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    alone = real.copy()
    alone[7] = 0  # stands with no other in the log
    judged = np.arange(60) != 7
    assert np.isnan(kept(near(alone), near(real))).tolist() == (~judged).tolist()
    assert np.isnan(kept(near(real), near(np.ones((60, 1), np.float32)))).all(), "one sequence tells no items apart"
    few = near(real[: 2 * NEAR])
    assert few.shape == (2 * NEAR, 0)
    assert np.isnan(kept(few, few)).tolist() == [True] * 2 * NEAR


def test_only_the_most_popular_items_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    totals, features = planted_run()
    monkeypatch.setattr(foster.item_map, "JUDGED", 22)
    log = two_groups()
    table = item_map(log, totals, features, tmp_path)
    popular = np.argsort(-np.bincount(log.items, minlength=24), kind="stable")[:22]
    for view in ("synthetic", "text"):
        share = table[f"kept_{view}"]
        assert table["item"][share.notna()].tolist() == sorted(popular.tolist())
        assert share.between(0, 1)[share.notna()].all()
        assert share.mean() > 0.8, "the planted groups are the same in every view"


def test_what_no_result_changes_is_laid_out_once(tmp_path: Path) -> None:
    totals, features = planted_run()
    seen: list[str] = []
    first = item_map(two_groups(), totals, features, tmp_path, lambda share, view: seen.append(view))
    assert set(seen) == {"real", "text", "synthetic"}
    assert {path.name for path in (tmp_path / "layouts").iterdir()} == {
        file.name for file in kept_layouts(two_groups(), features, tmp_path)
    }
    seen.clear()
    second = item_map(two_groups(), totals[::-1] * 2, features, tmp_path, lambda share, view: seen.append(view))
    assert set(seen) == {"synthetic"}
    for view in ("real", "text"):
        assert np.array_equal(places(first, view), places(second, view))


def test_other_texts_or_another_log_are_laid_out_anew(tmp_path: Path) -> None:
    _, features = planted_run()
    real, text = kept_layouts(two_groups(), features, tmp_path)
    other = kept_layouts(two_groups(), planted_run(seed=2)[1], tmp_path)
    assert other[0] == real
    assert other[1] != text
    assert not {real, text} & set(kept_layouts(two_groups(users=41), features, tmp_path))


@pytest.mark.parametrize("damage", [b"", b"no layout", None])
def test_a_kept_layout_that_cannot_be_read_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    totals, features = planted_run()
    whole = item_map(two_groups(), totals, features, tmp_path)
    for file in kept_layouts(two_groups(), features, tmp_path):
        if damage is None:
            save_file({"places": np.zeros((3, 2), np.float32)}, file)  # of another catalogue
        else:
            file.write_bytes(damage)
    assert item_map(two_groups(), totals, features, tmp_path).equals(whole)


def test_progress_rises_over_the_views_and_a_stop_keeps_what_is_done(tmp_path: Path) -> None:
    totals, features = planted_run()
    seen: list[float] = []

    class Stop(Exception):
        pass

    def until_synthetic(share: float, view: str) -> None:
        seen.append(share)
        if view == "synthetic":
            raise Stop

    with pytest.raises(Stop):
        item_map(two_groups(), totals, features, tmp_path, until_synthetic)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert 2 / 3 <= seen[-1] <= 1
    assert all(file.is_file() for file in kept_layouts(two_groups(), features, tmp_path))


def test_of_many_items_the_popular_are_laid_out_and_the_rest_stand_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foster.item_map, "LAID_OUT", 60)
    monkeypatch.setattr(foster.item_map, "MAX_ITEMS", 74)
    log, group, draw = two_groups(users=200, each=40), np.arange(80) >= 40, np.random.default_rng(1)
    ranked = np.argsort(-np.bincount(log.items, minlength=80), kind="stable")
    totals = (np.array([~group, ~group, group, group]) * draw.uniform(0.2, 1, (4, 80))).astype(np.float32)
    features = (np.eye(2)[group.astype(int)] + draw.normal(0, 0.1, (80, 2))).astype(np.float32)
    table = item_map(log, totals, features, tmp_path)
    assert sorted({*range(80)} - {*table.item}) == sorted(ranked[74:])
    own, beside = group[table.item], table.item.isin(ranked[60:74]).to_numpy()
    for view in ("real", "synthetic", "text"):
        points = places(table, view)
        centres = [points[~own & ~beside].mean(0), points[own & ~beside].mean(0)]
        nearer = np.linalg.norm(points - centres[1], axis=1) < np.linalg.norm(points - centres[0], axis=1)
        assert (nearer == own)[beside].mean() > 0.9, view
        assert (nearer == own)[~beside].mean() > 0.9, view


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
def test_a_small_catalogue_lies_on_a_circle(n_items: int, tmp_path: Path) -> None:
    log = Interactions(np.arange(n_items), np.array([0, n_items]), ("u",))
    table = item_map(log, np.ones((2, n_items), np.float32), np.eye(n_items, dtype=np.float32), tmp_path)
    assert np.hypot(table.x_real, table.y_real).tolist() == pytest.approx([1] * n_items, abs=1e-5)


def test_items_that_nobody_took_still_get_a_place() -> None:
    assert real_profiles(Interactions(np.array([3]), np.array([0, 1]), ("u",)), 6).tolist() == [[0.0] * 32] * 6
    assert np.isfinite(synthetic_profiles(np.zeros((2, 4), np.float32))).all()
