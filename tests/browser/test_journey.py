"""What a newcomer does, in a real browser: look around the demo, then one run from launch to map."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow
import pytest
from browser_tools import Visitor, serving, small
from playwright.sync_api import expect
from pyarrow import compute, csv
from run_folders import lay_run

from foster.bundle import bundled_path
from foster.data_store import DataStore
from foster.runs import RunState, RunStore

pytestmark = pytest.mark.browser

STEPS = 40
SAMPLE = bundled_path("sample_data")


def test_a_newcomer_breaks_a_lesson_reads_titles_and_sees_the_map(server: str, visitor: Visitor) -> None:
    """From the start page by links and buttons alone, on the demo that is shipped."""
    page = visitor.page
    visitor.open(server)
    page.get_by_role("link", name="A tiny budget").last.click()  # below the run, if it is shipped, its toy lesson
    page.wait_for_url("**/learn?*dial=1*")
    expect(page.get_by_role("heading", name="A handful of sequences instead of the log")).to_be_visible()
    expect(page.locator("p.finding")).to_contain_text("1 sequence of 8 books")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    page.get_by_role("link", name="Start", exact=True).click()
    visitor.idle()
    page.get_by_role("link", name="Sequences", exact=True).last.click()
    page.wait_for_url("**/sequences?*")
    demo = RunStore(Path("nowhere")).get("demo-sample-20x20")
    taught = demo.sequences()
    assert taught is not None
    expect(page.get_by_text(taught["label_title"].iloc[0]).first).to_be_visible()
    page.get_by_role("link", name="Map", exact=True).click()
    page.wait_for_url("**/map?*")
    page.wait_for_selector(".js-plotly-plot .scatterlayer")
    visitor.idle()
    assert "All 953 items" in visitor.text()


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
def test_a_run_is_launched_watched_and_outlives_its_server(tmp_path: Path, visitor: Visitor) -> None:
    """Open, launch a small run on a cut of the sample, watch the loss move, see titles, see the map."""
    store = RunStore(tmp_path / "runs", bundled=None)
    cut = _keep_a_cut(store)
    with serving(store.root) as address:
        visitor.open(address)
        page = visitor.page
        page.get_by_role("link", name="Distil", exact=True).first.wait_for(state="visible")
        visitor.open(f"{address}/distil?data={cut}")
        small(visitor)
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
        visitor.away_until(lambda: run.status().is_terminal, run.log)
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
            "document.querySelector('.js-plotly-plot').data.filter(t => t.xaxis === 'x' && t.mode === 'markers'"
            " && !['chosen', 'read by the sequence'].includes(t.name))"
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
