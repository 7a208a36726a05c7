"""Texts and markup that pages, cards and reports share: the examples in their docstrings hold, without streamlit."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest
from fake_foster import environment

MODULES = ("markup", "verdict", "words")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"foster.{name}")).failed == 0


def test_they_need_no_heavy_library() -> None:
    code = (
        f"import sys; from foster import {', '.join(MODULES)};"
        "sys.exit(str({'streamlit', 'pandas', 'torch', 'plotly'} & set(sys.modules) or '') or 0)"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert (asked.returncode, asked.stderr) == (0, "")
