"""Runs against each other in a real browser: a grid filled by a real run, a square opened, students side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_tools import Visitor, serving
from kept_students import RUN, lay_students, retitle
from run_folders import HOSTILE

from foster.runs import RunState, RunStore

pytestmark = pytest.mark.browser


@pytest.mark.timeout(900)
def test_a_grid_is_started_watched_stopped_and_opened(
    tmp_path: Path, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two real runs on a log of forty people, through the queue; once the first is done the second is not wanted."""
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

        def nearly_done() -> bool:
            return any(run.status().stage == "map" or run.status().is_terminal for run in asked)

        visitor.away_until(nearly_done, lambda: [run.log() for run in asked])
        assert not any(run.status().error for run in asked), [run.status().error for run in asked]
        page.wait_for_selector("table.heat td.done")  # without a reload
        page.get_by_role("button", name="Stop the runs of this grid").click()
        page.wait_for_selector("table.heat td.stopped")
        (opened,) = [run for run in asked if run.status().state is RunState.DONE]

        square = page.get_by_role("link", name=f"{opened.spec.sequences} sequences, γ 0:")
        square.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("td.chosen")
        visitor.idle()
        assert f"run={opened.id}" in page.url
        assert "This run's soft set reaches" in visitor.text()
        page.get_by_role("link", name="Read its sequences").click()
        page.wait_for_url("**/sequences?*")
        page.wait_for_selector("text=Sequence 1")
        # a run of the sweep has its students: they answer on Recommend
        page.get_by_role("link", name="Recommend", exact=True).first.click()
        page.wait_for_url("**/recommend?*")
        page.wait_for_selector(".list.full li")
        assert f"run={opened.id}" in page.url


def test_students_answer_side_by_side(tmp_path: Path, visitor: Visitor) -> None:
    root = tmp_path / "runs"
    lay_students(root)
    retitle(root, HOSTILE[:3])
    page = visitor.page
    with serving(root) as address:
        visitor.open(f"{address}/recommend?run={RUN}&items=5,6,7")
        page.wait_for_selector(".list.full li")
        assert page.locator(".list.full li .title").first.inner_text() == "Book 8"
        visitor.choose("Add a title", "Book 12")
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
    assert not visitor.dialogs
