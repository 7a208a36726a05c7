"""A link to any page opens that page, whole, as the first request of a fresh server."""

from __future__ import annotations

import pytest
from browser_tools import Visitor
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

DEMO = "run=demo-sample-20x20"
NAMES = ("Start", "Data", "Distil", "Sequences", "Map", "Compare", "Recommend", "Runs", "Learn")
PAGES = {  # address → its headline, and what only the page of this link shows
    "": ("A whole interaction log", ".film-grid"),
    "data?view=bring": ("What is in the log", "text=Nothing leaves this machine"),
    f"distil?{DEMO}": ("Condense a log", "text=The result"),
    f"sequences?{DEMO}&sequence=2": ("What the sequences say", "text=and is taught to recommend"),
    f"map?{DEMO}": ("Where the items stand", ".js-plotly-plot .scatterlayer"),
    f"compare?{DEMO}&scale=score": ("Is it worth it?", ".js-plotly-plot .scatterlayer"),
    f"recommend?{DEMO}&reader=2": ("What would come next?", ".list.full li"),
    f"runs?{DEMO}": ("What is kept", "text=Download the zip"),
    "learn?lesson=3": ("How it works", "text=Step 3 of 6"),
}


@pytest.mark.parametrize("link", PAGES)
def test_a_cold_link_opens_its_page_in_the_same_frame(link: str, server: str, visitor: Visitor) -> None:
    headline, there = PAGES[link]
    visitor.open(f"{server}/{link}")
    visitor.page.locator(there).first.wait_for()
    visitor.idle()
    assert headline in visitor.text()
    expect(visitor.page.locator("[data-testid=stSidebar]")).to_have_count(0)
    for name in NAMES:
        expect(visitor.page.get_by_role("link", name=name, exact=True).first).to_be_visible()
    assert visitor.page.url.endswith(link), "the address stays what it was"
