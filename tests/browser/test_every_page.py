"""Every page fits the screen and is for everyone: light and wide, dark and narrow. And the README's pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from browser_tools import NARROW, WIDE, Visitor, serving
from compared_runs import lay_changed
from playwright.sync_api import Browser
from run_folders import held, lay_run

from foster.run_label import RunLabel, write_label
from foster.runs import RunStore

pytestmark = pytest.mark.browser

LIVE, FAILED = "20260921-1500-foster-sample-0050", "20260921-1022-foster-sample-0022"
BEST = "20260921-1007-foster-sample-0007"
RULES = "text=You are a visitor here"
PLOT = ".js-plotly-plot .scatterlayer"
LEARN = {
    f"learn-{lesson}": (f"learn?lesson={lesson}&broken={broken}", "p.finding.broken")
    for lesson, broken in enumerate(("texts", "labels", "correction", "dropout", "off", "warm"), start=1)
}
PAGES = {  # what it is called → address, and what is there once it is whole
    "start": ("", ".film-grid"),
    "data": ("data", ".js-plotly-plot .bars"),
    "bring": ("data?view=bring", "text=Nothing leaves this machine"),
    "distil": (f"distil?run={LIVE}", PLOT),
    "sequences": ("sequences?sequence=2", "text=and is taught to recommend"),
    "map": ("map?sequence=2", PLOT),
    "compare": (f"compare?run={BEST}", PLOT),
    "grid": (f"compare?run={BEST}&compare=grid", "table.heat"),
    "recommend": ("recommend?reader=2", ".list.full li"),
    "runs": (f"runs?run={BEST}", "text=Download the zip"),
    "failed": (f"distil?run={FAILED}", "text=no GPU"),
    **LEARN,
    "class": ("learn?lesson=2&present=1", "p.finding"),
    "visitor-distil": (f"distil?run={BEST}", RULES),
    "visitor-runs": (f"runs?run={BEST}", RULES),
}
PICTURES = {**{page: page for page in ("start", "data", "distil", "sequences", "map", "compare", "recommend", "runs")},
            "learn-4": "learn"}  # fmt: skip


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, str]]:
    """One store: the demo, a grid of finished runs, one at work, one queued, one failed. True: open to visitors."""
    root = tmp_path_factory.mktemp("library") / "runs"
    scores = {(5, 0.0): 0.090, (5, 0.03): 0.095, (5, 0.1): 0.100, (10, 0.0): 0.105, (10, 0.03): 0.112,
              (10, 0.1): 0.118, (20, 0.0): 0.120, (20, 0.03): 0.131}  # fmt: skip
    for number, ((sequences, weight), soft) in enumerate(scores.items()):
        stored = {"soft": 2200 * sequences, "hard": 16 * sequences, "log": 101_240}
        rows = {"hard": 0.05 + soft / 3, "random": 0.03 + soft / 4}
        changes = {"sequences": sequences, "regularisation": weight}
        lay_changed(root, number, soft=soft, rows=rows, report={"stored_bytes": stored}, **changes)
    lay_changed(root, 21, state="queued", sequences=20, regularisation=0.3)
    lay_run(root, FAILED, "failed", ready="snapshots", error="no GPU", age=900)
    write_label(RunStore(root).get(BEST), RunLabel("Books, gentle γ", "The one to show in class."))
    with ExitStack() as stack:
        stack.enter_context(held(root, "queue.lock"))  # or the queued run would be worked
        stack.enter_context(
            held(lay_run(root, LIVE, "running", sequences=20, ready="snapshots", started=time.time() - 63))
        )
        yield {False: stack.enter_context(serving(root)), True: stack.enter_context(serving(root, "--public"))}


@pytest.fixture(scope="module", params=["light and wide", "dark and narrow"])
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tab(look: str, chromium: Browser) -> Iterator[Visitor]:
    visitor = Visitor(chromium, look.split()[0], WIDE if "wide" in look else NARROW, still=True)
    yield visitor
    visitor.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_is_for_everyone(name: str, look: str, tab: Visitor, addresses: dict[bool, str]) -> None:
    path, there = PAGES[name]
    tab.open(f"{addresses[name.startswith('visitor')]}/{path}")
    tab.page.locator(there).first.wait_for()
    tab.idle()
    tab.page.wait_for_timeout(600)  # charts that move into place
    tab.keep(f"{name}-{look}")
    assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert not tab.violations()
    if name in PICTURES and "wide" in look:
        tab.picture(PICTURES[name])
