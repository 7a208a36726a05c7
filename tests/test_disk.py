"""Room on the disk, and what is taken of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from foster.disk import ROOM_FOR_A_RUN, free_bytes, require_room, taken_bytes
from foster.errors import UserError
from foster.launch import launch
from foster.runs import RunStore
from foster.spec import RunSpec


def test_taken_bytes_are_the_sizes_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 7)
    (tmp_path / "outside").write_bytes(b"x" * 1_000)
    assert taken_bytes(tmp_path / "a") == 17
    assert taken_bytes(tmp_path / "a" / "one") == 10
    assert taken_bytes(tmp_path / "none") == 0
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    assert taken_bytes(tmp_path / "a") < 17 + 1_000


def test_free_bytes_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0


def test_a_launch_without_room_is_refused_with_the_way_out(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs", bundled=None)
    asked: list[Path] = []

    def almost(folder: Path) -> int:
        asked.append(folder)
        return ROOM_FOR_A_RUN - 1_000_000

    with pytest.raises(UserError, match=r"only 999 MB are free .*foster rm .*foster cache prune.*--runs"):
        launch(store, RunSpec(), ("true",), almost)
    assert asked == [store.root]
    assert not store.root.exists()
    require_room(store.root, lambda folder: ROOM_FOR_A_RUN)
    assert launch(store, RunSpec(), ("true",), lambda folder: ROOM_FOR_A_RUN).path.is_dir()
