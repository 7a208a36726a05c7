"""A demo that strangers open: twenty at once on one server, each a person of their own, none in another's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_tools import Visitor, serving
from patience import until
from playwright.sync_api import Browser
from run_folders import lay_run

from foster.runs import RunState, RunStore
from foster.spec import RunSpec

pytestmark = pytest.mark.browser

SESSIONS = 20
RUN = "20260921-1000-foster-sample-0001"
PAGES = {  # page → what only it says
    "": "A whole interaction log, in a few sequences",
    "data": "What is in the log",
    "distil": "Condense a log",
    "sequences": "What the sequences say",
    "map": "Where the items stand",
    "compare": "Is it worth it?",
    "recommend": "What would come next?",
    "runs": "What is kept",
}
RULES = "You are a visitor here: look at everything and take it away"


@pytest.fixture
def crowd(chromium: Browser) -> Iterator[list[Visitor]]:
    """Each in a context of its own: own cookies, so another person."""
    visitors = [Visitor(chromium, still=True) for _ in range(SESSIONS)]
    yield visitors
    for visitor in visitors:
        visitor.close()


def has(visitor: Visitor, button: str) -> bool:
    return visitor.page.get_by_role("button", name=button, exact=True).count() > 0


def until_state(store: RunStore, run_id: str, wanted: RunState) -> None:
    until(lambda: store.get(run_id).status().state is wanted, lambda: f"{run_id} is {store.get(run_id).status().state}")


def test_twenty_visitors_at_once_and_each_rules_over_the_own_run_only(tmp_path: Path, crowd: list[Visitor]) -> None:
    root = tmp_path / "runs"
    lay_run(root)
    kept = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    theirs = RunStore(root / ".visitors", bundled=None)
    ada, bob, eve = crowd[:3]
    with serving(root, "--public", "--queue-limit", "2") as address:
        for number, visitor in enumerate(crowd):
            page = list(PAGES)[number % len(PAGES)]
            visitor.page.goto(f"{address}/{page}?run={RUN}", wait_until="commit")  # all load at once
        for number, visitor in enumerate(crowd):
            visitor.page.get_by_role("heading", name=list(PAGES.values())[number % len(PAGES)]).wait_for()
            visitor.idle()
            assert RULES in visitor.text()
        for visitor in crowd[5:]:
            visitor.page.goto("about:blank")  # pages that are open take a share of the cores

        ada.open(f"{address}/distil")
        ada.page.get_by_role("button", name="Distil", exact=True).click()
        ada.page.wait_for_url("**run=*foster-sample-*")
        (run,) = theirs.list()
        assert run.spec == RunSpec(sequences=10, length=10, steps=40, students=1)
        until_state(theirs, run.id, RunState.RUNNING)
        ada.page.get_by_role("button", name="Stop", exact=True).wait_for()

        for visitor in crowd[1:5]:
            visitor.page.goto(f"{address}/distil?run={run.id}", wait_until="commit")
            visitor.page.wait_for_selector("text=only they can stop, pause or resume it")
            assert not has(visitor, "Stop")
            assert not has(visitor, "Pause")
            visitor.page.goto("about:blank")  # a page of a run at work asks for news every moment
        bob.open(f"{address}/runs?run={run.id}")
        assert "only they can stop, pause or resume it" in bob.text()
        assert not any(has(bob, name) for name in ("Stop", "Delete", "Delete …", "Save name and note"))

        bob.open(f"{address}/distil")
        bob.page.get_by_role("button", name="Distil", exact=True).click()
        bob.page.get_by_role("button", name="Stop", exact=True).wait_for()
        eve.open(f"{address}/distil")
        eve.page.get_by_role("button", name="Distil", exact=True).click()
        eve.page.wait_for_selector("text=2 runs of all visitors work or wait, and 2 is the limit")
        assert len(theirs.list()) == 2
        bob.page.get_by_role("button", name="Stop", exact=True).click()
        (second,) = [each.id for each in theirs.list() if each.id != run.id]
        until_state(theirs, second, RunState.STOPPED)
        assert theirs.get(run.id).status().state is RunState.RUNNING

    with serving(root, "--public") as address:  # a server that was restarted knows whose run it is
        eve.open(f"{address}/distil?run={run.id}")
        assert not has(eve, "Stop")
        ada.open(f"{address}/distil?run={run.id}")
        ada.page.get_by_role("button", name="Stop", exact=True).click()
        until_state(theirs, run.id, RunState.STOPPED)
        ada.page.wait_for_selector("text=Stopped on request")
    assert {path: path.read_bytes() for path in kept} == kept
    assert {path for path in root.rglob("*") if path.is_file() and ".visitors" not in path.parts} == set(kept)
