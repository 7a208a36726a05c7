"""The tables that are taken away open in pandas, in a spreadsheet and in RecBole, and hold the run's own texts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import HOSTILE, TITLES, lay_run

from foster.exporters.finished import FinishedRun, read_finished
from foster.exporters.recbole import recbole
from foster.exporters.tables import FORMULA, guarded, spreadsheet, tables
from foster.formats import load_dataset
from foster.runs import RunStore

RUN = "20260921-1000-foster-sample-0001"


def _finished(root: Path, **options: object) -> FinishedRun:
    lay_run(root, **options)  # type: ignore[arg-type]
    return read_finished(RunStore(root, bundled=None).get(RUN))


def _frame(data: bytes) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(data))


def test_the_hard_sequences_have_the_original_ids_and_titles_in_order(tmp_path: Path) -> None:
    run = _finished(tmp_path, titles=HOSTILE, sequences=3, length=4)
    files = tables(run)
    frame = _frame(files["sequences.parquet"])
    stored = json.loads((tmp_path / RUN / "hard.json").read_text())["sequences"]
    assert frame.groupby("sequence")["item_id"].apply(list).tolist() == stored
    assert frame["position"].tolist() == [0, 1, 2, 3] * 3
    titles = dict(zip((f"b{i:04d}" for i in range(len(HOSTILE))), HOSTILE, strict=True))
    assert frame["title"].tolist() == [titles[item] for item in frame["item_id"]]


def test_the_schema_is_flat_and_plain(tmp_path: Path) -> None:
    files = tables(_finished(tmp_path))
    schema = pq.read_schema(io.BytesIO(files["sequences.parquet"]))
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "sequence": pa.int32(), "position": pa.int32(), "item_id": pa.string(), "title": pa.string()
    }  # fmt: skip
    for name, data in files.items():
        if name.endswith(".parquet"):
            schema = pq.read_schema(io.BytesIO(data))
            assert schema.metadata is None
            assert not any(pa.types.is_nested(kind) for kind in schema.types)


def test_padding_of_short_hard_sequences_is_left_out(tmp_path: Path) -> None:
    lay_run(tmp_path)
    path = tmp_path / RUN / "sequences.parquet"
    table = pd.read_parquet(path)
    table.loc[table["position"] == 7, ["hard_item_id", "hard_title"]] = None
    table.to_parquet(path)
    frame = _frame(tables(read_finished(RunStore(tmp_path, bundled=None).get(RUN)))["sequences.parquet"])
    assert frame["position"].max() == 6
    assert len(frame) == 12 * 7


def test_recommendations_are_rows_the_weightiest_first(tmp_path: Path) -> None:
    run = _finished(tmp_path)
    frame = _frame(tables(run)["recommendations.parquet"])
    place = run.sequences.iloc[0]
    told = frame[(frame["sequence"] == 0) & (frame["position"] == 0) & (frame["role"] == "recommend")]
    assert told["rank"].tolist() == list(range(1, 11))
    assert told["title"].tolist() == [label["title"] for label in place["labels"]]
    assert told["weight"].tolist() == [label["weight"] for label in place["labels"]]
    last = frame[(frame["position"] == 7) & (frame["role"] == "recommend")]
    assert last.empty, "the last position of a tied artefact teaches nothing"


def test_the_csv_twin_says_the_same(tmp_path: Path) -> None:
    files = tables(_finished(tmp_path))
    for name in ("sequences", "recommendations", "items", "nearness"):
        twin = pd.read_csv(io.BytesIO(files[f"{name}.csv"]), dtype={"item_id": str}, keep_default_na=False)
        pd.testing.assert_frame_equal(twin, _frame(files[f"{name}.parquet"]), check_dtype=False)


def test_no_cell_of_a_csv_is_a_formula_and_parquet_is_exact(tmp_path: Path) -> None:
    titles = [*HOSTILE, "+1", "-2+3", "@SUM(A1)", "\t=1", "  =2", "\r=3", "＝4", "a\r\n=5,6", '"=7', "\ufeff=8", "1-1"]
    files = tables(_finished(tmp_path, titles=titles, categories=titles, sequences=3, length=8))
    assert _frame(files["items.parquet"])["title"].tolist() == titles
    rows = list(csv.reader(io.StringIO(files["items.csv"].decode("utf-8-sig"), newline="")))
    assert [row[2] for row in rows[1:]] == [guarded(title) for title in titles]
    assert [row[2][0] for row in rows[1:] if row[2].lstrip("'") != row[2]].count("'") == 9
    for name, data in files.items():
        if name.endswith(".csv"):
            cells = [cell for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")) for cell in row]
            assert not [cell for cell in cells if cell.strip(" \u00a0\ufeff")[:1] in FORMULA and cell.strip(" \ufeff")]


def test_numbers_stay_numbers_in_csv() -> None:
    table = pd.DataFrame({"weight": [-0.5, float("nan")], "title": ["-0.5", "x"]})
    assert spreadsheet(table).decode("utf-8-sig") == '"weight","title"\r\n-0.5,"\'-0.5"\r\n"","x"\r\n'


def test_the_run_describes_itself(tmp_path: Path) -> None:
    run = _finished(tmp_path)
    described = json.loads(tables(run)["run.json"])
    assert described["spec"]["sequences"] == 12
    assert described["report"]["valid"] == run.report["valid"]


def test_recbole_files_have_typed_headers_and_every_event(tmp_path: Path) -> None:
    run = _finished(tmp_path)
    files = recbole(run)
    log = pd.read_csv(io.BytesIO(files["recbole/foster/foster.inter"]), delimiter="\t", dtype=str, engine="python")
    assert list(log.columns) == ["user_id:token", "item_id:token", "timestamp:float"]
    stored = json.loads((tmp_path / RUN / "hard.json").read_text())["sequences"]
    assert log.groupby("user_id:token", sort=False)["item_id:token"].apply(list).tolist() == stored
    assert log["timestamp:float"].astype(float).tolist() == [float(place) for place in range(8)] * 12
    items = pd.read_csv(io.BytesIO(files["recbole/foster/foster.item"]), delimiter="\t", dtype=str, engine="python")
    assert list(items.columns) == ["item_id:token", "title:token_seq", "category:token"]
    assert items["title:token_seq"].tolist() == list(TITLES)


@pytest.mark.parametrize(
    "titles", [HOSTILE, ('"a" quoted', "tab\tin it", "line\nbreak", '"open', "it's", "#x", "a|b", "é", "x\ty", '""')]
)
def test_recbole_files_keep_one_line_an_item_for_every_reader(tmp_path: Path, titles: tuple[str, ...]) -> None:
    run = _finished(tmp_path / "runs", titles=titles, categories=titles, sequences=3, length=4)
    for name, data in recbole(run).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    folder = tmp_path / "recbole" / "foster"
    frame = pd.read_csv(folder / "foster.item", delimiter="\t", dtype=str, engine="python")
    assert frame["item_id:token"].tolist() == [f"b{i:04d}" for i in range(len(titles))]
    folded = [" ".join(title.split()) for title in titles]
    expected = [f"“{title[1:]}" if title.startswith('"') else title for title in folded]
    assert frame["title:token_seq"].tolist() == expected
    read = load_dataset(str(folder))
    assert set(read.catalog.ids) <= set(frame["item_id:token"])
    assert read.interactions.n_users == 3
