"""Every page is accessible, in both themes and on all screen sizes."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import COLOURS, serious_issues
from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser

PAGES = {
    "overview": "/",
    "overview of refused requests": "/?days=90&outcome=refused",
    "agents": "/agents",
    "no agent": "/agents?q=nobody-is-called-this",
    "register": "/agents/new",
    "agent": "/agents?q=ingest-router",
    "requests": "/tokens",
    "requests one by one": "/tokens?each=1",
    "requests without an outcome": "/tokens?not_reason=wrong_secret&days=30",
    "requests of an hour": "/tokens?days=30&dow=2&hour=9&outcome=requests",
    "resources": "/resources",
    "resource": "/resources",
    "register a resource": "/resources/new",
    "audit": "/audit",
    "snoozed findings": "/findings/snoozed",
    "save a view": "/views/new?list=executions&query=status%3Derror",
    "members": "/members",
    "settings": "/settings",
    "api": "/docs",
    "not found": "/nothing-here",
}
EACH_PAGE = pytest.mark.parametrize("name", PAGES)
EACH_THEME = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


def open_page(visit: Visit, name: str, **how: Any) -> Page:
    visitor = visit(PAGES[name], **how)
    if name in {"agent", "resource"}:
        visitor.page.locator("tbody a").first.click()
        visitor.page.wait_for_load_state("networkidle")
    if name == "api":
        visitor.page.locator(".opblock").first.wait_for()
    if name == "not found":
        visitor.complaints.clear()  # Chromium reports the 404 itself
    return visitor.page


@EACH_PAGE
def test_axe_finds_no_serious_issue(visit: Visit, name: str) -> None:
    page = open_page(visit, name)

    assert serious_issues(page) == []


@EACH_PAGE
def test_the_dark_theme_is_dark_and_its_text_can_be_read(visit: Visit, name: str) -> None:
    page = open_page(visit, name, dark=True)

    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(21, 22, 20)"
    assert serious_issues(page, rules=COLOURS) == []


@EACH_THEME
def test_axe_finds_no_serious_issue_in_the_sign_in(visit: Visit, dark: bool) -> None:
    page = visit("/login", dark=dark, stranger=True).page

    assert serious_issues(page) == []


@EACH_PAGE
def test_a_phone_never_scrolls_sideways(visit: Visit, name: str) -> None:
    page = open_page(visit, name, phone=True)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
