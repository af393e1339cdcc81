"""Pages that wait for an event update themselves when it happens."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.engine import Engine
from tests.browser.steps import ask_for_token, register

pytestmark = pytest.mark.browser

HIDE_AND_SHOW = """
    for (const isHidden of [true, false]) {
      Object.defineProperty(document, "hidden", { get: () => isHidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }
"""


def test_the_tab_and_the_figures_follow_a_live_run(visit: Visit, engine: Engine) -> None:
    run = engine.start(summary="Followed")
    page = visit().page
    page.goto(f"/executions/{run}/log")
    icon = page.locator("link[rel=icon]")
    events = page.locator("[data-last-sequence]")
    expect(page).to_have_title(re.compile("^Running: "))
    expect(icon).to_have_attribute("href", re.compile("favicon-running"))
    before = int(events.inner_text())

    engine.report(run, *[("stdout", f"line {number}") for number in range(7)])
    expect(events).to_have_text(str(before + 7))
    engine.report(run, ("lock", {"lid": "one"}))
    engine.finish(run)

    expect(page).to_have_title(re.compile("^Finished: "))
    expect(icon).to_have_attribute("href", re.compile("favicon-finished"))


def test_the_log_says_when_its_run_was_last_heard_from(visit: Visit, engine: Engine) -> None:
    run = engine.start(summary="Heard from")
    engine.report(run, ("stdout", "first"))
    page = visit().page
    page.clock.install()
    page.goto(f"/executions/{run}/log")
    foot = page.locator(".page-foot")
    expect(foot).to_contain_text("Last heard from")
    page.clock.run_for(40_000)
    expect(foot).to_contain_text("s ago")

    engine.report(run, ("stdout", "second"))
    expect(page.locator("[data-log]")).to_contain_text("second")
    expect(foot).to_contain_text("Last heard from just now")
    engine.finish(run)

    expect(foot).not_to_contain_text("Last heard")


def test_an_error_of_a_run_is_a_line_of_its_log_and_no_lost_connection(
    visit: Visit, engine: Engine
) -> None:
    run = engine.start(summary="Goes on")
    page = visit().page
    page.goto(f"/executions/{run}/log")
    expect(page.locator("[data-log-waiting]")).to_be_visible()

    engine.report(run, ("error", "ValueError: a row without an amount"), ("stdout", "next row"))

    expect(page.locator(".log-text")).to_have_text(
        ["ValueError: a row without an amount", "next row"]
    )
    expect(page.locator("[data-connection]")).to_be_hidden()


def test_a_log_goes_on_after_a_lost_connection(visit: Visit, engine: Engine) -> None:
    run = engine.start(summary="Interrupted")
    engine.report(run, ("stdout", "before"))
    page = visit().page
    streams = re.compile(r"/outputs/.*since=")
    asked: list[str] = []

    def end_at_once(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(content_type="text/event-stream", body="retry: 100\n\n")

    page.route(streams, end_at_once)
    page.goto(f"/executions/{run}/log")
    expect(page.locator("[data-connection]")).to_contain_text("Connection lost")
    page.evaluate(HIDE_AND_SHOW)  # a tab that comes back asks anew, from where it was
    engine.report(run, ("stdout", "meanwhile"))
    page.unroute(streams)

    expect(page.locator(".log-text")).to_have_text(["before", "meanwhile"])
    expect(page.locator("[data-connection]")).to_be_hidden()
    assert [url for url in asked if not re.search(r"since=\d+$", url)] == []


def test_the_page_of_a_new_secret_reports_its_first_token(visit: Visit, base_url: str) -> None:
    page = visit("/agents").page
    register(page, "first-token@agents.example.com")
    agent = page.url.rsplit("/", 1)[-1]
    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("button", name="Create credential").click()
    status, shown = page.locator("#first-use"), page.locator(".secret .copy-field code").first
    expect(status).to_contain_text("Waiting for the first token")
    secret = shown.inner_text()

    ask_for_token(base_url, agent, secret)

    expect(status).to_contain_text("First token received", timeout=15_000)
    expect(shown).to_have_text(secret)
