"""One selection and one step through Map, Sequences and a second browser; a paused run, step by step."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest
from browser_tools import NARROW, WIDE, Visitor, serving
from fake_foster import COMMAND
from patience import until
from playwright.sync_api import Browser

from foster.launch import launch
from foster.runs import RunStore
from foster.spec import RunSpec

pytestmark = pytest.mark.browser

DEMO = "demo-sample-20x20"
TRACES = "(document.querySelector('.js-plotly-plot')?.data ?? []).filter(t => t.name === '{}')"
CHOSEN = TRACES.format("chosen") + ".map(t => t.customdata.length)"
PATH = TRACES.format("the open sequence") + "[0].customdata.join()"


def chart(visitor: Visitor) -> None:
    visitor.idle()
    visitor.page.wait_for_selector(".js-plotly-plot .scatterlayer")


def drag(visitor: Visitor, panel: int, *corners: tuple[float, float]) -> None:
    """Over the map, corners as shares of the panel's width and height."""
    box = visitor.page.locator(".js-plotly-plot .nsewdrag").nth(panel).bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    mouse = visitor.page.mouse
    mouse.move(*places[0])
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=4)
    mouse.up()


def stated(visitor: Visitor, pattern: str) -> list[int]:
    """The numbers in what the page says by `pattern`, once it does: an address can change before its page is drawn."""
    found: list[re.Match[str]] = []

    def said() -> bool:
        found.extend(re.finditer(pattern, visitor.text()))
        return bool(found)

    until(said, lambda: (pattern, visitor.text()))
    return [int(each) for each in found[0].groups()]


def marked(visitor: Visitor, *counts: int) -> None:
    """So many items are ringed in the two views, as soon as they are drawn."""
    until(lambda: visitor.page.evaluate(CHOSEN) == list(counts), lambda: (counts, visitor.page.evaluate(CHOSEN)))


def test_a_lasso_leads_to_its_sequences_and_a_second_browser_sees_the_same(
    server: str, visitor: Visitor, chromium: Browser
) -> None:
    page = visitor.page
    visitor.open(f"{server}/map?run={DEMO}")
    chart(visitor)
    assert page.evaluate(CHOSEN) == []
    drag(visitor, 1, (0.05, 0.2), (0.3, 0.2), (0.3, 0.45), (0.05, 0.45), (0.05, 0.2))
    page.wait_for_url("**area=synthetic*")
    chart(visitor)
    (items,) = stated(visitor, r"(\d+) items chosen")
    using, of = stated(visitor, r"(\d+) of (\d+) sequences show them on a card")
    assert 0 < using < of
    marked(visitor, items, items)
    (listed,) = stated(visitor, r"(\d+) items in the area")
    assert listed == items

    page.locator(".st-key-using button").first.click()  # the sequence with the most of them is drawn
    page.wait_for_url("**sequence=*")
    chart(visitor)
    assert page.evaluate(PATH)
    visitor.keep("linked-map")
    page.get_by_role("link", name="Only sequences through these items").click()
    page.wait_for_url("**/sequences?*area=*")
    visitor.idle()
    assert stated(visitor, r"(\d+) of \d+ sequences go through the (\d+) items") == [using, items]
    # ten to a page, and the page that holds the drawn sequence
    assert page.locator(".row-head strong").count() in {min(using, 10), using % 10}
    titles = page.locator(".row-head strong, .strip .title, .ladder .title").all_text_contents()
    assert titles

    with closing(Visitor(chromium)) as other:
        other.open(page.url)
        assert stated(other, r"(\d+) of \d+ sequences go through the (\d+) items") == [using, items]
        assert other.page.locator(".row-head strong, .strip .title, .ladder .title").all_text_contents() == titles
        other.page.get_by_role("link", name="Change the selection on the map").click()
        other.page.wait_for_url("**/map?*area=*")
        chart(other)
        marked(other, items, items)
        other.page.get_by_role("button", name="Clear the selection").click()
        other.page.wait_for_url(lambda url: "area=" not in url)
        chart(other)
        marked(other)


def test_a_box_and_a_press_choose_too(server: str, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server}/map?run={DEMO}&drag=box")
    chart(visitor)
    drag(visitor, 0, (0.1, 0.3), (0.5, 0.6))
    page.wait_for_url("**area=real*")
    chart(visitor)
    page.get_by_text("Move", exact=True).click()
    page.wait_for_url("**drag=move*")
    chart(visitor)
    until(lambda: page.evaluate(CHOSEN)[:1] > [1], lambda: page.evaluate(CHOSEN))
    page.wait_for_timeout(500)
    point = page.locator(".js-plotly-plot .scatterlayer .trace").first.locator(".point").nth(5).bounding_box()
    assert point is not None
    page.mouse.click(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    page.wait_for_url("**chosen=*")
    chart(visitor)
    assert "area=" not in page.url, "a new choice takes the place of the one before"
    marked(visitor, 1, 1)


def test_search_and_table_choose_by_keyboard_alone(server: str, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server}/map?run={DEMO}")
    chart(visitor)
    page.get_by_label("Search the titles").focus()
    page.keyboard.type("the")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=the*")
    chart(visitor)
    (found,) = stated(visitor, r"(\d+) items with “the” in the title")
    marked(visitor, found, found)
    page.locator("[data-testid=stDataFrame] canvas").first.focus()
    for count in (1, 2):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Shift+Space")
        page.wait_for_url(lambda url, count=count: url.count("%2C") == count - 1 and "chosen=" in url)
        chart(visitor)
        marked(visitor, count, count)
    stated(visitor, "2 items chosen")
    using, of = stated(visitor, r"(\d+) of (\d+) sequences shows? them on a card")
    assert 0 < using < of
    link = page.get_by_role("link", name="Only sequences through these items")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/sequences?*chosen=*")
    visitor.idle()
    assert stated(visitor, r"(\d+) of \d+ sequences go through the 2 items") == [using]


def most_moved() -> int:
    """The sequence of the shipped demo, from 1, of which most first recommendations differ from step 0's."""
    run = RunStore(Path("nowhere")).get(DEMO)
    result, items = run.sequences(), run.items()
    assert result is not None
    assert items is not None
    number = dict(zip(items["item_id"], items["item"], strict=True))
    last = result["labels"].map(lambda labels: number[labels[0]["item_id"]])
    moved = run.snapshot(0)["items"].map(lambda found: found[0]) != last
    return int(moved.groupby(result["sequence"]).sum().idxmax()) + 1


def test_scrubbing_moves_titles_path_and_metrics_together(server: str, visitor: Visitor) -> None:
    page, shown = visitor.page, most_moved()
    visitor.open(f"{server}/map?run={DEMO}&sequence={shown}")
    chart(visitor)
    metrics, path = page.inner_text(".moment"), page.evaluate(PATH)
    slider = page.get_by_role("slider", name="Moment of the distillation")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_url("**step=0*")
    chart(visitor)
    assert page.inner_text(".moment").startswith("Step 0:")
    assert page.inner_text(".moment") != metrics
    assert page.evaluate(PATH) != path
    page.get_by_role("link", name="Sequences", exact=True).click()
    page.wait_for_url("**/sequences?*step=0*")
    visitor.idle()
    first = page.locator(".ladder").first.inner_text()
    assert page.inner_text(".moment").startswith("Step 0:")
    page.get_by_role("slider", name="Moment of the distillation").focus()
    page.keyboard.press("End")
    page.wait_for_url(lambda url: "step=" not in url)
    visitor.idle()
    assert page.inner_text(".moment") == metrics
    assert page.locator(".ladder").first.inner_text() != first


def test_a_paused_run_is_stepped_one_by_one(tmp_path: Path, visitor: Visitor) -> None:
    """The experiment takes no time; the worker, the marker and the page are the real ones."""
    store = RunStore(tmp_path / "runs", bundled=None)
    run = launch(store, RunSpec(data="sample", sequences=2, length=2, steps=100_000, students=1), COMMAND)
    page = visitor.page
    with serving(store.root) as address:
        visitor.open(f"{address}/distil?run={run.id}")
        until(lambda: bool(run.events("distil")))  # paused before its first step it has finished none
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Step", exact=True).wait_for(state="visible")
        until(lambda: run.status().paused)
        page.wait_for_selector("text=Finished last")
        before = len(run.events("distil"))
        for more in (1, 2):
            page.get_by_role("button", name="Step", exact=True).click()
            page.wait_for_selector(f"text=Finished last: step {before + more} of 100000")
            assert len(run.events("distil")) == before + more
            assert run.status().paused
        visitor.idle()
        visitor.keep("stepped")
        page.get_by_role("button", name="Resume").click()
        until(lambda: len(run.events("distil")) > before + 4)
        run.request_stop()
        until(lambda: run.status().is_terminal)


def test_a_selection_fits_and_is_for_everyone(server: str, chromium: Browser) -> None:
    """Light and dark, wide and narrow, on one server that is warm by then."""
    query = f"run={DEMO}&area=synthetic_-0.6_0.4_-0.3_0&sequence=4&step=9"
    found = {}
    for scheme in ("light", "dark"):
        for width, viewport in (("wide", WIDE), ("narrow", NARROW)):
            with closing(Visitor(chromium, scheme, viewport)) as tab:
                for name in ("map", "sequences", "distil"):
                    tab.open(f"{server}/{name}?{query}")
                    tab.page.wait_for_timeout(800)
                    tab.keep(f"linked-{name}-{scheme}-{width}")
                    assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
                    found[scheme, width, name] = tab.violations()
    assert not any(found.values()), found
