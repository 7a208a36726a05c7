"""The colours of `foster.palette`, which charts without a page share."""

from __future__ import annotations

from foster.palette import BLUE, CATEGORY_COLOURS, CATEGORY_SYMBOLS, GREEN, GREY, OCHRE, PURPLE, SEQUENTIAL, VERMILION

__all__ = [
    "BLUE",
    "CATEGORY_COLOURS",
    "CATEGORY_SYMBOLS",
    "GREEN",
    "GREY",
    "OCHRE",
    "PURPLE",
    "SEQUENTIAL",
    "VERMILION",
]
