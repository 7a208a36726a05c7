"""Naming, taking away, deleting: what a person presses, and the files that arrive."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from browser_tools import NARROW, WIDE, Visitor, download, serving, unpacked
from playwright.sync_api import Browser
from run_folders import HOSTILE, lay_run

from foster.run_label import read_label
from foster.runs import RunStore

pytestmark = pytest.mark.browser

FIRST, SECOND = "20260921-1000-foster-sample-0001", "20260921-1000-foster-sample-0002"


def test_a_run_is_named_taken_away_and_deleted(tmp_path: Path, visitor: Visitor) -> None:
    store = RunStore(tmp_path / "runs", bundled=None)
    lay_run(store.root, titles=HOSTILE, sequences=3, length=4)
    lay_run(store.root, SECOND, "failed", ready="snapshots", error="no GPU", age=900)
    page = visitor.page
    with serving(store.root) as address:
        visitor.open(f"{address}/runs?run={FIRST}")
        page.get_by_role("textbox", name="Name", exact=True).fill("Kept for class")
        page.get_by_role("textbox", name="Note").fill("<img src=x onerror=\"document.title='owned'\">")
        page.get_by_role("button", name="Save name and note").click()
        page.wait_for_selector("text=are kept.")
        visitor.idle()
        assert read_label(store.get(FIRST)).name == "Kept for class"
        assert "Kept for class" in visitor.text()
        assert "<img src=x" in visitor.text()
        assert "owned" not in page.title()

        archive = download(visitor, "Download the zip", tmp_path)
        assert archive.name == f"foster-{FIRST}.zip"
        folder = unpacked(archive, tmp_path / "out")
        assert pd.read_parquet(folder / "sequences.parquet")["sequence"].nunique() == 3
        report = download(visitor, "Download the report", tmp_path)
        assert report.read_bytes() == (folder / "report.html").read_bytes()

        row = page.locator(f".st-key-kept-{SECOND}")
        row.get_by_role("button", name="Manage").click()
        page.wait_for_url(f"**run={SECOND}*")
        visitor.idle()
        row.get_by_role("button", name="Delete …").click()
        row.get_by_role("button", name="Keep it").click()
        visitor.idle()
        assert store.get(SECOND)
        row.get_by_role("button", name="Delete …").click()
        visitor.idle()
        row.get_by_role("button", name="Yes, delete it").click()
        page.wait_for_selector(f"text=Run {SECOND} is deleted.")
        assert [run.id for run in store.list()] == [FIRST]
        visitor.idle()
        assert page.locator(f".st-key-kept-{SECOND}").count() == 0


@pytest.mark.parametrize(("scheme", "width"), [("light", "wide"), ("dark", "narrow")])
def test_the_report_needs_no_server_and_is_for_everyone(
    scheme: str, width: str, tmp_path: Path, chromium: Browser
) -> None:
    """Opened from the disk without a network: nothing is asked for, nothing is hidden, nothing runs."""
    from foster.exporters.finished import read_finished
    from foster.exporters.report import page as report_page

    lay_run(tmp_path / "runs", titles=HOSTILE, categories=HOSTILE, sequences=3, length=4)
    path = tmp_path / "report.html"
    path.write_text(report_page(read_finished(RunStore(tmp_path / "runs", bundled=None).get(FIRST))))
    tab = Visitor(chromium, scheme, WIDE if width == "wide" else NARROW, still=True)
    asked: list[str] = []
    said: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.on("console", lambda message: said.append(message.text))
    tab.page.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert said == [], "the policy refuses nothing of our own"
    body = tab.page.inner_text("body")
    assert "<script>document.title='owned'</script>" in body
    assert "owned" not in tab.page.title()
    assert tab.page.evaluate("getComputedStyle(document.querySelector('.bar.soft')).fill") not in ("rgb(0, 0, 0)", "")
    assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert not tab.violations()
    tab.close()
