"""Reading folders: what is kept, what is counted, and one clear line for everything that cannot be read."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from read_folders import refusal, sequences

import foster.bundle
from foster.errors import UserError
from foster.formats import bundled, load_dataset

ITEMS = "item_id,title,author,year\n007,Emma,Jane Austen,1815\nb,Dune,,1965\nc,Ulysses,James Joyce,\n"
EVENTS = "user_id,item_id,timestamp\nu,007,3\nv,b,1\nu,b,1\nu,c,2\nv,c,2\nv,007,3\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the one folder anew: a good one but for these files (str, bytes, an Arrow table, or None for no file)."""

    def write(**contents: str | bytes | pa.Table | None) -> Path:
        folder = tmp_path / "shop"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files = {"items_csv": ITEMS, "interactions_csv": EVENTS, **contents}
        for name, content in files.items():
            path = folder / name.replace("_", ".")
            if isinstance(content, pa.Table):
                pq.write_table(content, path)
            elif content is not None:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write


# --- what is read


def test_a_csv_folder_is_read_as_planted(write: Write) -> None:
    dataset = load_dataset(str(write()))
    assert dataset.name == "shop"
    assert dataset.catalog.ids == ("007", "b", "c")
    assert dataset.catalog.titles == ("Emma", "Dune", "Ulysses")
    assert dataset.catalog.fields == {"author": ("Jane Austen", "", "James Joyce")}  # a year is no text
    assert sequences(dataset) == {"u": ["b", "c", "007"], "v": ["b", "c", "007"]}
    assert dataset.dropped == {}
    assert dataset.embeddings is None


def test_parquet_and_csv_give_the_same_dataset(write: Write) -> None:
    items = pa.table(
        {
            "item_id": ["007", "b", "c"],
            "year": [1815, 1965, None],
            "author": pa.array(["Jane Austen", None, "James Joyce"]).dictionary_encode(),
            "title": pa.array(["Emma", "Dune", "Ulysses"], pa.large_string()),
        }
    )
    rows = [line.split(",") for line in EVENTS.splitlines()[1:]]
    events = pa.table(
        {
            "user_id": pa.array([row[0] for row in rows]).dictionary_encode(),
            "item_id": [row[1] for row in rows],
            "timestamp": [int(row[2]) for row in rows],
        }
    )
    from_csv = load_dataset(str(write()))
    mixed = load_dataset(str(write(items_csv=None, items_parquet=items)))
    folder = write(items_csv=None, interactions_csv=None, items_parquet=items, interactions_parquet=events)
    from_parquet = load_dataset(str(folder))
    for dataset in (mixed, from_parquet):
        assert dataset.catalog == from_csv.catalog
        assert dataset.catalog.fingerprint == from_csv.catalog.fingerprint
        assert sequences(dataset) == sequences(from_csv)


@pytest.mark.parametrize("type", [pa.int64(), pa.float64(), pa.string()])
def test_ids_are_strings_whatever_they_were_stored_as(write: Write, type: pa.DataType) -> None:
    column = pa.array(["10", "2", "3"]).cast(pa.int64()).cast(type)
    items = pa.table({"item_id": column, "title": ["a", "b", "c"]})
    events = pa.table({"user_id": pa.array([7] * 4), "item_id": pa.concat_arrays([column, pa.nulls(1, type)])})
    events = events.append_column("timestamp", pa.array([3, 2, 1, 0]))
    dataset = load_dataset(
        str(write(items_csv=None, interactions_csv=None, items_parquet=items, interactions_parquet=events))
    )
    assert sequences(dataset) == {"7": ["3", "2", "10"]}
    assert dataset.dropped == {"events with a missing id": 1}


def test_text_columns_are_the_strings_that_are_neither_ids_nor_numbers(write: Write) -> None:
    header = "brand,item_id,author_id,pages,mixed,empty,rating,title\n"
    folder = write(items_csv=header + "X,007,k1,10,1,,4.5,300\nY,b,k2,-2e3,two,,nan,1984\nZ,c,k3,,,,,2666\n")
    catalog = load_dataset(str(folder)).catalog
    assert catalog.titles == ("300", "1984", "2666")
    assert catalog.fields == {"brand": ("X", "Y", "Z"), "mixed": ("1", "two", "")}
    assert catalog.texts[0] == "300; brand: X; mixed: 1"


def test_titles_may_hold_anything_a_person_can_write(write: Write) -> None:
    long = "x" * 10_000
    titles = ["<script>alert(1)</script>", long, '"Say ""hi"",\nshe said"']
    folder = write(
        items_csv="item_id,title\n" + "".join(f"{i},{t}\n" for i, t in zip(["007", "b", "c"], titles, strict=True))
    )
    catalog = load_dataset(str(folder)).catalog
    assert catalog.titles == ("<script>alert(1)</script>", long, 'Say "hi", she said')
    assert max(map(len, catalog.texts)) == 2_000


def test_csv_of_other_editors_is_read_too(write: Write) -> None:
    windows = "\ufeff" + ITEMS.replace("\n", ",,\r\n")  # byte order mark, CRLF, unnamed empty columns
    folder = write(items_csv=windows, interactions_csv=EVENTS.replace(",", ", ").replace("\n", "\n\n"))
    dataset = load_dataset(str(folder))
    assert dataset.catalog.fields == {"author": ("Jane Austen", "", "James Joyce")}
    assert sequences(dataset) == {"u": ["b", "c", "007"], "v": ["b", "c", "007"]}


# --- times


@pytest.mark.parametrize(
    "times",
    [
        ("0", "1.5", "1e3"),
        ("-3", "0", "3"),
        ("2019-12-31", "2020-01-01T00:00:00Z", "2020-01-01 00:00:01"),
        ("2020-01-01T12:00:00+02:00", "2020-01-01T11:00:00Z", "2020-01-01T12:00:00"),
        ("2019", "2020-02-03", "2021-01"),
    ],
)
def test_times_may_be_numbers_or_iso_dates(write: Write, times: tuple[str, str, str]) -> None:
    rows = zip(["c", "007", "b"], [times[2], times[0], times[1]], strict=True)
    folder = write(interactions_csv="user_id,item_id,timestamp\n" + "".join(f"u,{i},{t}\n" for i, t in rows))
    assert sequences(load_dataset(str(folder))) == {"u": ["007", "b", "c"]}


@pytest.mark.parametrize(
    "times",
    [
        pa.array([3, 1, 2], pa.uint8()),
        pa.array([2.5, float("-1"), 2.0], pa.float32()),
        pa.array([dt.date(2020, 1, 3), dt.date(1960, 1, 1), dt.date(2020, 1, 2)]),
        pa.array([dt.datetime(2020, 1, day) for day in (3, 1, 2)], pa.timestamp("ns")),
        pa.array([dt.datetime(2020, 1, day, tzinfo=dt.UTC) for day in (3, 1, 2)], pa.timestamp("s", "Asia/Tokyo")),
        pa.array(["2020-01-03", "2020-01-01", "2020-01-02"]),
        pa.array(["3", "1", "2"]).dictionary_encode(),
    ],
    ids=lambda times: str(times.type),
)
def test_times_in_parquet_may_be_numbers_dates_or_strings(write: Write, times: pa.Array) -> None:
    events = pa.table({"user_id": ["u"] * 3, "item_id": ["c", "007", "b"], "timestamp": times})
    folder = write(interactions_csv=None, interactions_parquet=events)
    assert sequences(load_dataset(str(folder))) == {"u": ["007", "b", "c"]}


def test_events_without_a_time_are_counted(write: Write) -> None:
    extra = "".join(f"u,b,{time}\n" for time in ("", "NaN", "None", "inf", "-Infinity"))
    assert load_dataset(str(write(interactions_csv=EVENTS + extra))).dropped == {"events without a time": 5}
    times = pa.array([1.0, 2.0, 3.0, np.nan, np.inf, None])
    events = pa.table({"user_id": ["u"] * 6, "item_id": ["b", "c", "007"] * 2, "timestamp": times})
    dataset = load_dataset(str(write(interactions_csv=None, interactions_parquet=events)))
    assert dataset.dropped == {"events without a time": 3}


@pytest.mark.parametrize(
    ("times", "row", "value"),
    [
        (("1", "yesterday", "x"), 2, "yesterday"),
        (("2020-01-01", "2020-01-02", "03.01.2020"), 3, "03.01.2020"),
        (("2020-01-01", "1", "2"), 1, "2020-01-01"),
        (("", "1,5", "2"), 2, "1,5"),
    ],
)
def test_text_where_a_time_belongs_is_named(write: Write, times: tuple[str, ...], row: int, value: str) -> None:
    folder = write(interactions_csv="user_id,item_id,timestamp\n" + "".join(f'u,b,"{time}"\n' for time in times))
    message = refusal(folder)
    assert message.startswith(f"interactions.csv: column 'timestamp', row {row}: {value!r} is not a time")
    assert "ISO 8601" in message


@pytest.mark.parametrize("others", [tuple(map(str, range(38))), tuple(f"2020-01-{day:02d}" for day in range(1, 29))])
def test_a_few_values_that_are_no_times_are_left_out_and_counted(write: Write, others: tuple[str, ...]) -> None:
    times = (*others, "soon")
    folder = write(interactions_csv="user_id,item_id,timestamp\n" + "".join(f'u,b,"{time}"\n' for time in times))
    dataset = load_dataset(str(folder))
    assert dataset.dropped == {"events without a time": 1}
    assert len(dataset.interactions) == len(others)


def test_a_column_that_cannot_be_a_time_is_named(write: Write) -> None:
    events = pa.table({"user_id": ["u"], "item_id": ["b"], "timestamp": [[1, 2]]})
    message = refusal(write(interactions_csv=None, interactions_parquet=events))
    assert "'timestamp' holds list" in message


# --- what is left out and counted


def test_everything_left_out_is_counted(write: Write) -> None:
    items = ITEMS + ",No id,,\nd, ,,\n"
    events = EVENTS + (
        ",b,1\nu,,1\n"  # missing ids
        "u,b,\n"  # no time
        "u,zzz,9\nw,zzz,1\n"  # unknown items
        "u,b,1\nu,b,1\n"  # u took b at 1 above
        "x,b,1\nx,c,2\n"  # too short
    )
    dataset = load_dataset(str(write(items_csv=items, interactions_csv=events)))
    assert dataset.dropped == {
        "items with a missing id": 1,
        "items without a title": 1,
        "events with a missing id": 2,
        "events without a time": 1,
        "events of unknown items": 2,
        "exact duplicate rows": 2,
        "users with fewer than 3 events": 2,
    }
    assert sequences(dataset) == {"u": ["b", "c", "007"], "v": ["b", "c", "007"]}
    assert dataset.catalog.titles[-1] == "d"


def test_taking_an_item_again_at_another_time_is_no_duplicate(write: Write) -> None:
    dataset = load_dataset(str(write(interactions_csv="user_id,item_id,timestamp\nu,b,1\nu,b,2\nu,b,3\n")))
    assert sequences(dataset) == {"u": ["b", "b", "b"]}


def test_users_and_items_keep_the_order_of_the_file(write: Write) -> None:
    events = "user_id,item_id,timestamp\n" + "".join(
        f"{user},{item},5\n" for item in ("c", "007", "b") for user in ("zoe", "42", "adam")
    )
    dataset = load_dataset(str(write(interactions_csv=events)))
    assert list(sequences(dataset)) == ["zoe", "42", "adam"]
    assert sequences(dataset)["42"] == ["c", "007", "b"]  # ties keep it as well


def test_one_item_is_enough(write: Write) -> None:
    folder = write(
        items_csv="item_id,title\nb,B\n", interactions_csv="user_id,item_id,timestamp\nu,b,1\nu,b,2\nu,b,3\n"
    )
    dataset = load_dataset(str(folder))
    assert (len(dataset.catalog), dataset.interactions.n_users, len(dataset.interactions)) == (1, 1, 3)


# --- what is refused


@pytest.mark.parametrize("file", ["items", "interactions"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "is empty"),
        ("\n \r\n", "is empty"),
        ("item_id,title\n", "has no"),
        ("item_id;title;user_id;timestamp\na;b;c;1\n", "has no column"),
        ("item_id,item_id,title,user_id,timestamp\n1,1,1,1,1\n", "more than one column 'item_id'"),
        ("item_id,title,user_id,timestamp\na,b,c,1\na,b,c,1,extra\n", "Row #3"),
        ("item_id,title,user_id,timestamp\na,b\n", "not a readable table"),
        ('item_id,title,user_id,timestamp\na,"b,c,1\n', "not a readable table"),
        ("item_id,title,user_id,timestamp\na,Café,c,1\n".encode("latin-1"), "line 2 is not UTF-8"),
        (ITEMS.encode("utf-16"), "line 1 is not UTF-8"),
        (b"\x00\x01\x02" * 70_000, "interactions.csv|items.csv"),
    ],
)
def test_a_bad_csv_is_refused_by_name(write: Write, file: str, content: str | bytes, expected: str) -> None:
    message = refusal(write(**{f"{file}_csv": content}))
    assert f"{file}.csv" in message
    assert any(part in message for part in expected.split("|"))


def test_a_header_alone_is_refused(write: Write) -> None:
    assert "interactions.csv has no rows" in refusal(write(interactions_csv="user_id,item_id,timestamp"))
    assert "items.csv has no rows" in refusal(write(items_csv="item_id,title\n"))


@pytest.mark.parametrize("column", ["user_id", "item_id", "timestamp"])
def test_a_missing_column_is_named(write: Write, column: str) -> None:
    message = refusal(write(interactions_csv=EVENTS.replace(column, "something")))
    assert f"interactions.csv has no column {column!r}" in message
    assert "something" in message


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", b"PAR1" + b"\x00" * 100 + b"PAR1"])
def test_a_broken_parquet_file_is_refused(write: Write, content: bytes) -> None:
    assert "items.parquet is not a readable Parquet" in refusal(write(items_csv=None, items_parquet=content))


def test_a_parquet_file_with_broken_strings_is_refused(write: Write) -> None:
    titles = pa.array([b"caf\xe9"], pa.binary()).view(pa.string())
    folder = write(items_csv=None, items_parquet=pa.table({"item_id": ["b"], "title": titles}))
    assert "items.parquet is not a readable Parquet" in refusal(folder)


@pytest.mark.parametrize(
    ("item_id", "title", "expected"),
    [
        ([1.5], ["a"], "numbers that are not whole"),
        ([[1]], ["a"], "'item_id' holds list"),
        ([True], ["a"], "'item_id' holds bool"),
        (["1"], [["a"]], "'title' holds list"),
        ([None], ["a"], "no row has an item_id"),
    ],
)
def test_parquet_columns_of_another_kind_are_refused(write: Write, item_id: list, title: list, expected: str) -> None:
    items = pa.table({"item_id": item_id, "title": title})
    assert expected in refusal(write(items_csv=None, items_parquet=items))


def test_duplicate_ids_are_listed_up_to_three(write: Write) -> None:
    message = refusal(write(items_csv=ITEMS + "007,Again,,\n"))
    assert message.startswith("items.csv: 1 item_id occur more than once ('007')")
    message = refusal(write(items_csv="item_id,title\n" + "a,A\nb,B\nc,C\nd,D\n" * 2))
    assert "('a', 'b', 'c', …)" in message


def test_ids_that_never_meet_are_refused_with_an_example_of_each(write: Write) -> None:
    message = refusal(write(interactions_csv=EVENTS.replace("007", "7").replace(",b,", ",B,").replace(",c,", ",C,")))
    assert "'7'" in message
    assert "'007'" in message


@pytest.mark.parametrize("events", ["u,b,1\n", "u,b,1\nu,b,1\nu,b,1\n", "u,b,\nu,b,nan\nu,b,\n", ",b,1\n,c,2\n,b,3\n"])
def test_a_log_with_no_user_left_is_refused(write: Write, events: str) -> None:
    message = refusal(write(interactions_csv="user_id,item_id,timestamp\n" + events))
    assert "no user has 3 events" in message


def test_folders_that_are_not_there_or_not_folders_are_refused(write: Write, tmp_path: Path) -> None:
    folder = write()
    assert "there is no folder" in refusal(tmp_path / "nowhere")
    assert "is a file" in refusal(folder / "items.csv")
    assert "no data that foster knows" in refusal(tmp_path)
    for source in ("", "  ", "a\0b", "~no-such-user/x", "x" * 100_000):
        with pytest.raises(UserError):
            load_dataset(source)


def test_one_file_without_the_other_is_refused(write: Write) -> None:
    assert "has no interactions.parquet, .csv" in refusal(write(interactions_csv=None))


def test_both_parquet_and_csv_is_refused(write: Write) -> None:
    message = refusal(write(items_parquet=pa.table({"item_id": ["b"], "title": ["B"]})))
    assert "both items.parquet and items.csv; keep one" in message


# --- the sample and where it lies


def test_the_sample_is_found_in_a_checkout_and_in_a_wheel(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foster.bundle, "PACKAGE", tmp_path / "foster")
    with pytest.raises(UserError, match="sample_data did not come with"):
        load_dataset("sample")
    sample = write().rename(tmp_path / "sample_data")
    assert bundled("sample_data") == sample
    assert load_dataset("sample").embeddings is None
    (sample / "embeddings.safetensors").touch()
    dataset = load_dataset("sample")
    assert (dataset.name, dataset.embeddings) == ("sample", sample / "embeddings.safetensors")

    (tmp_path / "foster").mkdir()
    installed = (tmp_path / "foster" / "_bundle").joinpath("sample_data")
    installed.parent.mkdir()
    sample.rename(installed)
    assert bundled("sample_data") == installed


def test_shipped_embeddings_belong_to_the_sample_only(write: Write) -> None:
    folder = write()
    (folder / "embeddings.safetensors").touch()
    assert load_dataset(str(folder)).embeddings is None
