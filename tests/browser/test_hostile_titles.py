"""Titles and names that try to be something else are text on every page, and text in what is taken away."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from browser_tools import Visitor, download, serving, unpacked
from cycle_world import N_ITEMS, cycle_folder
from kept_students import RUN, lay_students
from run_folders import HOSTILE

from foster.run_label import RunLabel, write_label
from foster.runs import RunStore

pytestmark = pytest.mark.browser

SCRIPT, IMAGE, LINK, MARKDOWN, LATEX, FORMULA = (*HOSTILE[:5], HOSTILE[9])
PAGES = {  # page → titles and names that it shows, as they are written
    "": (SCRIPT,),
    "data?data=cycle": (SCRIPT, FORMULA),
    f"distil?run={RUN}": (LINK,),
    f"sequences?run={RUN}&sequence=1": (SCRIPT, IMAGE, MARKDOWN, LATEX, FORMULA),
    f"map?run={RUN}&sequence=1": (),  # its titles are drawn, in a table and under the pointer
    f"compare?run={RUN}": (LINK,),
    f"recommend?run={RUN}&items=0,1,2,3,4,9": (SCRIPT, IMAGE, LINK, MARKDOWN, LATEX, FORMULA),
    f"runs?run={RUN}": (LINK, MARKDOWN),
    f"learn?run={RUN}": (),
}
TURNED_INTO = {
    "an image": "img[src=x]",
    "a script": "script",
    "a link": "a[href*='javascript:'], a[href*='example.org']",
    "bold text": "b:text-is('bold'), strong:text-is('bold')",
    "an icon": "[data-testid=stIconMaterial]:text-is('home')",
}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A finished run with students, on data half of whose titles are hostile; its name and note are hostile too."""
    titles = [*HOSTILE, *(f"Book {number}" for number in range(len(HOSTILE), N_ITEMS))]
    folder = cycle_folder(tmp_path / "cycle")
    pd.DataFrame({"item_id": [f"i{n}" for n in range(N_ITEMS)], "title": titles}).to_csv(
        folder / "items.csv", index=False
    )
    store = RunStore(tmp_path / "runs", bundled=None)
    lay_students(store.root)
    write_label(store.get(RUN), RunLabel(LINK, f"{MARKDOWN} {LATEX}"))
    return store


def test_hostile_titles_are_text_on_every_page_and_in_every_file(
    store: RunStore, tmp_path: Path, visitor: Visitor
) -> None:
    page = visitor.page
    with serving(store.root, "--data", str(tmp_path / "cycle")) as address:
        for link, written in PAGES.items():
            visitor.open(f"{address}/{link or f'?run={RUN}'}")
            for title in written:
                page.locator(f"[data-testid=stMain] :text({_quoted(title)})").first.wait_for(state="attached")
            assert page.title() != "owned", link
            for what, selector in TURNED_INTO.items():
                assert page.locator("[data-testid=stMain]").locator(selector).count() == 0, (link, what)
            if "learn" not in link:
                assert page.locator("[data-testid=stMain] .katex").count() == 0, link

        visitor.open(f"{address}/sequences?run={RUN}")
        (tmp_path / "out").mkdir()
        folder = unpacked(download(visitor, "Download the zip", tmp_path), tmp_path / "out")
        exact = pd.read_parquet(folder / "items.parquet")["title"].tolist()
        assert set(HOSTILE[:5]) <= set(exact)
        assert FORMULA in exact
        with (folder / "items.csv").open(newline="") as file:
            cells = [row["title"] for row in csv.DictReader(file)]
        assert f"'{FORMULA}" in cells, "a spreadsheet takes it for text"
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        page.goto((folder / "report.html").as_uri())
        assert SCRIPT in page.inner_text("body")
        assert page.title() != "owned"
        assert page.locator(TURNED_INTO["an image"]).count() == page.locator(TURNED_INTO["a link"]).count() == 0
    assert not visitor.dialogs


def _quoted(text: str) -> str:
    """A string of a selector."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
