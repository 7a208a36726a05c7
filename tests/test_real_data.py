"""The public sets as published; skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from read_folders import sequences

from foster.formats import load_dataset

SIZES = {  # users, items, events and duplicates as published; some sets have users with fewer than 3 events
    "amazon_beauty": (22_363, 12_101, 198_502, 0),
    "amazon_food_bundle": (879, 3_767, 6_395, 1_776),
    "amazon_games": (50_546, 16_859, 452_989, 0),
    "amazon_games_dealrec": (49_156, 17_332, 342_329, 0),
    "amazon_phones": (27_879, 10_429, 194_439, 0),
    "amazon_scientific": (2_928, 1_585, 19_712, 0),
    "lastfm_artists": (976, 4_606, 50_800, 0),
    "ml-100k": (943, 1_682, 100_000, 0),
    "ml-latest-small": (610, 9_742, 100_836, 0),
    "online_retail": (4_339, 3_665, 397_924, 10_127),
    "yelp": (30_431, 20_033, 316_354, 0),
}


@pytest.mark.parametrize("name", SIZES)
def test_real_data_has_its_published_size(shared_data: Path, name: str) -> None:
    users, items, events, duplicates = SIZES[name]
    dataset = load_dataset(str(shared_data / name))
    short = dataset.dropped.get("users with fewer than 3 events", 0)
    assert dataset.interactions.n_users + short == users
    assert len(dataset.catalog) == items
    assert dataset.dropped.get("exact duplicate rows", 0) == duplicates
    missing = events - duplicates - len(dataset.interactions)
    assert short <= missing <= 2 * short if not duplicates else 0 <= missing <= 2 * short
    assert set(dataset.dropped) <= {
        "exact duplicate rows",
        "items without a title",
        "users with fewer than 3 events",
    }


@pytest.mark.parametrize(
    ("name", "mask_history", "repeat_share"),
    [("ml-100k", True, 0.0), ("yelp", False, 0.067), ("amazon_games", True, 0.0)],
)
def test_real_data_repeats_as_published(shared_data: Path, name: str, mask_history: bool, repeat_share: float) -> None:
    split = load_dataset(str(shared_data / name)).interactions.leave_one_out()
    assert split.mask_history is mask_history
    assert split.repeat_share == pytest.approx(repeat_share, abs=5e-4)


def test_the_raw_movielens_folder_equals_the_prepared_table(shared_data: Path) -> None:
    raw = load_dataset(str(shared_data / "raw" / "ml-100k"))
    prepared = load_dataset(str(shared_data / "ml-100k"))
    assert raw.catalog.ids == prepared.catalog.ids
    assert raw.catalog.titles == prepared.catalog.titles
    assert raw.catalog.fields == prepared.catalog.fields
    assert sequences(raw) == sequences(prepared)
    assert raw.interactions.user_ids == prepared.interactions.user_ids


def test_a_large_csv_equals_its_parquet_source(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "ml-latest-small"
    for name in ("items", "interactions"):
        pd.read_parquet(source / f"{name}.parquet").to_csv(tmp_path / f"{name}.csv", index=False)
    from_csv, from_parquet = load_dataset(str(tmp_path)), load_dataset(str(source))
    assert from_csv.catalog == from_parquet.catalog
    assert np.array_equal(from_csv.interactions.items, from_parquet.interactions.items)
    assert from_csv.interactions.user_ids == from_parquet.interactions.user_ids
