"""Runs against each other in a real browser: a grid filled by real runs, a square that opens, students side by side."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from browser_tools import NARROW, WIDE, Visitor, serving
from compared_runs import lay_changed
from kept_students import RUN, lay_students, retitle
from playwright.sync_api import Browser
from run_folders import HOSTILE, held

from foster.runs import RunState, RunStore

pytestmark = pytest.mark.browser


@pytest.fixture
def grid_of_runs(tmp_path: Path) -> str:
    """Eight finished runs, one at work, one queued, one failed; the id of the best."""
    root = tmp_path / "runs"
    scores = {(5, 0.0): 0.090, (5, 0.03): 0.095, (5, 0.1): 0.100, (10, 0.0): 0.105, (10, 0.03): 0.112,
              (10, 0.1): 0.118, (20, 0.0): 0.120, (20, 0.03): 0.131}  # fmt: skip
    best = ""
    for number, ((sequences, weight), soft) in enumerate(scores.items()):
        stored = {"soft": 2200 * sequences, "hard": 16 * sequences, "log": 101_240}
        rows = {"hard": 0.05 + soft / 3, "random": 0.03 + soft / 4}
        changes = {"sequences": sequences, "regularisation": weight}
        best = lay_changed(root, number, soft=soft, rows=rows, report={"stored_bytes": stored}, **changes)
    lay_changed(root, 20, state="running", sequences=20, regularisation=0.1)
    lay_changed(root, 21, state="queued", sequences=20, regularisation=0.3)
    lay_changed(root, 22, state="failed", sequences=5, regularisation=0.3)
    return best


@pytest.mark.timeout(900)
def test_a_grid_is_started_watched_and_opened(
    tmp_path: Path, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two real runs on a log of forty people, through the queue."""
    store = RunStore(tmp_path / "runs", bundled=None)
    lay_students(store.root)
    monkeypatch.setenv("FOSTER_DATA", str(tmp_path / "cycle"))
    page = visitor.page
    with serving(store.root) as address:
        visitor.open(f"{address}/compare?run={RUN}")
        page.get_by_text("Budget × γ", exact=True).click()
        page.wait_for_url("**compare=grid*")
        page.wait_for_selector("table.heat")
        for unwanted in ("20", "40"):
            page.get_by_role("button", name=unwanted, exact=True).first.click()
        visitor.idle()
        for unwanted in ("0.03", "0.1", "0.3"):
            page.get_by_role("button", name=unwanted, exact=True).click()
        visitor.idle()
        page.wait_for_selector("text=2 new runs.")
        # one student and a few steps: the form's fold is the address's too
        visitor.open(f"{page.url}&students=1&steps=10")
        page.wait_for_selector("text=2 new runs.")
        page.get_by_role("button", name="Start 2 runs").click()
        page.wait_for_selector("text=Every square is there or on its way.")
        asked = [run for run in store.list() if run.id != RUN]
        assert {(run.spec.sequences, run.spec.regularisation) for run in asked} == {(5, 0.0), (10, 0.0)}
        assert {(run.spec.students, run.spec.steps, run.spec.length) for run in asked} == {(1, 10, 8)}
        page.wait_for_selector("table.heat td.running")

        deadline = time.monotonic() + 600
        while any(not run.status().is_terminal for run in asked):
            assert time.monotonic() < deadline, [run.log() for run in asked]
            time.sleep(0.5)
        assert {run.status().state for run in asked} == {RunState.DONE}, [run.status().error for run in asked]
        page.wait_for_function("document.querySelectorAll('table.heat td.done').length === 2")  # without a reload

        square = page.get_by_role("link", name="10 sequences, γ 0:")
        square.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("td.chosen")
        visitor.idle()
        (opened,) = [run.id for run in asked if run.spec.sequences == 10]
        assert f"run={opened}" in page.url
        assert "This run's soft set reaches" in visitor.text()
        page.get_by_role("link", name="Read its sequences").click()
        page.wait_for_url("**/sequences?*")
        page.wait_for_selector("text=Sequence 1")
        # a run of the sweep has its students: they answer on Recommend
        page.get_by_role("link", name="Recommend", exact=True).first.click()
        page.wait_for_url("**/recommend?*")
        page.wait_for_selector(".list.full li")
        assert f"run={opened}" in page.url


def test_students_answer_side_by_side(tmp_path: Path, visitor: Visitor) -> None:
    root = tmp_path / "runs"
    lay_students(root)
    retitle(root, HOSTILE[:3])
    dialogs: list[str] = []
    page = visitor.page
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    with serving(root) as address:
        visitor.open(f"{address}/recommend?run={RUN}&items=5,6,7")
        page.wait_for_selector(".list.full li")
        assert page.locator(".list.full li .title").first.inner_text() == "Book 8"
        page.get_by_role("combobox", name="Add a title").click()
        page.keyboard.type("Book 12")
        page.keyboard.press("Enter")
        page.wait_for_url("**items=5*12*")
        page.wait_for_function("document.querySelector('.list.full li .title').innerText === 'Book 13'")
        page.get_by_role("button", name="Remove title 4").click()
        page.wait_for_function("document.querySelector('.list.full li .title').innerText === 'Book 8'")
        page.get_by_role("button", name="Move title 3 one place forward").click()
        page.wait_for_function("document.querySelectorAll('.entry bdi')[1].innerText === 'Book 7'")
        address_of_history = page.url

        visitor.open(f"{address}/recommend?run={RUN}&items=0,1,2")
        page.wait_for_selector(".list.full li")
        assert "<script>document.title='owned'</script>" in visitor.text()
        assert "owned" not in page.title()
    with serving(root) as address:  # a link opens the same on a fresh server
        visitor.open(f"{address}/recommend?{address_of_history.split('?', 1)[1]}")
        page.wait_for_selector(".list.full li")
        assert page.locator(".entry bdi").all_inner_texts() == ["Book 5", "Book 7", "Book 6"]
    assert not dialogs


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_the_pages_fit_and_are_for_everyone(
    scheme: str, width: str, tmp_path: Path, grid_of_runs: str, chromium: Browser
) -> None:
    root = tmp_path / "runs"
    lay_students(root)
    tab = Visitor(chromium, scheme, WIDE if width == "wide" else NARROW, still=True)
    shipped = next((run.id for run in RunStore(tmp_path / "none").list()), RUN)
    pages = {
        "compare": (f"compare?run={grid_of_runs}", ".js-plotly-plot .scatterlayer"),
        "grid": (f"compare?run={grid_of_runs}&compare=grid", "table.heat"),
        "recommend": (f"recommend?run={shipped}&reader=2", ".list.full li"),
    }
    found = {}
    with held(root / "20260921-1020-foster-sample-0020"), serving(root) as address:
        for name, (path, there) in pages.items():
            tab.open(f"{address}/{path}")
            tab.page.wait_for_selector(there)
            tab.page.wait_for_timeout(800)
            tab.keep(f"{name}-{scheme}-{width}")
            if (scheme, width) == ("light", "wide"):
                tab.picture(name)
            assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
            found[name] = tab.violations()
    tab.close()
    assert not any(found.values()), found
