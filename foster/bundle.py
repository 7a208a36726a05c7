"""Where the files beside the package are: in a checkout next to `foster/`, in a wheel under `foster/_bundle/`."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def bundled_path(name: str) -> Path:
    """The path of a top-level entry such as "app.py" or "sample_data"; it exists in every complete installation."""
    installed = PACKAGE / "_bundle" / name
    return installed if installed.exists() else PACKAGE.parent / name


def is_checkout() -> bool:
    """Whether this package is run from its source tree, where a new process may not find it by itself."""
    return (PACKAGE.parent / "pyproject.toml").is_file()
