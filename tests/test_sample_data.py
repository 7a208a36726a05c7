"""The bundled sample: its generator reproduces it, its catalogue is sound, it stays small."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from safetensors import safe_open

from foster.formats import bundled

FOLDER = bundled("sample_data")
MEGABYTE = 1_000_000


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def items() -> list[dict[str, str]]:
    return rows("items.csv")


@pytest.fixture(scope="module")
def histories() -> dict[str, list[tuple[int, str]]]:
    """(day, item) of each reader in file order."""
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in rows("interactions.csv"):
        found[row["user_id"]].append((int(row["timestamp"]), row["item_id"]))
    return dict(found)


def simulate(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    # -I -S: no site-packages, so the generator provably needs the standard library only
    command = [sys.executable, "-I", "-S", str(folder / "simulate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_generator_reproduces_the_interactions_byte_for_byte(tmp_path: Path) -> None:
    for name in ("items.csv", "simulate.py"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    assert simulate(folder=tmp_path).returncode == 0
    assert (tmp_path / "interactions.csv").read_bytes() == (FOLDER / "interactions.csv").read_bytes()


def test_check_tells_a_changed_log(tmp_path: Path) -> None:
    for name in ("items.csv", "simulate.py", "interactions.csv"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    assert simulate("--check", folder=tmp_path).returncode == 0
    with (tmp_path / "interactions.csv").open("a", encoding="utf-8") as file:
        file.write("u9999,b0001,20000\n")
    changed = simulate("--check", folder=tmp_path)
    assert changed.returncode == 1
    assert "differs" in changed.stdout


def test_catalogue_is_sound(items: list[dict[str, str]]) -> None:
    assert 600 <= len(items) <= 1_000
    assert len({item["item_id"] for item in items}) == len(items)
    assert len({item["title"].casefold() for item in items}) == len(items)
    for item in items:
        assert item["title"]
        assert item["author"]
        assert item["genre"]
        assert item["subjects"]
        assert all(value == value.strip() for value in item.values()), item
        assert -1_000 < int(item["year"]) < 2_025
        subjects = item["subjects"].split("; ")
        assert len(set(subjects)) == len(subjects), item


def test_series_numbers_are_whole_unique_and_follow_the_years(items: list[dict[str, str]]) -> None:
    years: dict[str, dict[int, int]] = defaultdict(dict)
    for item in items:
        if item["series"]:
            name, _, number = item["series"].rpartition(", book ")
            assert name
            assert int(number) >= 1
            assert int(number) not in years[name], item
            years[name][int(number)] = int(item["year"])
    assert len(years) > 100
    for name, volumes in years.items():
        in_order = [volumes[number] for number in sorted(volumes)]
        assert in_order == sorted(in_order), name


def test_every_reader_has_a_usable_history(
    items: list[dict[str, str]], histories: dict[str, list[tuple[int, str]]]
) -> None:
    known = {item["item_id"] for item in items}
    assert len(histories) == 3_000
    for events in histories.values():
        books = [book for _, book in events]
        assert 5 <= len(books) <= 60
        assert len(set(books)) == len(books)
        assert known.issuperset(books)
        assert all(earlier < later for (earlier, _), (later, _) in pairwise(events))


def test_embeddings_fit_the_catalogue(items: list[dict[str, str]]) -> None:
    with safe_open(FOLDER / "embeddings.safetensors", framework="pt") as file:
        table = file.get_tensor("embeddings")
    assert tuple(table.shape) == (len(items), 384)
    assert str(table.dtype) == "torch.float16"
    assert (table.float().norm(dim=1) - 1).abs().max() < 1e-2


def test_sample_is_small() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) <= 5 * MEGABYTE
    assert (FOLDER / "interactions.csv").stat().st_size < 2 * MEGABYTE


@pytest.mark.parametrize("run", sorted((FOLDER / "runs").iterdir()), ids=lambda run: run.name)
def test_shipped_runs_are_of_the_sample_and_of_nothing_else(run: Path, items: list[dict[str, str]]) -> None:
    known = {item["item_id"] for item in items}
    assert json.loads((run / "spec.json").read_text())["data"] == "sample"
    assert json.loads((run / "data.json").read_text())["name"] == "sample"
    assert json.loads((run / "status.json").read_text())["state"] == "done"
    assert set(pd.read_parquet(run / "items.parquet")["item_id"]) == known
    assert {item for row in json.loads((run / "hard.json").read_text())["sequences"] for item in row} <= known
    assert not {"checkpoints", "cache.json", "lock", "note.json"} & {file.name for file in run.iterdir()}


def test_shipped_runs_are_of_one_engine() -> None:
    """They are held against each other on Start."""
    made = {run.name: json.loads((run / "report.json").read_text())["engine"] for run in (FOLDER / "runs").iterdir()}
    assert len({*made.values()}) == 1, made
