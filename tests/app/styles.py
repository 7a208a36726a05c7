"""The style sheet and the page's colours, as tests read them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def contrast(first: str, second: str) -> float:
    """Of two colours as #rrggbb, by WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    light, dark = sorted([luminance(first), luminance(second)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def page_colours() -> list[str]:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    return [config["theme"][scheme]["backgroundColor"] for scheme in ("light", "dark")]


def style() -> str:
    return (ROOT / "foster" / "ui" / "style.css").read_text(encoding="utf-8")


def rules(sheet: str, selector: str) -> str:
    """What a style sheet says of a selector, outside of conditions."""
    return " ".join(re.findall(rf"^{re.escape(selector)} \{{([^}}]*)\}}", sheet, re.MULTILINE))
