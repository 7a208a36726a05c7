"""How much room there is and how much of it is taken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from foster.errors import UserError
from foster.words import size

ROOM_FOR_A_RUN = 1_000_000_000  # bytes

Free = Callable[[Path], int]


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk that holds `folder`, which need not exist yet."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def taken_bytes(path: Path) -> int:
    """Bytes of a file or of all files in a folder, links not followed; 0 for what is not there (any more)."""
    try:
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
        with os.scandir(path) as entries:
            return sum(taken_bytes(Path(entry.path)) for entry in entries)
    except OSError:  # gone between two looks
        return 0


def require_room(root: Path, free: Free = free_bytes) -> None:
    """Raises UserError when a run started now could fill the disk."""
    left = free(root)
    if left < ROOM_FOR_A_RUN:
        raise UserError(
            f"only {size(left)} are free where the runs are kept, and a run may need {size(ROOM_FOR_A_RUN)}; delete "
            "runs (foster rm RUN), empty the cache (foster cache prune) or choose another folder with --runs"
        )
