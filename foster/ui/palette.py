"""The colours of `foster.palette`, which charts without a page share."""

from __future__ import annotations

from foster.palette import (
    AROUND_CHOSEN,
    BLUE,
    CATEGORY_COLOURS,
    CATEGORY_SYMBOLS,
    CHOSEN,
    GREEN,
    GREY,
    OCHRE,
    PURPLE,
    SEQUENTIAL,
    VERMILION,
)

__all__ = [
    "AROUND_CHOSEN",
    "BLUE",
    "CATEGORY_COLOURS",
    "CATEGORY_SYMBOLS",
    "CHOSEN",
    "GREEN",
    "GREY",
    "OCHRE",
    "PURPLE",
    "SEQUENTIAL",
    "VERMILION",
]
