"""A real server and a real Chromium. Fixtures are in conftest.py."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from patience import PATIENCE_S, until
from playwright.sync_api import Browser, expect

CHROMIUM = Path(os.environ.get("FOSTER_CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
PATIENCE_MS = 120_000  # for what a page shows
WIDE, NARROW = {"width": 1360, "height": 900}, {"width": 390, "height": 844}


expect.set_options(timeout=PATIENCE_MS)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start_server(runs: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """`foster app` with `options` and its own store, once it answers."""
    command = [sys.executable, "-m", "foster", "app", "--port", str(port), "--runs", str(runs), *options]
    log = runs.with_suffix(".log")
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).read()
            return server
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                raise AssertionError(f"the server did not start: {log.read_text()}") from None
            time.sleep(0.1)


@contextmanager
def serving(runs: Path, *options: str) -> Iterator[str]:
    """`foster app` on a free port; the address without a slash at the end."""
    port = free_port()
    server = start_server(runs, port, *options)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def small(visitor: Visitor) -> None:
    """Sets Distil's form to 5 × 5, by keyboard: a real run of seconds."""
    for name, keys in (("Sequences", ("Home", "ArrowRight", "ArrowRight")), ("Positions in each", ("Home",))):
        for key in keys:
            visitor.page.get_by_role("slider", name=name).press(key)
            visitor.idle()


def download(visitor: Visitor, button: str, to: Path) -> Path:
    """The file that a button gives."""
    with visitor.page.expect_download() as waiting:
        visitor.page.get_by_role("button", name=button, exact=True).click()
    path = to / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def unpacked(archive: Path, to: Path) -> Path:
    """The folder inside an exported zip, with every file as its checksum says."""
    with zipfile.ZipFile(archive) as files:
        files.extractall(to)
    (folder,) = to.iterdir()
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    files_there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert set(sums) == files_there
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    return folder


class Visitor:
    """One tab, with what its pages complained about."""

    def __init__(self, browser: Browser, scheme: Any = "light", viewport: Any = WIDE, still: bool = False) -> None:
        """still: the visitor prefers no motion, so the picture that moves stands at its end."""
        motion = "reduce" if still else "no-preference"
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion=motion)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.dialogs: list[str] = []
        self.page.on("dialog", lambda dialog: self.dialogs.append(dialog.message))

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.idle()

    def idle(self) -> None:
        """The script has run to its end and nothing on the page is an error."""
        self.page.wait_for_selector(IDLE)
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector(IDLE)
        assert self.page.locator("[data-testid=stException]").count() == 0, self.page.inner_text("body")

    def away_until(self, condition: Callable[[], bool], said: Callable[[], object]) -> None:
        """Leaves the page and comes back: that of a run at work asks for news so often that a test's run, which shares
        the cores with the browser, takes twice as long."""
        address = self.page.url
        self.page.goto("about:blank")
        until(condition, said)
        self.open(address)

    def choose(self, box: str, option: str) -> None:
        """Pick `option` in the select box named `box`, when the page has settled: a redrawn one closes its list."""
        self.idle()
        self.page.get_by_role("combobox", name=box).click()
        self.page.keyboard.type(option)
        self.page.get_by_role("option", name=option).first.click()

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
