"""How long each page takes to open, in a fresh process, and to run again, side by side with the others in one process.

Pages run through Streamlit's own test runner: the script and what it hands to the browser, without network and browser.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from foster.bench import Say
from foster.bench.apart import apart
from foster.bundle import bundled_path
from foster.console import table
from foster.errors import UserError
from foster.runs import RunStore, default_root

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

RERUNS = 21
HEAVY = ("torch", "umap", "scipy", "transformers")
PATIENCE_S = 600


def measure(quick: bool, say: Say) -> dict[str, Any]:
    """page → cold_ms in a fresh process, imports of HEAVY, and median_ms and p90_ms of `reruns` runs in one process.

    With `quick` pages open in the shared process only, so cold_ms is null, and Learn, which computes, is left out.
    """
    from foster.ui.frame import PAGES

    names = [name for name in PAGES if not (quick and name == "Learn")]
    reruns = 3 if quick else RERUNS
    with demo_only():
        cold: dict[str, tuple[float | None, list[str]]] = dict.fromkeys(names, (None, []))
        if not quick:
            for name in names:
                say(f"{name} in a fresh process")
                cold[name] = apart(first, PAGES[name])
        opened = {}
        for name in names:
            say(f"{name} in the shared process")
            opened[name] = opened_page(PAGES[name])
            opened[name].run()  # the first run again is not one that a person meets twice
        spent: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(reruns):
            say(f"all pages, run {turn + 1} of {reruns}")
            for name in names:
                spent[name].append(_timed(opened[name]))
    return {
        "reruns": reruns,
        "pages": {
            name: {
                "cold_ms": cold[name][0],
                "imports": cold[name][1],
                "median_ms": round(median(spent[name]), 1),
                "p90_ms": round(quantiles(spent[name], n=10, method="inclusive")[-1], 1),
            }
            for name in names
        },
    }


def text(found: dict[str, Any]) -> str:
    rows = [
        (
            name,
            "–" if page["cold_ms"] is None else f"{page['cold_ms']:.0f}",
            f"{page['median_ms']:.0f}",
            f"{page['p90_ms']:.0f}",
            ", ".join(page["imports"]),
        )
        for name, page in found["pages"].items()
    ]
    return table(("page", "cold ms", "median rerun ms", "90th percentile", "imports"), rows, numbers=(1, 2, 3))


def first(page: str) -> tuple[float, list[str]]:
    """Milliseconds from the first import to the end of the script, and which of HEAVY it imported."""
    import sys

    began = time.perf_counter()
    opened_page(page)
    return round(1000 * (time.perf_counter() - began), 1), [name for name in HEAVY if name in sys.modules]


def opened_page(page: str) -> AppTest:
    """The page as a link to the demo run opens it. Raises UserError when it ends in an error."""
    from streamlit.testing.v1 import AppTest

    # Outside a server it warns of that, several lines a page.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    app = AppTest.from_file(str(bundled_path("app.py")), default_timeout=PATIENCE_S)
    app.query_params["run"] = next(
        run.id for run in RunStore(default_root()).list() if run.shipped and not run.is_lesson
    )
    if page != "app.py":
        app.switch_page(page)
    app.run()
    if app.exception:
        raise UserError(f"{page} cannot be measured, it ends in an error: {app.exception[0].message}")
    return app


def _timed(app: AppTest) -> float:
    began = time.perf_counter()
    app.run()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def demo_only() -> Iterator[None]:
    """An empty store, in which the shipped demo run is the only one."""
    before = os.environ.get("FOSTER_RUNS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOSTER_RUNS"] = str(Path(folder) / "runs")
        try:
            yield
        finally:
            os.environ.pop("FOSTER_RUNS")
            if before is not None:
                os.environ["FOSTER_RUNS"] = before
