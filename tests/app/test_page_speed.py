"""What keeps pages quick: no page imports what it does not show, and the benchmark measures each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from visits import ROOT, visit

from foster.bench import pages
from foster.bench.planted import planted_run
from foster.runs import RunStore
from foster.ui import shelf
from foster.ui.frame import PAGES

OPEN = """
import json, sys
from foster.bench.pages import opened_page
found = {}
for page in sys.argv[1:]:
    opened_page(page)
    found[page] = [name for name in ("torch", "umap", "transformers", "scipy") if name in sys.modules]
print(json.dumps(found))
"""


def test_pages_without_tensors_import_no_torch(tmp_path: Path) -> None:
    """With the demo run, in one fresh process; Recommend comes last and shows that the import would be seen."""
    light = [page for name, page in PAGES.items() if name not in ("Recommend", "Learn")]
    assert len(light) == 7
    environment = {**os.environ, "FOSTER_RUNS": str(tmp_path / "runs"), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", OPEN, *light, PAGES["Recommend"]], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert {page: found[page] for page in light} == {page: [] for page in light}
    assert "torch" in found[PAGES["Recommend"]]
    assert "umap" not in found[PAGES["Recommend"]]


def test_every_page_but_the_one_that_computes_is_measured_in_no_time() -> None:
    before = os.environ.get("FOSTER_RUNS")
    found = pages.measure(quick=True, say=lambda line: None)
    assert os.environ.get("FOSTER_RUNS") == before
    assert set(found["pages"]) == set(PAGES) - {"Learn"}
    assert all(0 < page["median_ms"] <= page["p90_ms"] * 1.001 for page in found["pages"].values())
    text = pages.text(found)
    assert all(f"\n{name} " in text for name in found["pages"])
    assert "median rerun ms" in text


def test_the_same_question_is_answered_once() -> None:
    asked: list[int] = []

    def scorer(histories: object) -> np.ndarray:
        asked.append(1)
        return np.arange(6.0)[None]

    students = shelf.Shelf({"soft": scorer}, {}, {"soft": 8}, 6, True, (), 0, 0)  # type: ignore[dict-item]
    first = students.lists([1, 2], 3)
    assert [each.item for each in first["soft"]] == [5, 4, 3]
    assert students.lists((1, 2), 3) == first
    assert len(asked) == 1
    students.lists([2, 1], 3)
    assert len(students.lists([1, 2], 2)["soft"]) == 2
    assert len(asked) == 3


def test_a_map_of_many_items_says_what_is_a_point_and_what_a_shade(runs_folder: Path) -> None:
    app = visit("pages/map.py", run=planted_run(RunStore(runs_folder), 21_000).id)
    said = [each.value for each in app.caption]
    assert any(
        "20,000 most popular items are points; the shade behind them is the other 1,000" in each for each in said
    )
    assert len(app.dataframe[0].value) == 5_000
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert [trace["type"] for trace in figure["data"]].count("heatmap") == 2
