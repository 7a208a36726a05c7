"""MovieLens-100K's own folder, planted and broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from read_folders import refusal, sequences

from foster.formats import load_dataset

FLAGS = {"": "0" * 19, "Comedy": "0000010000000000000", "unknown|Western": "1000000000000000001"}
MOVIES = [
    ("1", "Amélie (2001)", "Comedy"),
    ("2", 'The "M" Word', "unknown|Western"),
    ("3", "unknown", ""),
]
U_ITEM = "".join(f"{id}|{title}|01-Jan-1995||http://x/|{'|'.join(FLAGS[genres])}\n" for id, title, genres in MOVIES)
U_DATA = "9\t3\t5\t300\n9\t1\t1\t100\n9\t2\t3\t200\n"


@pytest.fixture
def movielens(tmp_path: Path) -> Path:
    (tmp_path / "u.data").write_text(U_DATA)
    (tmp_path / "u.item").write_bytes(U_ITEM.encode("latin-1"))
    return tmp_path


def test_movielens_is_read_as_planted(movielens: Path) -> None:
    dataset = load_dataset(str(movielens))
    assert dataset.catalog.titles == ("Amélie (2001)", 'The "M" Word', "unknown")
    assert dataset.catalog.fields == {"genres": ("Comedy", "unknown|Western", "")}
    assert sequences(dataset) == {"9": ["1", "2", "3"]}
    assert dataset.dropped == {}


def test_movielens_genres_are_named_after_its_genre_file(movielens: Path) -> None:
    (movielens / "u.genre").write_text("".join(f"G{number}|{number}\n" for number in range(19)) + "\n")
    assert load_dataset(str(movielens)).catalog.fields == {"genres": ("G5", "G0|G18", "")}


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("u.data", None, "has u.item but no u.data"),
        ("u.item", None, "has u.data but no u.item"),
        ("u.data", "", "u.data is empty"),
        ("u.data", "9\t1\t5\n", "u.data is not a readable table"),
        ("u.data", "9\t1\t5\tmonday\n", "u.data: column 'timestamp', row 1: 'monday'"),
        ("u.item", "1|Title|only\n", "u.item is not a readable table"),
        ("u.item", U_ITEM.replace("|1", "|x", 3), "genre flag"),
        ("u.item", U_ITEM + U_ITEM, "3 item_id occur more than once"),
        ("u.genre", "Drama|0\n", "u.genre names 1 genres"),
    ],
)
def test_a_broken_movielens_folder_is_refused(movielens: Path, file: str, content: str | None, expected: str) -> None:
    if content is None:
        (movielens / file).unlink()
    else:
        (movielens / file).write_text(content, encoding="latin-1")
    assert expected in refusal(movielens)
