"""Numbers as a person reads them: with units, with uncertainty, never more digits than they carry."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any


def count(value: float) -> str:
    """
    >>> count(92410)
    '92,410'
    """
    return f"{value:,.0f}"


def share(value: float) -> str:
    """A share of 1 as a whole percentage, never broken over two lines; a little is not called nothing.

    >>> share(0.873), share(0.004), share(0)
    ('87\\xa0%', '<1\\xa0%', '0\\xa0%')
    """
    return "<1\u00a0%" if 0 < value < 0.005 else f"{100 * value:.0f}\u00a0%"


def score(value: float) -> str:
    """A metric between 0 and 1, three decimals.

    >>> score(0.15149)
    '0.151'
    """
    return f"{value:.3f}"


def measure(summary: Mapping[str, Any]) -> str:
    """A mean with its spread over seeds.

    >>> measure({"mean": 0.1512, "std": 0.0042, "n": 3})
    '0.151 ± 0.004, n = 3'
    >>> measure({"mean": 0.08, "std": 0.0, "n": 1})
    '0.080, n = 1'
    """
    spread = f" ± {score(summary['std'])}" if summary.get("n", 1) > 1 and summary.get("std") is not None else ""
    return f"{score(summary['mean'])}{spread}, n = {summary.get('n', 1)}"


def version(report: Mapping[str, Any]) -> str:
    """Which foster made a run, as its report has it: one of equal number may still learn otherwise.

    >>> version({"version": "0.1.0", "engine": 16}), version({"version": "0.1.0"}), version({})
    ('0.1.0 (engine 16)', '0.1.0 (an earlier engine)', 'of an unknown version')
    """
    number, engine = report.get("version"), report.get("engine")
    if not isinstance(number, str):
        return "of an unknown version"
    return f"{number} ({f'engine {engine}' if isinstance(engine, int) else 'an earlier engine'})"


def size(byte_count: float) -> str:
    """
    >>> size(512), size(102400), size(3_400_000)
    ('512 bytes', '102 kB', '3.4 MB')
    """
    if byte_count < 1000:
        return f"{byte_count:.0f} bytes"
    for unit in ("kB", "MB"):
        byte_count /= 1000
        if byte_count < 1000:
            return f"{byte_count:.1f} {unit}" if byte_count < 10 else f"{byte_count:.0f} {unit}"
    return f"{byte_count / 1000:.1f} GB"


def device(name: str | None) -> str:
    """Where something was computed, for a sentence."""
    return {"cpu": "the CPU", "cuda": "the GPU"}.get(name or "", name or "this machine")


def duration(seconds: float) -> str:
    """
    >>> duration(0.4), duration(42), duration(118), duration(7300)
    ('under a second', '42 s', '1 min 58 s', '2 h 1 min')
    """
    if seconds < 1:
        return "under a second"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(unix: float | None) -> str:
    """A clock time on this machine, such as '23 Nov, 21:01'; '' for None."""
    return "" if unix is None else time.strftime("%-d %b, %H:%M", time.localtime(unix))


def plural(number: int, one: str, many: str | None = None) -> str:
    """
    >>> plural(1, "sequence"), plural(20, "sequence"), plural(0, "category", "categories")
    ('1 sequence', '20 sequences', '0 categories')
    """
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def ordinal(number: int) -> str:
    """
    >>> ordinal(2), ordinal(11), ordinal(23)
    ('2nd', '11th', '23rd')
    """
    last = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{count(number)}{last}"
