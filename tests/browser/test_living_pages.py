"""Pages that wait for an event update themselves when it happens."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

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

REFRESHED_AFTER_ITS_END = """() => {
    const page = document.getElementById("execution");
    let open = page.dataset.streams.split(" ").length;
    page.addEventListener("logend", () => open--);
    window.refreshedAfterItsEnd = new Promise(
        (done) => page.addEventListener("refresh", () => open || done())
    );
}"""
"""The promise of a refresh after all streams of a run have ended."""


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


def test_a_run_that_ends_while_its_page_is_fetched_is_shown_ended(
    visit: Visit, engine: Engine
) -> None:
    run = engine.start(summary="Ends meanwhile")
    page = visit().page
    page.goto(f"/executions/{run}")
    page.evaluate(REFRESHED_AFTER_ITS_END)
    again = re.compile(rf"/executions/{run}\?seen=")

    def end_meanwhile(route: Route) -> None:
        before = route.fetch()
        engine.finish(run)
        page.evaluate("refreshedAfterItsEnd")
        route.fulfill(response=before)

    page.route(again, end_meanwhile, times=1)
    engine.report(run, ("action", {"Markdown": {"body": "Half of it"}}))

    expect(page.locator("h1 + .status")).to_have_text("finished")


@pytest.mark.parametrize("is_focused", [False, True], ids=["under the pointer", "focused"])
def test_a_part_in_use_is_renewed_when_it_is_left(
    visit: Visit, engine: Engine, is_focused: bool
) -> None:
    inputs = {f"input {number}": "so tall that the pointer stays on it" for number in range(30)}
    run = engine.start(summary="Looked at", inputs=inputs)
    engine.make_file(run, "first.txt", b"1")
    page = visit().page
    page.goto(f"/executions/{run}")
    part = page.locator(".run-side")
    link = part.get_by_role("link", name="first.txt")
    link.focus() if is_focused else part.locator(".inputs").hover()

    engine.make_file(run, "second.txt", b"2")
    engine.finish(run)
    expect(page.locator("h1 + .status")).to_have_text("finished")
    expect(part.get_by_role("link", name="second.txt")).to_have_count(0)
    link.blur() if is_focused else page.mouse.move(0, 0)

    expect(part.get_by_role("link", name="second.txt")).to_be_visible()


def test_a_part_that_a_finger_touched_is_renewed(
    chromium: Browser, base_url: str, session_state: Any, engine: Engine
) -> None:
    run = engine.start(summary="Touched", inputs={"topic": "wool"})
    context = chromium.new_context(
        base_url=base_url, storage_state=session_state, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(f"/executions/{run}")
    part = page.locator(".run-side")
    part.locator(".inputs").tap()

    engine.make_file(run, "first.txt", b"1")
    engine.finish(run)

    expect(part.get_by_role("link", name="first.txt")).to_be_visible()
    context.close()


def test_lines_written_before_the_log_was_opened_are_shown_once_and_in_order(
    visit: Visit, engine: Engine
) -> None:
    run = engine.start(summary="Writes much")
    page = visit().page
    page.goto(f"/executions/{run}")
    for part in range(4):
        engine.report(run, *[("stdout", f"line {300 * part + number}") for number in range(300)])
    expect(page.locator(".band [data-last-line]")).to_have_text("line 1199")

    page.get_by_role("button", name="Open").click()
    lines = page.locator(".log-line")
    expect(lines.first).to_be_visible(timeout=15_000)
    engine.report(run, ("stdout", "the last line"))
    expect(lines.filter(has_text="the last line")).to_be_visible()

    numbers = lines.evaluate_all("lines => lines.map(line => Number(line.id.slice(5)))")
    assert numbers == list(range(numbers[-1] - 1000, numbers[-1] + 1))


def test_the_page_of_a_new_secret_reports_its_first_token(visit: Visit, base_url: str) -> None:
    page = visit("/agents").page
    register(page, "first-token@agents.example.com")
    agent = page.url.rsplit("/", 1)[-1]
    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("button", name="Create credential").click()
    status, shown = page.locator("#first-token"), page.locator(".secret .copy-field code").first
    expect(status).to_contain_text("Waiting for the first token")
    secret = shown.inner_text()

    ask_for_token(base_url, agent, secret)

    expect(status).to_contain_text("First token received", timeout=15_000)
    expect(shown).to_have_text(secret)


def test_the_overview_refreshes_itself_but_not_while_a_menu_is_open(
    visit: Visit, engine: Engine
) -> None:
    page = visit().page
    page.clock.install()
    page.goto("/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    waiting, more = page.locator(".waiting-runs"), page.locator("#more-findings")
    more.get_by_text("more", exact=False).first.click()
    page.mouse.move(0, 0)
    long_ago = datetime.now(UTC) - timedelta(days=60)  # The page shows those that waited longest.
    run = engine.start(summary="Approve the invoice", startedAt=long_ago.isoformat())
    engine.report(run, ("lock", {"lid": "one"}), at=long_ago)

    page.locator("summary", has_text="CSV").click()
    page.clock.run_for(40_000)
    page.evaluate("fetch('/static/img/favicon.svg').then((answer) => answer.status)")
    assert [url for url in asked if "seen=" in url] == []
    page.keyboard.press("Escape")
    page.clock.run_for(1_000)

    expect(waiting).to_contain_text("Approve the invoice")
    expect(more).to_have_attribute("open", "")
    engine.finish(run)
    page.clock.run_for(31_000)
    expect(waiting).not_to_contain_text("Approve the invoice")
