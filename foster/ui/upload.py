"""A person's own log: choose files, say which column is which, see what would be left out, and only then save it."""

from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from foster.data_store import DataStore, slug_of
from foster.errors import UserError
from foster.formats import Dataset, foreign
from foster.formats.foreign import Roles
from foster.ui import address, guard, words
from foster.ui.anatomy import dropped_list, warn_of_few
from foster.ui.markup import plain, show, tag
from foster.ui.sources import Origin, sources
from foster.ui.state import Selection
from foster.ui.states import attempt, note
from foster.ui.titles import stats

TYPES = tuple(suffix.removeprefix(".") for suffix in foreign.SUFFIXES)
CAP_MB = 64  # a file
KEPT_S = 1800  # how long the server remembers a file that was not saved
NO_TIME = ""  # stands for the rows' own order
SAVED = "data-saved"


@dataclass(frozen=True)
class Built:
    """The two tables that would be saved and the data set that they make."""

    items: pa.Table
    events: pa.Table
    dataset: Dataset


def upload(selection: Selection) -> None:
    note(
        "Nothing leaves this machine",
        "Your files are read by the server that shows this page, and nothing else sees them. They are kept only if you "
        "save them: then as two Parquet files beside the runs, until you delete them. Everyone who can open this "
        "app can look at what is saved here.",
    )
    left, right = st.columns(2, gap="large")
    with left:
        log_file = _choose("Interactions", "One row for each time somebody took something: who, what, when.", "log")
    with right:
        items_file = _choose(
            "Items, if their titles are in another file",
            "One row for each item: its id, its title, other text.",
            "items",
        )
    if log_file is None:
        st.caption(
            f"CSV, TSV, Parquet or JSON lines in UTF-8; at most {CAP_MB} MB a file, {words.count(foreign.MAX_EVENTS)} "
            f"rows and {words.count(foreign.MAX_ITEMS)} items. {foreign.ELSEWHERE[0].upper()}{foreign.ELSEWHERE[1:]}."
        )
        return
    log = _readable(log_file)
    items = None if items_file is None else _readable(items_file)
    if log is None or (items_file is not None and items is None):
        return
    _first_rows(log, "The first rows")
    if items is not None:
        _first_rows(items, "The first items")
    roles = _roles(log, items, f"{log_file.file_id}-{items_file.file_id if items_file else ''}")
    if roles is None:
        return
    built = _offer(lambda: _built(log_file.file_id, items_file and items_file.file_id, roles, _log=log, _items=items))
    if built is not None:
        _preview(built, log.num_rows)
        _save(selection, built, Path(log_file.name).stem)


def _choose(label: str, hint: str, key: str) -> Any:
    show(tag("h3", label))
    show(tag("p", hint, class_="hint"))
    return st.file_uploader(label, TYPES, key=f"upload-{key}", label_visibility="collapsed", max_upload_size=CAP_MB)


def _readable(file: Any) -> pa.Table | None:
    """The table in an uploaded file, None once the page has said why there is none."""
    return _offer(lambda: _read(file.file_id, _file=file))


def _offer(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except UserError as error:
        said = str(error)
        begins = said[:1] if "." in said.partition(" ")[0] else said[:1].upper()  # a file keeps its name
        note("This cannot be used as it is", f"{begins}{said[1:]}.", "bad")
        return None


@st.cache_resource(max_entries=6, ttl=KEPT_S, show_spinner="Reading the file …")
def _read(file_id: str, _file: Any) -> pa.Table:
    """Every uploaded file has an id of its own, so nobody is ever shown the file of another person."""
    if _file.size > CAP_MB * 1_000_000 * 1.05:
        raise UserError(f"the file has {_file.size / 1e6:,.0f} MB, an upload takes {CAP_MB}; {foreign.ELSEWHERE}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / safe_name(_file.name)
        path.write_bytes(_file.getbuffer())
        return foreign.read_foreign(path)


def safe_name(name: str) -> str:
    """What a file is called in messages and, for a moment, on disk.

    >>> safe_name("../../my log\\u202e.CSV"), safe_name(".parquet")
    ('my_log_.csv', 'file.parquet')
    """
    last = re.split(r"[/\\\\]", name)[-1]
    stem, dot, suffix = last.rpartition(".")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", stem if dot else last)[:40]
    return f"{stem or 'file'}.{re.sub('[^a-z]', '', suffix.lower())[:8]}" if dot else stem


@st.cache_resource(max_entries=4, ttl=KEPT_S, show_spinner="Looking at every row …")
def _built(log_id: str, items_id: str | None, roles: Roles, _log: pa.Table, _items: pa.Table | None) -> Built:
    items, events, mended = foreign.convert(_log, _items, roles)
    return Built(items, events, foreign.build("this log", items, events, mended))


def _first_rows(table: pa.Table, title: str) -> None:
    show(tag("h2", title))
    head = pd.DataFrame(
        {column_label(table, name): [_cell(value) for value in table.column(name).slice(0, 5).to_pylist()]
         for name in table.column_names[:30]}
    )  # fmt: skip
    st.dataframe(head, hide_index=True, alt=f"{title} of the file, as they were read")


def _cell(value: object) -> str:
    return "" if value is None else plain(str(value), 200)


def column_label(table: pa.Table, name: str) -> str:
    """A column's name as a short text; with its number where that is not enough to tell columns apart."""
    short = plain(name, 60)
    shorts = [plain(each, 60) for each in table.column_names]
    return short if shorts.count(short) == 1 else f"{short} (column {table.column_names.index(name) + 1})"


def _roles(log: pa.Table, items: pa.Table | None, key: str) -> Roles | None:
    """The form of columns, filled with guesses; None while one is not chosen."""
    show(tag("h2", "Which column is which"))
    names = log.column_names
    described = log if items is None else items
    first = st.columns(3, gap="medium")
    with first[0]:
        user = _column(log, "Users", foreign.guess(names, foreign.USERS), f"user-{key}")
    with first[1]:
        item = _column(log, "Items", foreign.guess(names, foreign.ITEMS), f"item-{key}")
    with first[2]:
        time = _column(log, "Times", foreign.guess(names, foreign.TIMES), f"time-{key}", optional=True)
    second = st.columns(3, gap="medium")
    item_key = None
    title_guess = foreign.guess(described.column_names, foreign.TITLES)
    if items is not None:
        with second[0]:
            key_guess = item if item in items.column_names else foreign.guess(items.column_names, foreign.ITEMS)
            item_key = _column(items, "Items, in the file of items", key_guess, f"key-{key}")
    with second[1 if items is not None else 0]:
        title = _column(described, "Titles", title_guess, f"title-{key}")
    with second[2 if items is not None else 1]:
        texts = foreign.text_columns(described, (title, item_key) if items is not None else (title, user, item, time))
        more: list[str] = []
        if texts:
            more = st.multiselect(
                "More text",
                texts,
                foreign.described_by(texts, items is not None),
                format_func=lambda name: column_label(described, name),
                key=f"more-{key}-{zlib.crc32('/'.join(texts).encode())}",
                help="Further columns that say what an item is, such as maker or genre. The text encoder reads them, "
                "and the first one of kinds (genre, category, or any few values that items share) colours the map.",
            )
    missing = [label for label, chosen in (("users", user), ("items", item), ("times", time), ("titles", title),
                                           ("item ids in the file of items", item_key if items is not None else ""))
               if chosen is None]  # fmt: skip
    if missing:
        hint = (
            " If the titles are in a file of their own, add it above." if "titles" in missing and items is None else ""
        )
        *others, last = missing
        which = f"columns of {', '.join(others)} and {last}" if others else f"column of {last}"
        note("Not all columns are known yet", f"Choose the {which}.{hint}")
        return None
    return _offer(lambda: Roles(str(user), str(item), time or None, str(title), item_key, tuple(more)))


def _column(table: pa.Table, label: str, guessed: str | None, key: str, optional: bool = False) -> str | None:
    options = [*([NO_TIME] if optional else []), *table.column_names]
    return st.selectbox(
        label,
        options,
        index=options.index(guessed) if guessed in options else None,
        format_func=lambda name: column_label(table, name) if name else "None: the rows are in order",
        key=f"role-{key}",
        placeholder="Choose a column",
    )


def _preview(built: Built, rows: int) -> None:
    log, catalog = built.dataset.interactions, built.dataset.catalog
    show(tag("h2", "What would be kept"))
    show(
        stats(
            [
                ("Users", words.count(log.n_users), "with at least 3 events"),
                ("Items", words.count(len(catalog)), "with a text each"),
                ("Events", words.count(len(log)), f"of {words.plural(rows, 'row')}, {words.share(len(log) / rows)}"),
            ]
        )
    )
    warn_of_few(log.n_users, len(log.leave_one_out().train))
    left, right = st.columns(2, gap="large")
    with left:
        show(tag("h3", "Left out or mended"))
        if built.dataset.dropped:
            show(dropped_list(built.dataset.dropped))
        else:
            show(tag("p", "Nothing: every row can be used.", class_="say"))
    with right:
        show(tag("h3", "What the text encoder will read"))
        texts = [tag("li", tag("bdi", plain(text, 240))) for text in catalog.texts[:3]]
        show(tag("ol", *texts, class_="texts"))


def _save(selection: Selection, built: Built, stem: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.text_input("Name", plain(stem, 40), max_chars=80, key="upload-name", width=320)
        asked = st.button("Save this log", type="primary", icon=":material/save:", disabled=not name.strip())
    st.caption(f"It will be listed as {slug_of(name)}, with a number behind it if that name is taken.")
    if asked and selection.uploads:
        attempt(lambda: guard.edit(lambda: _write(selection, built, name)))
        if SAVED in st.session_state:
            st.rerun()


def _write(selection: Selection, built: Built, name: str) -> None:
    taken = {source.key for source in sources(selection.store) if source.origin is not Origin.OWN}
    slug = DataStore(selection.store).save(name, built.items, built.events, taken)
    st.session_state[SAVED] = slug
    address.put(data=slug, view=None, five=None, q=None)
