"""Saved data sets: whole or not at all, inside their root, and never taken from under a run."""

from __future__ import annotations

import doctest
from pathlib import Path

import pyarrow as pa
import pytest

from foster import data_store
from foster.data_store import DataStore, free_slug
from foster.errors import UserError
from foster.formats import load_dataset
from foster.runs import RunState, RunStore, RunWriter
from foster.spec import RunSpec

ITEMS = pa.table({"item_id": ["a", "b", "c"], "title": ["A", "B" * 10_000, "<script>"]})
EVENTS = pa.table({"user_id": ["u"] * 4, "item_id": ["a", "b", "c", None], "timestamp": [1.0, 2.0, 3.0, 4.0]})


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    return DataStore(RunStore(tmp_path / "runs", bundled=None))


def test_what_is_saved_is_listed_and_read_back(store: DataStore) -> None:
    assert store.list() == ()
    assert not store.root.exists(), "looking writes nothing"
    slug = store.save("My Shop", ITEMS, EVENTS)
    assert (slug, store.list()) == ("my-shop", ("my-shop",))
    dataset = load_dataset(str(store.path(slug)))
    assert dataset.catalog.titles == ("A", "B" * 10_000, "<script>")
    assert dataset.dropped == {"events with a missing id": 1}
    assert store.runs.list() == [], "it is no run"


@pytest.mark.parametrize(
    "name", ["../../etc", "/etc/passwd", "..", "a\0b", "\u202etxt", "книги", "x" * 5_000, "🧨", "CON"]
)
def test_whatever_its_name_it_lies_in_the_root(store: DataStore, name: str) -> None:
    slug = store.save(name, ITEMS, EVENTS)
    assert [path.name for path in store.root.iterdir()] == [slug]
    assert data_store.SLUG.fullmatch(slug)
    assert store.path(slug).parent == store.root


def test_names_that_are_taken_get_a_number(store: DataStore) -> None:
    assert [store.save("shop", ITEMS, EVENTS, taken={"shop-2"}) for _ in range(2)] == ["shop", "shop-3"]
    assert len(free_slug("x" * 99, {"x" * 32})) <= 40


@pytest.mark.parametrize("slug", ["..", ".", "", "../runs", "a/b", "/etc", "A", "nothing", "x" * 99, "a\0", ".new-1"])
def test_a_malformed_or_unknown_slug_is_refused(store: DataStore, slug: str) -> None:
    store.save("shop", ITEMS, EVENTS)
    with pytest.raises(UserError, match="no data set"):
        store.path(slug)
    with pytest.raises(UserError, match="no data set"):
        store.delete(slug)
    assert store.list() == ("shop",)


def test_a_link_out_of_the_root_is_no_data_set(store: DataStore, tmp_path: Path) -> None:
    store.save("shop", ITEMS, EVENTS)
    (tmp_path / "elsewhere").mkdir()
    (store.root / "link").symlink_to(tmp_path / "elsewhere")
    assert store.list() == ("shop",)
    with pytest.raises(UserError):
        store.delete("link")
    assert (tmp_path / "elsewhere").is_dir()


def test_tables_that_make_no_data_set_leave_nothing_behind(store: DataStore) -> None:
    with pytest.raises(UserError, match="no user has 3 events"):
        store.save("shop", ITEMS, EVENTS.slice(0, 2))
    assert list(store.root.iterdir()) == []


def test_a_root_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match="cannot write"):
        DataStore(RunStore(tmp_path / "runs", bundled=None)).save("shop", ITEMS, EVENTS)


def test_a_data_set_is_not_deleted_while_a_run_needs_it(store: DataStore) -> None:
    slug = store.save("shop", ITEMS, EVENTS)
    store.save("other", ITEMS, EVENTS)
    run = store.runs.create(RunSpec(data=str(store.path(slug))))
    assert store.used_by(slug) == ((run,), ())
    assert store.used_by("other") == ((), ())
    with pytest.raises(UserError, match=f"run {run.id} is using shop"):
        store.delete(slug)
    with RunWriter(run.path) as writer:
        writer.finish(RunState.FAILED, error="planted")
    assert store.used_by(slug) == ((), (run,))
    store.delete(slug)
    assert store.list() == ("other",)
    assert [path.name for path in store.root.iterdir()] == ["other"]


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(data_store).failed == 0
