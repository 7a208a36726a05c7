"""Without Chromium these tests skip, or fail if CI is set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_tools import CHROMIUM, FLAGS, Visitor, serving
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"needs Chromium at {CHROMIUM} (Debian: apt-get install chromium; or set FOSTER_CHROMIUM)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A fresh server over an empty store; the shipped runs are there."""
    with serving(tmp_path / "runs") as address:
        yield address


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Visitor]:
    tab = Visitor(chromium)
    yield tab
    tab.close()
