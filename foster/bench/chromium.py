"""The Map page in real Chromium, if Chromium and playwright are there: seconds until drawn and bytes sent."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foster.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path(os.environ.get("FOSTER_CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
PATIENCE_MS = 120_000
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
FIGURE = """(colour) => {
  const figure = document.querySelector(".js-plotly-plot");
  return document.querySelector("h1")?.innerText.includes("Where the items stand") && figure?._fullData?.length > 0
    && figure.querySelector(".main-svg") && (!colour || figure._fullData.some((trace) => trace.marker?.showscale));
}"""
# Two frames after the figure has its data the browser has shown it; WebGL draws before that.
POINTS = """async () => {
  await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
  return document.querySelector(".js-plotly-plot")._fullData.filter((trace) => trace.mode?.includes("markers"))
    .reduce((sum, trace) => sum + trace.x.length, 0);
}"""


def missing() -> str:
    """Why there is no browser to measure in, '' if there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed (pip install 'foster[test]')"
    return "" if CHROMIUM.exists() else f"no Chromium at {CHROMIUM} (Debian: apt-get install chromium)"


@contextmanager
def started() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def visit_map(browser: Browser, runs: Path, run_id: str) -> dict[str, Any]:
    """points: drawn in all panels; bytes: sent by the server for the click; `foster.bench.map` tells the seconds."""
    with serving(runs) as address:
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        sent = [0]

        def count(frame: str | bytes) -> None:
            sent[0] += len(frame)

        page.on("websocket", lambda socket: socket.on("framereceived", count))

        def drawn(colour: bool = False) -> int:
            page.wait_for_function(FIGURE, arg=colour, polling=20)
            points: int = page.evaluate(POINTS)
            return points

        began = time.perf_counter()
        page.goto(f"{address}/map?run={run_id}")
        drawn()
        cold = time.perf_counter() - began
        page.goto(f"{address}/?run={run_id}")
        page.wait_for_selector(IDLE)
        page.wait_for_timeout(500)
        before, began = sent[0], time.perf_counter()
        page.get_by_test_id("stPageLink").get_by_text("Map", exact=True).first.click()
        points = drawn()
        warm = time.perf_counter() - began
        page.wait_for_selector(IDLE)
        page.wait_for_timeout(500)
        received, began = sent[0] - before, time.perf_counter()
        page.get_by_role("radio", name="Popularity").or_(page.get_by_role("button", name="Popularity")).first.click()
        drawn(colour=True)
        colour = time.perf_counter() - began
        page.close()
    times = {"cold_s": cold, "drawn_s": warm, "colour_s": colour}
    return {"points": points, "bytes": received, **{name: round(spent, 2) for name, spent in times.items()}}


@contextmanager
def serving(runs: Path) -> Iterator[str]:
    """A fresh server of the app over these runs. It ends with the benchmark: SIGTERM is taken as Ctrl-C meanwhile.

    For the main thread. Raises UserError when the server does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "foster", "app", "--port", str(port), "--runs", str(runs)]
    quiet = subprocess.DEVNULL
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    server: subprocess.Popen[bytes] | None = None
    try:
        server = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).read()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise UserError("the app does not start; foster app says why") from None
                time.sleep(0.1)
        yield address
    finally:
        signal.signal(signal.SIGTERM, before)
        if server is not None:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
