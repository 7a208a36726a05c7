"""A researcher brings a log: upload, see what would be left out, save, distil, scrub, share, take away, delete it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from browser_tools import Visitor, download, serving, small, unpacked
from playwright.sync_api import Browser
from run_folders import HOSTILE

from foster.data_store import DataStore
from foster.runs import RunState, RunStore

pytestmark = pytest.mark.browser

FILMS = ("Metropolis", "Sunrise", "Nosferatu", "M", "Vampyr", "City Lights", "Modern Times", "The General",
         "Safety Last", "Stagecoach", "Rebecca", "Laura")  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A log of 60 people in a European spreadsheet's dialect, three of its rows unusable, and a file of titles."""
    rows = [
        f"p{person};{(person * 5 + step * (1 + person % 2)) % 12};2024-03-{step + 1:02d}"
        for person in range(60)
        for step in range(7)
    ]
    log, films = tmp_path / "loans.csv", tmp_path / "films.csv"
    log.write_text("\n".join(["borrower;film;date", *rows, rows[0], "p99;1;2024-03-01", "p1;77;2024-03-09"]) + "\n")
    titles = (*FILMS[:10], '"' + HOSTILE[0].replace('"', '""') + '"', HOSTILE[6])
    films.write_text("\n".join(["id,name", *(f"{number},{title}" for number, title in enumerate(titles))]) + "\n")
    return log, films


@pytest.mark.timeout(900)
def test_a_researcher_brings_a_log_distils_it_and_takes_it_away(
    tmp_path: Path, files: tuple[Path, Path], visitor: Visitor, chromium: Browser
) -> None:
    store = RunStore(tmp_path / "runs", bundled=None)
    page = visitor.page
    with serving(store.root) as address:
        visitor.open(address)
        page.get_by_role("link", name="Data", exact=True).first.click()
        page.wait_for_url("**/data*")
        visitor.idle()
        page.get_by_text("Bring your own", exact=True).click()
        page.wait_for_url("**view=bring*")
        page.wait_for_selector("text=Nothing leaves this machine")
        pick = page.locator("input[type=file]")
        pick.nth(0).set_input_files(files[0])
        page.wait_for_selector("text=The first rows")
        visitor.idle()
        assert "Choose the columns of users and titles" in visitor.text()
        pick.nth(1).set_input_files(files[1])
        page.wait_for_selector("text=The first items")
        visitor.choose("Users", "borrower")
        page.wait_for_selector("text=What would be kept")
        visitor.idle()
        text = visitor.text()
        for said in ("Exact duplicate rows: 1", "Events of unknown items: 1", "Users with fewer than 3 events: 1",
                     "of 423 rows", "Metropolis"):  # fmt: skip
            assert said in text, said
        visitor.keep("data-bring")
        assert not visitor.violations()
        assert DataStore(store).list() == ()

        page.get_by_role("textbox", name="Name").fill("Film club")
        page.keyboard.press("Tab")
        page.wait_for_selector("text=listed as film-club")
        page.get_by_role("button", name="Save this log").click()
        page.wait_for_url("**data=film-club*")
        page.wait_for_selector("text=Five histories")
        assert DataStore(store).list() == ("film-club",)
        assert "owned" not in page.title()

        page.get_by_role("link", name="Distil this log").click()
        page.wait_for_url("**/distil?*")
        visitor.idle()
        assert "60 users, 12 items, 420 events" in visitor.text()
        small(visitor)
        page.get_by_text("Everything else").click()
        page.get_by_role("spinbutton", name="Distillation steps").fill("4")
        page.get_by_role("spinbutton", name="Fresh students a row").fill("1")
        page.keyboard.press("Tab")
        visitor.idle()
        page.get_by_role("button", name="Distil", exact=False).last.click()
        page.wait_for_url("**run=*")
        (run,) = store.list()
        assert run.spec.data == str(DataStore(store).path("film-club"))
        visitor.away_until(lambda: run.status().is_terminal, run.log)
        assert run.status().state is RunState.DONE, run.status().error
        page.get_by_role("link", name="Read the sequences").click()
        page.wait_for_url("**/sequences?*")
        visitor.idle()
        assert any(title in visitor.text() for title in FILMS)

        moment = page.get_by_role("slider", name="Moment of the distillation")
        moment.focus()
        page.keyboard.press("Home")
        page.wait_for_url("**step=0*")
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**step=1*")
        visitor.idle()
        link, rows = page.url, page.locator(".strip").all_inner_texts()
        assert rows
        second = Visitor(chromium, "dark")  # a colleague opens the link
        second.open(link)
        second.page.wait_for_selector(".strip")
        assert second.page.locator(".strip").all_inner_texts() == rows
        assert second.page.get_by_role("slider").get_attribute("aria-valuetext") == "step 1"
        second.close()

        folder = unpacked(download(visitor, "Download the zip", tmp_path), tmp_path / "out")
        table = pd.read_parquet(folder / "sequences.parquet")
        stored = run.sequences()
        assert stored is not None
        assert table["title"].tolist() == stored["hard_title"].dropna().tolist()
        assert set(table["title"]) <= {*FILMS, HOSTILE[0], HOSTILE[6]}

        visitor.open(f"{address}/data?data=film-club")
        page.get_by_role("button", name="Delete this data set").click()
        page.get_by_role("button", name="Delete for good").click()
        page.wait_for_selector("text=69,657")  # the sample's events
        visitor.idle()
        assert DataStore(store).list() == ()
        visitor.open(f"{address}/sequences?run={run.id}")
        assert any(title in visitor.text() for title in FILMS), "a finished run stays readable"
