"""Pages that wait for something change by themselves when it comes."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, manage, sign_in
from tests.browser.engine import Engine
from tests.browser.test_walk import ask_for_token, register, secret_on

pytestmark = pytest.mark.browser
SOON = 15_000
"""Milliseconds: the pages ask every few seconds."""


def test_the_first_pages_react_to_the_first_token(
    visit: Visit, base_url: str, own_database: None
) -> None:
    made = manage("create_organization", "--name=Fresh", "--owner-email=fresh@example.com")
    password = re.search(r"Password +(\S+)", made)
    assert password
    page = visit(stranger=True).page
    sign_in(page, "fresh@example.com", password[1])
    expect(page.get_by_text("waiting for the first token")).to_be_visible()
    overview = page.context.new_page()
    overview.goto("/")

    register(page, "first@agents.example.com")
    client_id = page.url.rpartition("/")[2]
    expect(overview.locator(".step-done")).to_have_count(1, timeout=SOON)
    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("button", name="Make the credential").click()
    expect(overview.locator(".step-done")).to_have_count(2, timeout=SOON)
    expect(page.locator("#first-use")).to_contain_text("Waiting for the first token")

    ask_for_token(base_url, client_id, secret_on(page))

    expect(page.locator("#first-use")).to_contain_text("First token received", timeout=SOON)
    expect(overview.locator(".message-good")).to_contain_text("by first", timeout=SOON)
    expect(overview.get_by_text("Three steps to the first token")).to_have_count(0)


def test_the_tab_and_the_figures_follow_a_live_run(visit: Visit, engine: Engine) -> None:
    run = engine.start(summary="Followed")
    page = visit().page
    page.goto(f"/executions/{run}/log")
    icon = page.locator("link[rel=icon]")
    events = page.locator(".figure", has_text="Events").locator(".figure-value")
    expect(page).to_have_title(re.compile("^Running: "))
    expect(icon).to_have_attribute("href", re.compile("favicon-running"))
    before = int(events.inner_text())

    engine.tell(run, *[("stdout", f"line {number}") for number in range(7)])
    expect(events).to_have_text(str(before + 7))
    engine.tell(run, ("lock", {"lid": "one"}))
    engine.finish(run)

    expect(page).to_have_title(re.compile("^Finished: "))
    expect(icon).to_have_attribute("href", re.compile("favicon-finished"))
