"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Worlds in tests are tiny: more threads only wait for each other. Before anything imports torch; servers and workers
# that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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


@pytest.fixture
def double() -> Iterator[None]:
    """Double precision, for comparisons with a literal reference."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
