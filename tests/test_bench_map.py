"""The benchmark of the map: what is planted is there, and every part is measured or says why not."""

from __future__ import annotations

import os
import signal
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from foster.bench import chromium
from foster.bench import map as bench
from foster.bench.planted import GROUPS, LENGTH, SEQUENCES, planted_features, planted_log, planted_run, planted_totals
from foster.item_map import item_map
from foster.runs import RunStore


def test_planted_groups_are_in_the_log_the_texts_and_the_sequences() -> None:
    n_items = 1_200
    log, totals, features = planted_log(n_items), planted_totals(n_items), planted_features(n_items)
    group = np.arange(n_items) % GROUPS
    most = [np.bincount(group[log.sequence(user)]).max() for user in range(200)]
    assert np.mean(most) > 8
    assert totals.sum(1) == pytest.approx([LENGTH] * SEQUENCES, rel=1e-4)
    nearest = np.argsort(-(features @ features.T), axis=1)[:, 1]
    assert (group[nearest] == group).mean() > 0.95


def test_planted_groups_can_be_seen_on_the_map(tmp_path: Path) -> None:
    n_items = 600
    table = item_map(planted_log(n_items), planted_totals(n_items), planted_features(n_items), tmp_path)
    group = table["item"].to_numpy() % GROUPS
    for view in ("real", "synthetic", "text"):
        places = table[[f"x_{view}", f"y_{view}"]].to_numpy()
        far = np.linalg.norm(places[:, None] - places[None], axis=2)
        np.fill_diagonal(far, np.inf)
        assert (group[far.argmin(1)] == group).mean() > 0.6, f"{view}; by chance {1 / GROUPS:.2f}"


def test_a_planted_run_is_a_finished_run(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs", bundled=None)
    run = planted_run(store, 500)
    assert store.get(run.id).status().state == "done"
    items, table = run.items(), run.map()
    assert items is not None
    assert table is not None
    assert items["item"].tolist() == table["item"].tolist() == list(range(500))


def test_without_a_browser_the_layout_is_measured_and_the_reason_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "CHROMIUM", Path("/nowhere/chromium"))
    found = bench.measure(quick=True, say=lambda line: None)
    assert [each["items"] for each in found["layout"]] == [300, 2_000]
    assert all(each["peak_mb"] >= each["before_mb"] > 0 for each in found["layout"])
    assert "/nowhere/chromium" in found["drawn"]
    assert "2,000" in bench.text(found)
    assert "not drawn: no Chromium at /nowhere/chromium" in bench.text(found)


def test_a_terminated_benchmark_takes_its_server_with_it(tmp_path: Path) -> None:
    before, address = signal.getsignal(signal.SIGTERM), ""

    def measured() -> None:
        nonlocal address
        with chromium.serving(tmp_path / "runs") as address:
            assert urllib.request.urlopen(f"{address}/_stcore/health").status == 200
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("it goes on")

    with pytest.raises(KeyboardInterrupt):
        measured()
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/_stcore/health", timeout=5)
