"""JSON lines and the upstream formats: RecBole's atomic files, Amazon reviews, Yelp. The values are planted."""

from __future__ import annotations

import doctest
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from foster.errors import UserError
from foster.formats import Dataset, amazon, load_dataset
from foster.formats.json_lines import read_json_lines


def lines(path: Path, rows: Iterable[Any]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def sequences(dataset: Dataset) -> dict[str, list[str]]:
    log = dataset.interactions
    return {user: [dataset.catalog.ids[item] for item in log.sequence(u)] for u, user in enumerate(log.user_ids)}


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_dataset(str(folder))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


# --- JSON lines

EVENTS = [{"user_id": 7, "item_id": item, "timestamp": time} for item, time in (("b", 2), ("007", 1), ("c", 3.5))]
ITEMS = [{"item_id": "007", "title": "Emma", "tags": ["a", "b"], "year": 1815}, {"item_id": "b", "title": "Dune"},
         {"item_id": "c", "title": "Ulysses", "tags": [], "more": {"x": 1}}]  # fmt: skip


def test_a_jsonl_folder_is_read_as_planted(tmp_path: Path) -> None:
    lines(tmp_path / "items.jsonl", ITEMS)
    lines(tmp_path / "interactions.jsonl", EVENTS)
    dataset = load_dataset(str(tmp_path))
    assert dataset.catalog.titles == ("Emma", "Dune", "Ulysses")
    assert dataset.catalog.fields == {"tags": ("a|b", "", "")}
    assert sequences(dataset) == {"7": ["007", "b", "c"]}


def test_a_tsv_folder_is_read_as_planted(tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text("item_id\ttitle\tyear\n007\tEmma, again\t1815\nb\tDune\t1965\nc\tC\t\n")
    lines(tmp_path / "interactions.jsonl", EVENTS)
    dataset = load_dataset(str(tmp_path))
    assert dataset.catalog.titles == ("Emma, again", "Dune", "C")
    assert dataset.catalog.fields == {}, "a year is no text"


def test_fields_that_come_late_or_change_their_kind(tmp_path: Path) -> None:
    table = read_json_lines(lines(tmp_path / "x.jsonl", [{"a": 1}, {"a": "x", "b": 2}, {}, {"b": 10**30, "c": True}]))
    assert table.to_pydict() == {"a": ["1", "x", None, None], "b": [None, "2", None, str(10**30)],
                                 "c": [None, None, None, True]}  # fmt: skip


def test_an_array_of_objects_a_byte_order_mark_and_half_a_surrogate_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('\ufeff[\n{"a": "\\ud800x"},\n{"a": "y"}]\n')
    assert read_json_lines(path).to_pydict() == {"a": ["?x", "y"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n  \n", "is empty"),
        (b'{"a": 1}\n{"a": \n', "line 2 is not valid JSON"),
        (b'{"a": 1}\n[1]\n', "is not valid JSON|no JSON object"),
        (b"3\n", "entry 1 is no JSON object"),
        (b"[1, 2]", "entry 1 is no JSON object"),
        ('{"a": "é"}\n'.encode("latin-1"), "line 1 is not UTF-8"),
        (b"[" * 100_000, "not valid JSON"),
        (b"".join(b'{"f%d": 1}\n' % number for number in range(600)), "more than 500 different fields"),
    ],
)
def test_what_is_no_json_lines_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_json_lines(path)
    assert any(part in str(caught.value) for part in said.split("|"))


def test_half_a_gzip_file_is_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.json.gz", [{"a": "b" * 1000}] * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="no complete gzip"):
        read_json_lines(path)


# --- RecBole

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n9\t3\t5\t300\n9\t1\t1\t100\n9\t2\t3\t200\n"
ITEM = "item_id:token\tmovie_title:token_seq\tyear:token\tclass:token_seq\tprice:float\n" + (
    '1\tThe "M" Word\t1995\tDrama War\t1.5\n2\tTwo\t1996\t\t2\n3\tThree\t1997\tWar\t\n'
)


@pytest.fixture
def recbole(tmp_path: Path) -> Path:
    (tmp_path / "films.inter").write_text(INTER)
    (tmp_path / "films.item").write_text(ITEM)
    return tmp_path


def test_recbole_is_read_as_planted(recbole: Path) -> None:
    dataset = load_dataset(str(recbole))
    assert dataset.catalog.titles == ('The "M" Word', "Two", "Three")
    assert dataset.catalog.fields == {"genres": ("Drama|War", "", "War")}
    assert dataset.catalog.category == ("Drama", "other", "War")
    assert sequences(dataset) == {"9": ["1", "2", "3"]}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("films.item", None, "has no .item file"),
        ("films.inter", None, "has no .inter file"),
        ("more.inter", INTER, "holds 2 .inter files"),
        ("films.inter", INTER.replace("timestamp:float", "when:float"), "no column 'timestamp'"),
        ("films.item", ITEM.replace("movie_title", "words"), "no column of titles"),
        ("films.inter", INTER.replace("300", "monday"), "'monday' is not a time"),
    ],
)
def test_a_broken_recbole_folder_is_refused(recbole: Path, file: str, content: str | None, said: str) -> None:
    if content is None:
        (recbole / file).unlink()
    else:
        (recbole / file).write_text(content)
    assert said in refusal(recbole)


def test_recbole_movielens_equals_the_upstream_folder(shared_data: Path) -> None:
    atomic = load_dataset(str(shared_data / "raw" / "ml-100k-recbole"))
    original = load_dataset(str(shared_data / "raw" / "ml-100k"))
    assert sequences(atomic) == sequences(original)
    assert atomic.catalog.ids == original.catalog.ids


# --- Amazon

REVIEWS = [{"reviewerID": "u", "asin": asin, "unixReviewTime": time, "reviewText": "private"}
           for asin, time in (("B2", 20), ("B1", 10), ("B3", 30), ("B9", 5))]  # fmt: skip
PRODUCTS = [
    {"asin": "B1", "title": '<span class="a-size-medium"', "category": ["Toys &amp; Games", "Puzzles"], "brand": "X"},
    {"asin": "B2", "title": "Salt &amp; Pepper <b>set</b>", "category": [], "brand": None},
    {"asin": "B3", "title": ""},
    {"asin": "B3", "title": "The better row", "category": ["Toys &amp; Games", "Cards"]},
    {"asin": "B4", "title": "Never reviewed", "also_buy": ["B1"]},
]


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_amazon_is_read_as_planted(tmp_path: Path, suffix: str) -> None:
    lines(tmp_path / f"Toys_5{suffix}", REVIEWS)
    lines(tmp_path / f"meta_Toys{suffix}", PRODUCTS)
    dataset = load_dataset(str(tmp_path))
    assert dataset.catalog.ids == ("B1", "B2", "B3")
    assert dataset.catalog.titles == ("B1", "Salt & Pepper set", "The better row")
    assert dataset.catalog.fields == {
        "category": ("Toys & Games > Puzzles", "", "Toys & Games > Cards"),
        "brand": ("X", "", ""),
    }
    assert sequences(dataset) == {"u": ["B1", "B2", "B3"]}
    assert dataset.dropped == {
        "titles that held HTML": 2,
        "repeated rows of an item": 1,
        "items without a title": 1,
        "events of unknown items": 1,
    }


def test_a_broken_amazon_folder_is_refused(tmp_path: Path) -> None:
    lines(tmp_path / "meta_Toys.json", PRODUCTS)
    assert "0 files of reviews for meta_Toys.json" in refusal(tmp_path)
    lines(tmp_path / "Toys_5.json", [{"reviewerID": "u", "asin": "other", "unixReviewTime": 1}])
    assert "describes none of the reviewed products" in refusal(tmp_path)
    lines(tmp_path / "Toys_5.json", [{"reviewerID": "u", "overall": 5}])
    assert "no column 'asin'" in refusal(tmp_path)
    (tmp_path / "meta_Toys.json").unlink()
    assert "0 files meta_CATEGORY" in refusal(tmp_path)


def test_amazon_text_examples_hold() -> None:
    assert doctest.testmod(amazon).failed == 0


@pytest.mark.parametrize(
    ("folder", "items", "users"), [("amazon-2018-giftcards", 148, 458), ("amazon-2018-magazine", 151, 347)]
)
def test_real_amazon_files_have_their_published_size(shared_data: Path, folder: str, items: int, users: int) -> None:
    dataset = load_dataset(str(shared_data / "raw" / folder))
    assert (len(dataset.catalog), dataset.interactions.n_users) == (items, users)
    assert not any("<" in title or "&amp;" in title for title in dataset.catalog.titles)


def test_broken_upstream_titles_are_counted(shared_data: Path) -> None:
    dataset = load_dataset(str(shared_data / "raw" / "amazon-2018-magazine"))
    assert dataset.dropped["items without a title"] == 148


# --- Yelp

YELP_REVIEWS = [{"review_id": "r", "user_id": "u", "business_id": place, "date": date, "text": "private"}
                for place, date in (("y", "2018-07-07 22:09:11"), ("x", "2016-01-01 00:00:00"),
                                    ("x", "2019-01-01 00:00:00"), ("gone", "2019-01-01 00:00:00"))]  # fmt: skip
BUSINESSES = [
    {"business_id": "x", "name": "Pho & Co", "city": "Reno", "categories": "Food, Vietnamese", "hours": None},
    {"business_id": "y", "name": "UPS", "city": "Reno", "categories": None},
    {"business_id": "z", "name": "Never reviewed", "city": "Reno", "categories": "Food"},
]


def test_yelp_is_read_as_planted(tmp_path: Path) -> None:
    lines(tmp_path / "yelp_academic_dataset_review.json", YELP_REVIEWS)
    lines(tmp_path / "yelp_academic_dataset_business.json", BUSINESSES)
    dataset = load_dataset(str(tmp_path))
    assert dataset.catalog.titles == ("Pho & Co", "UPS")
    assert dataset.catalog.fields == {"category": ("Food, Vietnamese", ""), "city": ("Reno", "Reno")}
    assert sequences(dataset) == {"u": ["x", "y", "x"]}
    assert dataset.dropped == {"events of unknown items": 1}


def test_a_broken_yelp_folder_is_refused(tmp_path: Path) -> None:
    lines(tmp_path / "review.json", YELP_REVIEWS)
    assert "0 files *business.json" in refusal(tmp_path)
    lines(tmp_path / "business.json", BUSINESSES[2:])
    assert "lists none of the reviewed businesses" in refusal(tmp_path)


def test_the_head_of_yelp_says_what_is_missing(shared_data: Path) -> None:
    message = refusal(shared_data / "raw" / "yelp-head")
    assert "922 events of unknown items" in message
    assert "give longer histories" in message
