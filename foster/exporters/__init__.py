"""What a finished run is taken away as. An exporter is a function from a `FinishedRun` to files.

Every exporter gives the files of one kind, relative path → content, as a function of the run alone: the same run gives
the same bytes. It leaves out what the run does not have and opens no file of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from foster.exporters.finished import FinishedRun

Files = Mapping[str, bytes]
Exporter = Callable[[FinishedRun], Files]

__all__ = ["Exporter", "Files", "FinishedRun"]
