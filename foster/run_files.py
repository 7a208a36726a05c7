"""How the files of a run are locked, read and replaced: a reader never sees half a file, whenever the writer dies."""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from foster.errors import UserError

SCHEMA = 1


class FileLock:
    """An exclusive `flock`. The kernel frees it when its holder dies, however it dies, so no lock is ever stale.

    The descriptor is closed on exec (Python's default): a child process never keeps a dead parent's lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float) -> bool:
        """Take the lock; False when another holds it for more than `patience` seconds.

        Some patience is always needed: `is_held` below holds the lock for a moment too.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        deadline = time.monotonic() + patience
        try:
            while not _try_flock(descriptor, fcntl.LOCK_EX):
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return False
                time.sleep(0.01)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock. Looks with a shared lock, so that readers do not see each other."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try_flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _try_flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a full disk or a read-only folder into a UserError that says which file and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"cannot write {path}: {reason}; make room there or choose another folder with --runs"
        ) from error


def replace_file(path: Path, save: Callable[[Path], object]) -> None:
    """`save` writes a temporary file beside `path`, which then takes its place in one step.

    The temporary name is fixed, so what a killed writer left is overwritten and not collected. Raises UserError.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save(temporary)
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise


def write_json(path: Path, value: object) -> None:
    text = to_json(value)
    replace_file(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError when it is missing, unreadable, no object, or of an unknown schema."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not JSON; it was damaged after it was written") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object; it was damaged after it was written")
    if value.get("schema", SCHEMA) != SCHEMA:
        raise UserError(
            f"{path} has schema {value['schema']!r}, this foster reads schema {SCHEMA}; use the version that wrote it"
        )
    return value


def to_json(value: object) -> str:
    """One line of strict ASCII JSON; numbers that are not finite become null, arrays become lists."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # arrays and scalars of numpy and torch, without importing either
        return _plain(value.tolist())
    return value
