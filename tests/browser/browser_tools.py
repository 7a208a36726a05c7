"""A real server and a real Chromium. Fixtures are in conftest.py."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

CHROMIUM = Path(os.environ.get("FOSTER_CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
PATIENCE_MS = 120_000  # nothing here measures speed: the machine may be busy with other tests and with runs
WIDE, NARROW = {"width": 1360, "height": 900}, {"width": 390, "height": 844}


expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def serving(runs: Path, *options: str) -> Iterator[str]:
    """`foster app` with `options` on a free port with its own store; the address without a slash at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "foster", "app", "--port", str(port), "--runs", str(runs), *options]
    log = runs.with_suffix(".log")
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).read()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(60)


class Visitor:
    """One tab, with what its pages complained about."""

    def __init__(self, browser: Browser, scheme: Any = "light", viewport: Any = WIDE, still: bool = False) -> None:
        """still: the visitor prefers no motion, so the picture that moves stands at its end."""
        motion = "reduce" if still else "no-preference"
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion=motion)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.idle()

    def idle(self) -> None:
        """The script has run to its end and nothing on the page is an error."""
        self.page.wait_for_selector(IDLE)
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector(IDLE)
        assert self.page.locator("[data-testid=stException]").count() == 0, self.page.inner_text("body")

    def text(self) -> str:
        return self.page.inner_text("[data-testid=stMain]")

    def keep(self, name: str) -> None:
        """A picture of the whole page into the folder FOSTER_SCREENSHOTS, if that is set."""
        if folder := os.environ.get("FOSTER_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            size = self.page.viewport_size
            height = self.page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
            self.page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(height, 4000))})
            self.page.wait_for_timeout(600)
            self.page.screenshot(path=str(Path(folder) / f"{re.sub('[^a-z0-9-]+', '-', name)}.png"))
            self.page.set_viewport_size(size)

    def picture(self, page: str) -> None:
        """The page's picture for the README, 1280 × 800, into .github, if FOSTER_PICTURES is 1."""
        if os.environ.get("FOSTER_PICTURES") == "1":
            size = self.page.viewport_size
            self.page.set_viewport_size({"width": 1280, "height": 800})
            self.page.wait_for_timeout(1000)
            self.page.screenshot(path=str(Path(__file__).resolve().parents[2] / ".github" / f"{page}.png"))
            self.page.set_viewport_size(size)

    def violations(self) -> list[str]:
        """What axe calls serious or critical."""
        return [
            f"{each['id']}: {node['html'][:160]}"
            for each in Axe().run(self.page).response["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"][:3]
        ]

    def close(self) -> None:
        self.context.close()
