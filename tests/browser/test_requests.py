"""The page of requests: from a finding to its cause, with a mouse, the keyboard, and no script."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import serious_issues
from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser


def look(page: Page) -> None:
    """Follow the overview's finding about a spike."""
    page.locator(".finding a[href*='finding=token_spike']").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Requests")


def test_a_finding_leads_to_what_its_requests_have_in_common(visit: Visit) -> None:
    page = visit("/").page
    look(page)

    expect(page.locator(".finding")).to_contain_text("its typical day")
    for action in ("Rotate", "Revoke", "Suspend"):
        expect(page.locator(".finding").get_by_role("link", name=action)).to_be_visible()
    expect(page.locator(".chip")).to_have_count(3)
    assert serious_issues(page) == []

    page.locator(".finding").get_by_role("link", name="Revoke").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Revoke the credential ")


def test_a_value_is_excluded_by_mouse_and_keyboard(visit: Visit) -> None:
    page = visit("/tokens?days=30").page
    row = page.locator("section[aria-labelledby=ranked-agents] .rank").first
    sign = row.get_by_role("link", name=re.compile("^Exclude"))

    expect(sign).to_have_css("opacity", "0")
    row.hover()
    expect(sign).to_have_css("opacity", "1")
    page.mouse.move(0, 0)
    row.locator("a.rank-value").focus()
    expect(sign).to_have_css("opacity", "1")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator(".chip")).to_contain_text("agent is not")
    expect(page.locator(".rank-excluded")).to_have_count(1)
    assert "not_agent=" in page.url


def test_the_keyboard_zooms_into_a_part_of_the_day_and_keeps_the_filters(visit: Visit) -> None:
    page = visit("/").page
    look(page)
    page.locator(".chart-points a").last.focus()

    for key in ("Shift+ArrowLeft", "Shift+ArrowLeft", "Enter"):
        page.keyboard.press(key)

    page.wait_for_url(re.compile("from="))
    assert {"agent=", "outcome=", "to=", "finding="} <= set(re.findall(r"\w+=", page.url))
    assert "date=" not in page.url


def test_a_line_opens_in_place_without_a_script(visit: Visit) -> None:
    page = visit("/", scripts=False).page
    look(page)
    first = page.locator("table.lines tbody a.row-link").first

    first.click()

    expect(page.locator("table.lines a[aria-expanded=true]")).to_have_count(1)
    assert page.locator("table.lines .line-part").count() > 10
    page.locator("table.lines a[aria-expanded=true]").click()
    expect(page.locator("table.lines .line-part")).to_have_count(0)


def test_on_a_phone_nothing_is_wider_than_the_screen(visit: Visit) -> None:
    page = visit("/", phone=True).page
    look(page)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert serious_issues(page) == []
