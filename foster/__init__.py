"""foster: dataset distillation for text-based sequential recommenders (after FOSTER, arXiv 2605.30772)."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("foster")
except PackageNotFoundError:  # run from a checkout that was not installed
    __version__ = "0.1.0"
