"""A person's own file: any dialect, guessed columns, and the same data set whether looked at or saved."""

from __future__ import annotations

import doctest
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foster.errors import UserError
from foster.formats import Dataset, foreign
from foster.formats.foreign import Roles, build, convert, described_by, guess, read_foreign, text_columns

LOG = "User ID;StockCode;InvoiceDate;Product Name;Genre\nu;b;2020-01-01;Dune;sf\nu;a;2020-01-03;Emma;love\n" + (
    "u;b;2020-01-05;Dune;sf\nv;a;2020-01-02;;\nv;c;2020-01-01;Ulysses;\nv;b;2020-02-01;Dune 2;\nw;a;2020-01-01;Emma;\n"
)
ROLES = Roles("User ID", "StockCode", "InvoiceDate", "Product Name", more=("Genre",))

Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def put(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def made(log: pa.Table, items: pa.Table | None, roles: Roles) -> Dataset:
    return build("mine", *convert(log, items, roles))


def sequences(dataset: Dataset) -> dict[str, list[str]]:
    log = dataset.interactions
    return {user: [dataset.catalog.ids[item] for item in log.sequence(u)] for u, user in enumerate(log.user_ids)}


def test_one_file_with_titles_is_read_as_planted(put: Put) -> None:
    dataset = made(read_foreign(put("log.csv", LOG)), None, ROLES)
    assert sequences(dataset) == {"u": ["b", "a", "b"], "v": ["c", "a", "b"]}
    assert dict(zip(dataset.catalog.ids, dataset.catalog.titles, strict=True)) == {
        "b": "Dune",
        "a": "Emma",
        "c": "Ulysses",
    }
    assert dataset.catalog.fields == {"Genre": ("sf", "love", "")}
    assert dataset.dropped == {"items with more than one title": 1, "users with fewer than 3 events": 1}


@pytest.mark.parametrize("sign", [",", "\t", ";", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".CSV"])
def test_any_delimiter_is_found(put: Put, sign: str, suffix: str) -> None:
    assert read_foreign(put(f"log{suffix}", LOG.replace(";", sign))).column_names == LOG.splitlines()[0].split(";")


def test_csv_parquet_and_json_lines_give_the_same(put: Put, tmp_path: Path) -> None:
    from_csv = read_foreign(put("log.csv", LOG))
    pq.write_table(from_csv, tmp_path / "log.parquet")
    rows = from_csv.to_pylist()
    tables = [
        read_foreign(tmp_path / "log.parquet"),
        read_foreign(put("log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))),
        read_foreign(put("log.json", json.dumps(rows))),
    ]
    for table in tables:
        assert made(table, None, ROLES).catalog == made(from_csv, None, ROLES).catalog
        assert sequences(made(table, None, ROLES)) == sequences(made(from_csv, None, ROLES))


def test_titles_may_be_in_a_file_of_their_own(put: Put) -> None:
    items = read_foreign(put("items.csv", "code,name,maker_id,price,maker\na,Emma,7,1,X\nb,Dune,8,2,\nc,,9,3,\n"))
    log = read_foreign(put("log.csv", LOG))
    more = described_by(text_columns(items, ("name", "code")), own_file=True)
    assert more == ("maker",), "ids and prices are no text"
    dataset = made(log, items, Roles("User ID", "StockCode", "InvoiceDate", "name", "code", more))
    assert dataset.catalog.titles == ("Emma", "Dune", "c")
    assert dataset.catalog.fields == {"maker": ("X", "", "")}
    assert dataset.dropped == {"items without a title": 1, "users with fewer than 3 events": 1}


def test_without_times_the_rows_are_in_order(put: Put) -> None:
    roles = Roles("User ID", "StockCode", None, "Product Name")
    assert sequences(made(read_foreign(put("log.csv", LOG)), None, roles)) == {
        "u": ["b", "a", "b"],
        "v": ["a", "c", "b"],
    }


@pytest.mark.parametrize(
    ("names", "user", "item", "time", "title"),
    [
        (["userId", "movieId", "rating", "timestamp"], "userId", "movieId", "timestamp", None),
        (["user_id:token", "item_id:token", "time:float"], "user_id:token", "item_id:token", "time:float", None),
        (["reviewerID", "asin", "unixReviewTime", "title"], "reviewerID", "asin", "unixReviewTime", "title"),
        (["No", "StockCode", "Description", "InvoiceDate", "CustomerID"],
         "CustomerID", "StockCode", "InvoiceDate", "Description"),
        (["a", "b", "c"], None, None, None, None),
    ],
)  # fmt: skip
def test_usual_columns_are_guessed(
    names: list[str], user: str | None, item: str | None, time: str | None, title: str | None
) -> None:
    known = (foreign.USERS, foreign.ITEMS, foreign.TIMES, foreign.TITLES)
    assert tuple(guess(names, each) for each in known) == (user, item, time, title)


def test_only_the_usual_kinds_of_a_log_are_text_by_default(put: Put) -> None:
    table = read_foreign(put("x.csv", "user,title,review,genre,link\nu,T,I liked it,sf,https://x.org\n"))
    texts = text_columns(table, ("user", "title"))
    assert texts == ["review", "genre"]
    assert described_by(texts, own_file=False) == ("genre",)


def test_columns_never_take_each_others_names(put: Put) -> None:
    table = pa.table(
        {"u": ["u"] * 3, "i": ["1", "2", "3"], "name": ["A", "B", "C"], "title": ["x"] * 3, "maker_id": ["y"] * 3}
    )
    items, _, _ = convert(table, None, Roles("u", "i", None, "name", more=("title", "maker_id", "name")))
    assert items.column_names == ["item_id", "title", "title (text)", "maker"]
    assert items["title"].to_pylist() == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("log.xlsx", b"PK", "save it as one of these"),
        ("log.csv", b"", "is empty"),
        ("log.csv", "title\nCafé\n".encode("latin-1"), "not UTF-8"),
        ("log.csv", b"user,item\n", "has no rows"),
        ("log.csv", b"user,user\n1,2\n", "more than one column"),
        ("log.parquet", b"no parquet", "not a readable Parquet"),
        ("log.jsonl", b"{", "not valid JSON"),
        ("log.json", b"[]", "is empty"),
    ],
)
def test_what_cannot_be_read_is_refused(put: Put, name: str, content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_foreign(put(name, content))


def test_what_is_too_large_is_refused(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MAX_EVENTS", 5)
    log = put("log.csv", LOG)
    with pytest.raises(UserError, match=r"7 rows; an upload takes 5 at most; .*foster app --data"):
        read_foreign(log)
    monkeypatch.setattr(foreign, "MAX_EVENTS", 100)
    monkeypatch.setattr(foreign, "MAX_ITEMS", 2)
    with pytest.raises(UserError, match="3 items; an upload takes 2"):
        convert(read_foreign(log), None, ROLES)
    pq.write_table(pa.table({"a": ["x" * 100_000] * 100}), tmp_path / "bomb.parquet", use_dictionary=False)
    monkeypatch.setattr(foreign, "MAX_UNPACKED", 1_000_000)
    with pytest.raises(UserError, match="unpacks to 100 rows and 10 MB"):
        read_foreign(tmp_path / "bomb.parquet")


@pytest.mark.parametrize(
    ("log", "roles", "said"),
    [
        (LOG.replace("2020-01-03", "soon"), ROLES, "row 2: 'soon' is not a time"),
        (LOG, Roles("User ID", "StockCode", "gone", "Product Name"), "no column 'gone'"),
        ("u;i;t\nu;a;A\nu;b;B\n", Roles("u", "i", None, "t"), "no user has 3"),
    ],
)  # fmt: skip
def test_what_makes_no_data_set_is_refused(put: Put, log: str, roles: Roles, said: str) -> None:
    with pytest.raises(UserError, match=said):
        made(read_foreign(put("log.csv", log)), None, roles)


def test_an_items_file_with_doubled_ids_is_refused(put: Put) -> None:
    items = read_foreign(put("items.csv", "id,name\na,Emma\na,Again\n"))
    with pytest.raises(UserError, match=r"1 item_id occur more than once \('a'\); keep one row"):
        made(read_foreign(put("log.csv", LOG)), items, Roles("User ID", "StockCode", None, "name", "id"))


def test_one_column_cannot_be_two_things() -> None:
    with pytest.raises(UserError, match="choose different ones"):
        Roles("a", "a", None, "t")


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(foreign).failed == 0
