"""A map of more items than points, in a real browser: drawn, searched, without a violation."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_tools import NARROW, WIDE, Visitor, serving
from playwright.sync_api import Browser

from foster.bench.chromium import visit_map
from foster.bench.planted import planted_run
from foster.runs import RunStore

pytestmark = pytest.mark.browser
ITEMS, POINTS = 24_000, 20_000
TRACES = """() => document.querySelector(".js-plotly-plot")._fullData
  .filter((trace) => trace.visible).map((trace) => [trace.type, trace.name])"""


def test_a_large_map_is_drawn_and_every_item_can_be_found(tmp_path: Path, chromium: Browser) -> None:
    run = planted_run(RunStore(tmp_path / "runs"), ITEMS)
    items = run.items()
    assert items is not None
    rare = str(items.loc[items["popularity"].rank(method="first").idxmin(), "title"])
    with serving(tmp_path / "runs") as address:
        for scheme, viewport in (("light", WIDE), ("dark", NARROW)):
            tab = Visitor(chromium, scheme, viewport)
            tab.open(f"{address}/map?run={run.id}")
            tab.page.wait_for_function("document.querySelector('.js-plotly-plot')?._fullData?.length > 0")
            assert "other 4,000" in tab.text()
            kinds = [kind for kind, _ in tab.page.evaluate(TRACES)]
            assert kinds.count("heatmap") == 2
            assert "scattergl" in kinds
            tab.keep(f"large-map-{scheme}")
            assert tab.violations() == []
            search = tab.page.get_by_placeholder("A part of a title")
            search.fill(rare)
            search.press("Enter")
            tab.page.get_by_text("1 item with").wait_for()
            tab.page.wait_for_function(f"({TRACES})().some(([, name]) => name === 'chosen')")
            tab.close()


def test_the_benchmark_sees_every_point_drawn(tmp_path: Path, chromium: Browser) -> None:
    store = RunStore(tmp_path / "runs")
    found = visit_map(chromium, store.root, planted_run(store, ITEMS).id)
    assert found["points"] == 2 * POINTS
    assert found["bytes"] > 20 * POINTS
