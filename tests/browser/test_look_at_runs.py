"""A look at a run beside the list, in the browser."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.accessibility import serious_issues
from tests.browser.conftest import PHONE, Visit

pytestmark = pytest.mark.browser


def test_space_shows_a_run_beside_the_list_and_the_list_keeps_its_place(
    visit: Visit, finished: str, failed: str
) -> None:
    page = visit("/executions?hours=168").page
    panel = page.get_by_role("complementary", name="A look at the run")
    rows = page.locator("tbody tr")
    links = page.locator("tbody a.row-link")
    place = rows.nth(1).bounding_box()

    page.keyboard.press("j")
    page.keyboard.press("Space")
    expect(panel.get_by_role("heading", level=2)).to_have_text(links.nth(0).inner_text())
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(panel.get_by_role("link", name="Open").first).to_have_attribute(
        "href", str(links.nth(1).get_attribute("href"))
    )
    expect(rows.nth(1)).to_have_class(re.compile("chosen"))
    assert rows.nth(1).bounding_box() == place
    assert serious_issues(page) == []
    page.keyboard.press("Tab")
    expect(panel.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")

    expect(panel).to_be_hidden()
    expect(links.nth(1)).to_be_focused()


def test_a_run_is_looked_at_with_the_mouse(visit: Visit, failed: str) -> None:
    page = visit(f"/executions?search={failed}").page
    panel = page.get_by_role("complementary", name="A look at the run")

    page.locator("tbody tr").first.hover()
    page.get_by_role("button", name="Peek").click()
    expect(panel).to_contain_text("is empty")
    expect(page).to_have_url(re.compile("/executions\\?"))
    page.emulate_media(color_scheme="dark")
    assert serious_issues(page) == []
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    page.set_viewport_size(PHONE)
    page.locator("tbody a.row-link").first.focus()
    page.keyboard.press("Space")
    expect(panel).to_be_hidden()
    page.locator("tbody .clock").first.click()

    expect(page).to_have_url(re.compile(f"/executions/{failed}"))


def test_a_look_that_is_closed_before_it_has_come_shows_nothing_later(
    visit: Visit, failed: str
) -> None:
    page = visit(f"/executions?search={failed}").page
    waiting: list[Route] = []
    page.route(re.compile("/peek$"), lambda route: waiting.append(route))
    page.keyboard.press("j")
    with page.expect_request(re.compile("/peek$")):
        page.keyboard.press("Space")
    page.keyboard.press("Escape")

    page.evaluate(
        "document.getElementById('peek').addEventListener('htmx:afterRequest',"
        " ({ target }) => { target.dataset.answered = true })"
    )
    [route] = waiting
    route.continue_()

    expect(page.locator("#peek[data-answered]")).to_be_attached()
    expect(page.locator("#peek-run")).to_be_empty()
