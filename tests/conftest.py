"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the repository; without it the test is skipped, or fails if CI is set."""
    if not SHARED_DATA.is_dir():
        reason = f"needs the shared data sets in {SHARED_DATA}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED_DATA


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Models in tests are tiny: more threads only wait for each other, most of all on a busy machine."""
    torch.set_num_threads(1)
