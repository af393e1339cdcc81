"""Pages that are printed, submitted, left or reloaded."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.steps import register

pytestmark = pytest.mark.browser


def test_collapsed_sections_are_printed(visit: Visit) -> None:
    page = visit("/").page
    folded = page.locator("details.more .finding")
    assert folded.count() > 0
    assert not folded.first.is_visible()

    page.emulate_media(media="print")

    assert all(each.is_visible() for each in folded.all())
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not folded.first.is_visible()


def test_scrolled_content_is_printed_in_full(visit: Visit) -> None:
    page = visit("/executions?hours=168&status=error").page
    page.locator("tbody a").first.click()
    page.wait_for_load_state("networkidle")
    page.emulate_media(media="print")

    cut = page.evaluate(
        """() => [...document.querySelectorAll(".main *")].filter((each) =>
          each.checkVisibility() && ["auto", "scroll"].includes(getComputedStyle(each).overflowY)
          && each.scrollHeight > each.clientHeight + 1).map((each) => each.className)"""
    )

    assert cut == []


@pytest.mark.parametrize("address", ["/", "/agents →", "/executions →"])
def test_what_is_printed_does_not_lie_upon_the_next_part(visit: Visit, address: str) -> None:
    """Page breaks push parts down, and a grid or a fixed part would not move with them."""
    page = visit(address.removesuffix(" →")).page
    if address.endswith("→"):
        page.locator("tbody a.row-link").first.click()
        page.wait_for_load_state("networkidle")

    page.emulate_media(media="print")

    assert page.locator(".card").count() >= 3
    moving = page.evaluate(
        """() => [...document.querySelectorAll(".main *")].filter((each) => {
          const { position, display } = getComputedStyle(each);
          return each.checkVisibility() && (["fixed", "sticky"].includes(position)
            || (each.querySelector(".card") && display !== "block"));
        }).map((each) => each.className)"""
    )
    assert moving == []


@pytest.mark.parametrize("address", ["/executions?hours=720", "/tokens", "/agents", "/audit"])
def test_a_printed_list_has_all_columns_and_begins_on_the_first_sheet(
    visit: Visit, address: str
) -> None:
    page = visit(address).page
    rows = page.locator(".card:has(> .table-scroll)").last
    columns = [each for each in rows.locator("thead th").all() if each.is_visible()]

    page.set_viewport_size({"width": 688, "height": 1017})  # A4 within its margins
    page.emulate_media(media="print")

    assert all(each.is_visible() for each in columns)
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert rows.evaluate("card => getComputedStyle(card).breakInside") == "auto"
    assert not any(each.is_visible() for each in page.locator(".button, .menu").all())


@pytest.mark.parametrize("address", ["/", "/?days=7", "/audit", "/agents"])
def test_a_form_leaves_no_empty_parameter(visit: Visit, address: str) -> None:
    page = visit(address).page
    menu = page.locator("details.menu", has=page.locator("form.menu-form")).first
    menu.locator("summary").click()

    menu.get_by_role("button", name="Show").click()

    page.wait_for_load_state("networkidle")
    assert page.url.rstrip("?").endswith(address)


def test_an_empty_search_leaves_no_parameter(visit: Visit) -> None:
    page = visit("/agents").page
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_load_state("networkidle")

    assert parse_qs(urlsplit(page.url).query, keep_blank_values=True) == {}


def credentials_on(page: Page) -> int:
    return page.locator(".credential").count()


def test_a_secret_is_not_made_twice_by_coming_back(visit: Visit) -> None:
    page = visit("/agents").page
    register(page, "once@agents.example.com")
    agent = page.url
    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("button", name="Create credential").click()
    secret = page.locator(".secret .copy-field code").first.inner_text()
    page.wait_for_url(agent)  # which a script puts in place of the form's URL

    asked: list[Any] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    page.reload()
    assert asked == ["beforeunload"]
    expect(page.get_by_role("heading", level=1)).to_have_text("once")
    assert credentials_on(page) == 1
    assert secret not in page.content()

    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("button", name="Create credential").click()
    page.get_by_role("link", name="I have stored it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("once")
    assert asked == ["beforeunload"]
    page.go_back()
    assert not re.search(r"sk_live_\w{8}", page.content())
    page.goto(agent)
    assert credentials_on(page) == 2
