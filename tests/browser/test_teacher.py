"""A teacher in a real browser: Learn from the first step to the last, predicting, breaking, presenting."""

from __future__ import annotations

import pytest
from browser_tools import Visitor
from playwright.sync_api import expect

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
    expect(page.get_by_role("button", name="Next")).to_have_count(0)
    expect(page.get_by_role("link", name="Distil a log")).to_be_visible()

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
