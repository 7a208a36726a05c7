"""Taking a finished run away: every exporter's files, a card and checksums, as a folder or as one zip.

The same run gives the same bytes, and a target is there completely or not at all.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from foster.errors import UserError
from foster.exporters import Exporter, FinishedRun
from foster.exporters.card import card
from foster.exporters.finished import read_finished
from foster.exporters.recbole import recbole
from foster.exporters.report import report
from foster.exporters.soft import soft
from foster.exporters.tables import tables
from foster.runs import Run

EXPORTERS: tuple[Exporter, ...] = (tables, recbole, soft, report)
CARD, CHECKSUMS = "README.md", "SHA256SUMS"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can say


def files_of(run: FinishedRun) -> dict[str, bytes]:
    """Everything that is taken away: relative path → content, the checksums of all others among it."""
    files: dict[str, bytes] = {}
    for exporter in EXPORTERS:
        files.update(exporter(run))
    files[CARD] = card(run, files)
    files[CHECKSUMS] = "".join(f"{sha256(files[name])}  {name}\n" for name in sorted(files)).encode()
    return files


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zip_name(run_id: str) -> str:
    return f"foster-{run_id}.zip"


def zipped(files: Mapping[str, bytes], folder: str) -> bytes:
    """One zip with everything below `folder`; no time, no user and no order of this machine is in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{folder}/{name}", _EPOCH)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            archive.writestr(entry, files[name], compresslevel=9)
    return buffer.getvalue()


def zip_of(run: Run) -> bytes:
    """The zip of a finished run. Raises UserError for one that is not."""
    return zipped(files_of(read_finished(run)), Path(zip_name(run.id)).stem)


def export(run: Run, to: Path, as_zip: bool = False) -> tuple[Path, dict[str, bytes]]:
    """Writes a finished run into the folder `to`, or as one zip into it; (where, the files).

    `to` itself is the zip where it is named so. Raises UserError for a run that is not finished, a folder that holds
    something, a zip that is there, and a target that cannot be written.
    """
    to = Path(os.path.abspath(to.expanduser()))
    target = to if not as_zip or to.suffix == ".zip" else to / zip_name(run.id)
    _require_new(target)
    files = files_of(read_finished(run))
    content = {"": zipped(files, Path(zip_name(run.id)).stem)} if as_zip else files
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _writing(target):
            for name, data in content.items():
                path = temporary / name if name else temporary
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            os.replace(temporary, target)  # an empty folder gives way
    except BaseException:
        with suppress(OSError):
            temporary.unlink() if as_zip else shutil.rmtree(temporary)
        raise
    return target, files


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"cannot write {target}: {reason}; make room there or choose another place with --to"
        ) from error


def _require_new(target: Path) -> None:
    try:
        there = target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir())))
    except OSError as error:
        raise UserError(f"cannot look into {target}: {error.strerror}; choose another place with --to") from error
    if there:
        what = "is a folder that holds something" if target.is_dir() else "is there already"
        raise UserError(f"{target} {what}; nothing is overwritten, so choose another place with --to or take it away")
