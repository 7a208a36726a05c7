"""A teacher in a real browser: Learn from the first step to the last, predicting, breaking, presenting."""

from __future__ import annotations

import pytest
from browser_tools import NARROW, WIDE, Visitor
from playwright.sync_api import Browser, expect

from foster.ui.syllabus import LESSONS

pytestmark = pytest.mark.browser

FINDING = "p.finding"


def settled(tab: Visitor) -> None:
    """The experiment is computed and drawn."""
    tab.page.wait_for_selector(FINDING)
    tab.idle()
    tab.page.wait_for_selector(".js-plotly-plot .main-svg")


def test_a_teacher_goes_through_all_six_steps(server: str, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(server)
    page.get_by_role("link", name="Learn", exact=True).click()
    page.wait_for_url("**/learn*")
    for number, lesson in enumerate(LESSONS, start=1):
        page.get_by_role("heading", name=lesson.title).wait_for()
        settled(visitor)
        whole = page.inner_text(FINDING)
        reveal = page.get_by_role("button", name="Reveal")
        expect(reveal).to_be_disabled()
        page.get_by_text(lesson.question.options[0], exact=True).click()
        expect(reveal).to_be_enabled()
        reveal.click()
        page.locator(".note").wait_for()
        settled(visitor)
        for value, label in lesson.switches[1:]:
            page.get_by_role("radio", name=label).or_(page.get_by_role("button", name=label)).first.click()
            page.wait_for_url(f"**broken={value}*")
            settled(visitor)
            expect(page.locator(FINDING)).not_to_have_text(whole)
            assert page.locator(f"{FINDING}.broken").count() == 1
        if number < len(LESSONS):
            page.get_by_role("button", name=f"Next: {LESSONS[number].short}").click()
            page.wait_for_url(f"**lesson={number + 1}*")
    assert page.get_by_role("button", name="Next").is_disabled()

    page.get_by_role("button", name="Present").click()
    page.wait_for_url("**present=1*")
    settled(visitor)
    expect(page.get_by_role("link", name="Distil", exact=True)).to_be_hidden()
    assert page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") > 18
    presented = page.url
    visitor.open(presented)  # a link opens the same, and the way out is there
    settled(visitor)
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("link", name="Distil", exact=True)).to_be_visible()
    assert "present" not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_every_step_fits_and_is_for_everyone(scheme: str, width: str, server: str, chromium: Browser) -> None:
    tab = Visitor(chromium, scheme, WIDE if width == "wide" else NARROW, still=True)
    found = {}
    for number, lesson in enumerate(LESSONS, start=1):
        tab.open(f"{server}/learn?lesson={number}&broken={lesson.switches[-1][0]}")
        settled(tab)
        tab.page.wait_for_timeout(500)
        tab.keep(f"learn-{number}-{scheme}-{width}")
        if (number, scheme, width) == (4, "light", "wide"):
            tab.picture("learn")
        assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), number
        found[number] = tab.violations()
    tab.open(f"{server}/learn?lesson=2&present=1")
    settled(tab)
    tab.keep(f"learn-present-{scheme}-{width}")
    found[0] = tab.violations()
    tab.close()
    assert not any(found.values()), found
