"""One run, seen from two browsers, and from one whose server is killed. The experiment takes no time of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_tools import Visitor, free_port, serving, start_server
from fake_foster import COMMAND, environment
from patience import until
from playwright.sync_api import Browser, expect

from foster.launch import launch
from foster.runs import Run, RunState, RunStore
from foster.spec import RunSpec

pytestmark = pytest.mark.browser


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """At work for longer than any test; it is stopped at the end."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    run = launch(RunStore(tmp_path / "runs", bundled=None), RunSpec(steps=100_000), COMMAND)
    until(lambda: run.status().fraction > 0)
    yield run
    if not run.status().is_terminal:
        run.request_stop()
    until(lambda: run.status().is_terminal)


@pytest.fixture
def other(chromium: Browser) -> Iterator[Visitor]:
    tab = Visitor(chromium)
    yield tab
    tab.close()


def step(visitor: Visitor) -> int:
    """The step that the page says the run is at."""
    found = re.search(r"Step\s+([\d,]+)\s+of 100,000", visitor.text())
    assert found is not None, visitor.text()
    return int(found[1].replace(",", ""))


def goes_on(visitor: Visitor) -> None:
    before = step(visitor)
    until(lambda: step(visitor) > before)


def test_what_one_browser_does_to_a_run_the_other_sees(run: Run, visitor: Visitor, other: Visitor) -> None:
    pause, resume = (
        [tab.page.get_by_role("button", name=name, exact=True) for tab in (visitor, other)]
        for name in ("Pause", "Resume")
    )
    with serving(run.path.parent) as address:
        for tab in (visitor, other):
            tab.open(f"{address}/distil?run={run.id}")
            expect(tab.page.get_by_text("Distilling ·")).to_be_visible()
            goes_on(tab)
        pause[0].click()
        for tab in (visitor, other):
            expect(tab.page.get_by_text("Paused: distilling")).to_be_visible()
        assert run.status().paused
        expect(resume[1]).to_be_visible()
        assert step(visitor) == step(other) == run.events("distil")[-1]["step"]

        resume[1].click()
        expect(other.page.get_by_text("Distilling ·")).to_be_visible()
        goes_on(other)
        visitor.page.reload()
        visitor.idle()
        expect(pause[0]).to_be_visible()
        goes_on(visitor)
        visitor.page.get_by_role("button", name="Stop", exact=True).click()
        for tab in (visitor, other):
            expect(tab.page.get_by_text("Stopped on request at")).to_be_visible()
    assert run.status().state is RunState.STOPPED


def test_a_run_outlives_a_killed_server_and_the_page_comes_back(run: Run, visitor: Visitor) -> None:
    port = free_port()
    server = start_server(run.path.parent, port)
    try:
        visitor.open(f"http://127.0.0.1:{port}/distil?run={run.id}")
        goes_on(visitor)
        address, seen = visitor.page.url, step(visitor)
        server.kill()
        server.wait(60)
        until(lambda: run.events("distil")[-1]["step"] > seen + 20)
        assert run.status().state is RunState.RUNNING
    finally:
        server.kill()
        server.wait(60)
    server = start_server(run.path.parent, port)
    try:
        # nobody touches the tab: it finds the new server by itself
        until(lambda: step(visitor) > seen + 20)
        goes_on(visitor)
        assert visitor.page.url == address
        expect(visitor.page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    finally:
        server.kill()
        server.wait(60)
