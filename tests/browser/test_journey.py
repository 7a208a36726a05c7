"""What a person does, in a real browser: cold deep links, and one run from launch to map."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow
import pytest
from browser_tools import NARROW, WIDE, Visitor, serving
from playwright.sync_api import Browser
from pyarrow import compute, csv
from run_folders import HOSTILE, lay_run

from foster.bundle import bundled_path
from foster.data_store import DataStore
from foster.runs import RunState, RunStore

pytestmark = pytest.mark.browser

PAGES = {"": "A whole interaction log", "data": "What is in the log", "distil": "Condense a log",
         "sequences": "What the sequences say", "map": "Where the items stand", "runs": "What is kept",
         "learn": "How it works"}  # fmt: skip
STEPS = 40
SAMPLE = bundled_path("sample_data")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_as_the_first_request_of_a_fresh_server(page: str, server: str, visitor: Visitor) -> None:
    visitor.open(f"{server}/{page}")
    assert PAGES[page] in visitor.text()
    assert visitor.page.locator("[data-testid=stSidebar]").count() == 0
    for name in ("Start", "Data", "Distil", "Sequences", "Map"):
        visitor.page.get_by_role("link", name=name, exact=True).first.wait_for(state="visible")


def test_hostile_titles_do_nothing(tmp_path: Path, visitor: Visitor) -> None:
    run = lay_run(tmp_path / "runs", titles=HOSTILE, categories=HOSTILE, sequences=3, length=4).name
    dialogs: list[str] = []
    visitor.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    with serving(tmp_path / "runs") as address:
        for page in PAGES:
            visitor.open(f"{address}/{page}?run={run}&sequence=1")
            visitor.page.wait_for_timeout(300)
            assert "owned" not in visitor.page.title()
            assert visitor.page.locator("[data-testid=stMain] img[src=x]").count() == 0
            assert visitor.page.locator("[data-testid=stMain] a[href*='javascript:']").count() == 0
            assert visitor.page.locator("[data-testid=stMain] a[href*='example.org']").count() == 0
        visitor.open(f"{address}/sequences?run={run}")
        assert "<script>document.title='owned'</script>" in visitor.text()
    assert not dialogs


def test_pages_keep_the_run_and_the_back_button_works(tmp_path: Path, visitor: Visitor) -> None:
    run = lay_run(tmp_path / "runs").name
    with serving(tmp_path / "runs") as address:
        visitor.open(f"{address}/sequences?run={run}&sequence=3")
        page = visitor.page
        page.get_by_role("link", name="Map", exact=True).click()
        page.wait_for_url("**/map?*")
        visitor.idle()
        assert f"run={run}" in page.url
        assert "sequence=3" in page.url
        page.wait_for_selector(".js-plotly-plot .scatterlayer")
        page.go_back()
        page.wait_for_url("**/sequences?*")
        visitor.idle()
        assert "and is taught to recommend" in visitor.text()


@pytest.mark.timeout(1500)
def test_newcomer_distils_the_sample_reads_titles_and_sees_the_map(tmp_path: Path, visitor: Visitor) -> None:
    """Open, launch a small run on a cut of the sample, watch the loss move, see titles, see the map."""
    store = RunStore(tmp_path / "runs", bundled=None)
    cut = _keep_a_cut(store)
    with serving(store.root) as address:
        visitor.open(address)
        page = visitor.page
        page.get_by_role("link", name="Distil", exact=True).first.wait_for(state="visible")
        visitor.open(f"{address}/distil?data={cut}")
        page.get_by_text("Everything else").click()
        page.get_by_role("spinbutton", name="Distillation steps").fill(str(STEPS))
        page.get_by_role("spinbutton", name="Fresh students a row").fill("1")
        page.keyboard.press("Tab")
        visitor.idle()
        page.get_by_role("button", name="Distil", exact=False).last.click()
        page.wait_for_url("**run=*")
        (run,) = store.list()
        assert (run.spec.steps, run.spec.students) == (STEPS, 1)
        assert cut in run.spec.data

        page.wait_for_selector("[data-testid=stProgress]")
        seen = _watch_the_loss(visitor)
        assert len(seen) >= 2, f"the curve did not grow: {seen}"
        visitor.keep("distil-live")
        address_of_run = page.url

    # The run outlives the server and the tab; a new server shows the same run.
    with serving(store.root) as address:
        visitor.open(f"{address}/distil?{address_of_run.split('?', 1)[1]}")
        deadline = time.monotonic() + 700
        while run.status().state is RunState.RUNNING:
            assert time.monotonic() < deadline, run.log()
            time.sleep(0.5)
        assert run.status().state is RunState.DONE, run.status().error
        page.wait_for_selector("text=The result")
        page.get_by_role("link", name="Read the sequences").click()
        page.wait_for_url("**/sequences?*")
        visitor.idle()
        sequences = run.sequences()
        assert sequences is not None
        assert sequences["title"].iloc[0] in visitor.text()
        page.get_by_role("button", name="Alternatives").first.click()
        page.wait_for_url("**sequence=1*")
        page.wait_for_selector("text=and is taught to recommend")

        page.get_by_role("link", name="Map", exact=True).click()
        page.wait_for_url("**/map?*")
        visitor.idle()
        page.wait_for_selector(".js-plotly-plot .scatterlayer")
        items = run.items()
        assert items is not None
        drawn = page.evaluate(
            "document.querySelector('.js-plotly-plot').data.filter(t => t.xaxis === 'x' && t.mode === 'markers')"
            ".reduce((sum, t) => sum + t.customdata.length, 0)"
        )
        assert drawn == len(items)


def _keep_a_cut(store: RunStore) -> str:
    """The first 200 books of the sample and what its first 600 readers took of them, kept as a person's own log."""
    years = csv.ConvertOptions(column_types={"year": pyarrow.string()})
    items = csv.read_csv(SAMPLE / "items.csv", convert_options=years)[:200]
    log = csv.read_csv(SAMPLE / "interactions.csv")
    log = log.filter(compute.is_in(log["item_id"], value_set=items["item_id"].combine_chunks()))
    readers = log["user_id"].unique()[:600]
    log = log.filter(compute.is_in(log["user_id"], value_set=readers))
    return DataStore(store).save("A cut of the books", items, log)


def _watch_the_loss(visitor: Visitor) -> list[int]:
    """The lengths of the curve, as the page shows them, until the last step."""
    seen: list[int] = []
    deadline = time.monotonic() + 700
    while time.monotonic() < deadline:
        length = visitor.page.evaluate(
            "(() => { for (const plot of document.querySelectorAll('.js-plotly-plot'))"
            " for (const t of plot.data) if ((t.name || '').startsWith('synthetic, at θ')) return t.x.length;"
            " return 0 })()"
        )
        if length and length not in seen:
            seen.append(length)
        if len(seen) >= 3:
            break
        assert visitor.page.locator("text=Failed").count() == 0, visitor.text()
        visitor.page.wait_for_timeout(200)
    return seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_every_page_fits_and_is_for_everyone(scheme: str, width: str, tmp_path: Path, chromium: Browser) -> None:
    """Nothing wider than the screen, no serious accessibility violation; and a picture if FOSTER_SCREENSHOTS is set."""
    tab = Visitor(chromium, scheme, WIDE if width == "wide" else NARROW, still=True)
    shipped = RunStore(tmp_path / "none").list()
    run = shipped[0].id if shipped else lay_run(tmp_path / "runs").name
    found = {}
    with serving(tmp_path / "runs") as address:
        for page in PAGES:
            tab.open(f"{address}/{page}?run={run}&sequence=2")
            tab.page.wait_for_timeout(800)
            tab.keep(f"{page or 'start'}-{scheme}-{width}")
            assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page
            found[page] = tab.violations()
    tab.close()
    assert not any(found.values()), found
