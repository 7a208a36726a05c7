"""The item map against the number of items: what the layout costs, what goes to the browser, and when it is drawn."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from foster.bench import Say
from foster.bench.apart import apart, peak_mb
from foster.console import table
from foster.runs import RunStore
from foster.words import size

SIZES = (1_000, 5_000, 20_000, 100_000)


def measure(quick: bool, say: Say) -> dict[str, Any]:
    """layout: one row a size; drawn: one row a size, or why it could not be measured."""
    sizes = (300, 2_000) if quick else SIZES
    placed = []
    for n_items in sizes:
        say(f"layout of {n_items:,} items in a process of its own")
        placed.append(apart(laid_out, n_items))
    return {"layout": placed, "drawn": _drawn(sizes, say)}


def text(found: dict[str, Any]) -> str:
    rows = [
        (
            f"{each['items']:,}",
            *(f"{each[name]:.1f}" for name in ("first_s", "first_cpu_s", "again_s")),
            f"{each['peak_mb']:,.0f}",
        )
        for each in found["layout"]
    ]
    placed = table(("items", "first layout s", "CPU s", "log seen before s", "peak MB"), rows, numbers=range(5))
    if isinstance(found["drawn"], str):
        return f"{placed}\n\nnot drawn: {found['drawn']}"
    rows = [
        (
            f"{each['items']:,}",
            f"{each['points']:,}",
            size(each["bytes"]),
            *(f"{each[name]:.1f}" for name in ("cold_s", "drawn_s", "colour_s")),
        )
        for each in found["drawn"]
    ]
    head = ("items", "points", "sent", "opened cold s", "click to drawn s", "colour changed s")
    return f"{placed}\n\n{table(head, rows, numbers=range(6))}"


def laid_out(n_items: int) -> dict[str, Any]:
    """first_s: all three views of a log that was never seen, first_cpu_s what of it the processor worked, on all cores
    together; again_s: of another run of the log; peak_mb: of the process, before_mb of it before the layout."""
    from foster.bench.planted import planted_features, planted_log, planted_totals
    from foster.item_map import item_map

    log, totals, features = planted_log(n_items), planted_totals(n_items), planted_features(n_items)
    before, spent, worked = peak_mb(), [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            began, idle = time.perf_counter(), time.process_time()
            item_map(log, totals, features, Path(folder))
            spent.append(round(time.perf_counter() - began, 2))
            worked.append(round(time.process_time() - idle, 2))
    return {
        "items": n_items,
        "first_s": spent[0],
        "first_cpu_s": worked[0],
        "again_s": spent[1],
        "peak_mb": peak_mb(),
        "before_mb": before,
    }


def _drawn(sizes: tuple[int, ...], say: Say) -> list[dict[str, Any]] | str:
    """cold_s: from a deep link on a fresh server; drawn_s: from the click on Map on the Start page; colour_s: from the
    click on another colour; all until the figure is drawn. bytes: what the server sent for the click on Map."""
    from foster.bench.chromium import missing, started, visit_map
    from foster.bench.planted import planted_run

    if reason := missing():
        return reason
    found = []
    with tempfile.TemporaryDirectory() as folder, started() as browser:
        store = RunStore(Path(folder) / "runs", bundled=None)
        for n_items in sizes:
            say(f"map of {n_items:,} items in Chromium")
            found.append({"items": n_items, **visit_map(browser, store.root, planted_run(store, n_items).id)})
    return found
