"""The command palette, by keyboard alone."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.accessibility import serious_issues
from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser


def opened(page: Page, text: str = "") -> Any:
    page.keyboard.press("ControlOrMeta+k")
    field = page.get_by_role("combobox", name="Search or jump to")
    expect(field).to_be_focused()
    if text:
        page.keyboard.type(text)
    return field


def options(page: Page, name: str | re.Pattern[str] | None = None) -> Locator:
    return page.get_by_role("listbox", name="Results").get_by_role("option", name=name)


def test_a_page_is_opened_with_a_chord_some_letters_and_enter(visit: Visit) -> None:
    page = visit("/").page

    opened(page, "audi")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("Audit")


def test_an_action_on_an_agent_is_found_by_its_verb(visit: Visit) -> None:
    page = visit("/").page

    opened(page, "rotate ingest")
    option = options(page, re.compile("^Rotate ingest-router"))
    expect(option.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("Rotate the secret")


def test_arrows_move_the_active_option_and_escape_gives_the_focus_back(visit: Visit) -> None:
    page = visit("/agents").page
    row = page.locator("tbody a.row-link").first
    row.focus()
    field = opened(page)
    found = options(page)
    expect(found.nth(0)).to_have_attribute("aria-selected", "true")

    page.keyboard.press("ArrowDown")
    expect(found.nth(1)).to_have_attribute("aria-selected", "true")
    expect(found.nth(0)).to_have_attribute("aria-selected", "false")
    assert field.get_attribute("aria-activedescendant") == found.nth(1).get_attribute("id")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(found.last).to_have_attribute("aria-selected", "true")
    expect(found.last).to_be_in_viewport()
    expect(field).to_be_focused()

    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    expect(row).to_be_focused()


def test_enter_before_the_rows_have_come_waits_for_them(visit: Visit) -> None:
    page = visit("/").page
    waiting: list[Route] = []
    page.route(re.compile(r"/jump\?q="), lambda route: waiting.append(route))
    field = opened(page)
    expect(options(page).first).to_be_visible()

    with page.expect_request(lambda each: "q=members" in each.url):
        field.fill("members")
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/$"))
    for route in waiting:
        route.continue_()

    expect(page.get_by_role("heading", level=1)).to_have_text("Members")


def test_what_was_opened_last_comes_first(visit: Visit) -> None:
    page = visit("/").page
    opened(page, "resources")
    expect(options(page, "Resources Page")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Resources")

    opened(page)

    expect(options(page).first).to_contain_text("Resources")
    expect(options(page, "Resources Page")).to_have_count(1)
    kept = page.evaluate(
        "Object.entries(localStorage).filter(([key]) => key.startsWith('recent:'))"
    )
    [(_, text)] = kept
    assert json.loads(text) == [{"label": "Resources", "kind": "Page", "url": "/resources"}]


def test_a_kept_address_elsewhere_is_not_followed(visit: Visit) -> None:
    page = visit("/").page
    key = page.locator("#palette").get_attribute("data-recent")
    bad = [{"label": "X", "kind": "Page", "url": url} for url in ("//evil.example", "javascript:1")]
    page.evaluate("([key, kept]) => localStorage.setItem(key, kept)", [key, json.dumps(bad)])

    opened(page)

    expect(options(page, "Overview Page")).to_be_visible()
    expect(options(page, "X Page")).to_have_count(0)


def test_single_key_shortcuts_that_are_off_leave_the_chord(visit: Visit) -> None:
    page = visit("/").page
    page.evaluate("localStorage.setItem('shortcuts', 'off')")
    page.reload()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()

    opened(page)

    expect(options(page).first).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_accessible(visit: Visit, dark: bool) -> None:
    page = visit("/agents", dark=dark).page
    opened(page, "crm")
    expect(options(page, "crm-sync Agent")).to_be_visible()

    assert serious_issues(page) == []


def test_on_a_phone_it_is_opened_from_the_menu(visit: Visit) -> None:
    page = visit("/agents", phone=True).page
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Jump to").click()
    page.keyboard.type("crm")
    expect(options(page, "crm-sync Agent")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = page.locator("#palette").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360


def test_a_lost_session_is_said(visit: Visit) -> None:
    visitor = visit("/")
    visitor.page.context.clear_cookies()

    opened(visitor.page)

    expect(visitor.page.locator(".palette-note")).to_contain_text("did not respond")
