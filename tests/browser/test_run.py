"""One execution in the browser: it is watched, left alone, and stopped."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, steps_in
from tests.browser.engine import HOSTILE, Engine
from tests.browser.steps import set_hidden

pytestmark = pytest.mark.browser


def test_a_run_is_watched_from_its_first_word_to_its_end(visit: Visit, engine: Engine) -> None:
    execution = engine.start(summary="Watched")
    page = visit().page
    page.goto(f"/executions/{execution}/log")
    expect(page.locator("[data-log-waiting]")).to_be_visible()

    lines = [("stdout", f"line {number} \x1b[31m{HOSTILE}") for number in range(60)]
    engine.report(execution, *lines)

    expect(page.locator(".log-line")).to_have_count(60)
    expect(page.locator(".log-line").last).to_contain_text(f"line 59 {HOSTILE}")
    expect(page.locator(".log-line").last).to_be_in_viewport()
    engine.report(execution, ("stdout", "Read\n" + "".join(f"\r{n} %" for n in range(0, 101, 10))))
    expect(page.locator(".log-line .log-text").last).to_have_text(re.compile(r"^Read\n100 %$"))
    page.get_by_label("Find in the log").fill("line 5")
    expect(page.locator("output")).to_have_text("11 of 61 lines")
    page.keyboard.press("Escape")
    expect(page.locator("output")).to_be_empty()
    page.get_by_role("link", name="The run").click()
    drawer = page.locator("[data-log-drawer]")
    expect(drawer.locator("[data-last-line]")).to_have_text(re.compile("100 %$"))
    engine.report(execution, ("stderr", "slow answer"))
    expect(page.locator(".band [data-last-line]")).to_have_text("slow answer")
    drawer.get_by_role("button", name="Open").click()
    expect(drawer.locator(".log-line").last).to_have_text(re.compile("slow answer"))
    engine.report(execution, ("stdout", "line 60"))
    expect(drawer.locator(".log-line").last).to_contain_text("line 60")
    page.keyboard.press("/")
    page.keyboard.type("line 5")
    expect(drawer.locator("output")).to_have_text("11 of 63 lines")
    page.keyboard.press("Escape")
    drawer.get_by_label("Find in the log").fill("")
    drawer.get_by_role("button", name="Jump to the error").click()
    expect(drawer.locator(".is-linked")).to_contain_text("slow answer")
    page.keyboard.press("Enter")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(rf"/executions/{execution}/log\?line=(\d+)#line-\1$", copied)
    page.keyboard.press("Escape")
    expect(drawer.locator(".log")).to_be_hidden()
    engine.report(execution, ("result", {"Markdown": {"body": "**Half of it**"}}))
    expect(steps_in(page).locator(".run-step strong")).to_have_text("Half of it")
    engine.finish(execution, final={"Text": {"body": "All of it"}})
    expect(page.locator(".card-result")).to_contain_text("All of it")
    expect(page.locator("h1 + .status")).to_have_text("finished")

    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete run").click()

    expect(page).to_have_url(re.compile("/executions$"))
    expect(page.get_by_role("status").first).to_contain_text("was deleted")


def test_a_hidden_run_rests_and_goes_on_where_it_was(visit: Visit, engine: Engine) -> None:
    execution = engine.start(summary="Looked away from")
    page = visit().page
    is_stream = re.compile(f"/outputs/main/{execution}")
    with page.expect_response(is_stream):
        page.goto(f"/executions/{execution}")

    with page.expect_event("requestfailed", lambda request: execution in request.url):
        set_hidden(page, True)
    engine.report(execution, ("result", {"Markdown": {"body": "**Meanwhile**"}}))
    with page.expect_response(is_stream) as resumed:
        set_hidden(page, False)

    expect(steps_in(page).locator(".run-step strong")).to_have_text("Meanwhile")
    assert "since=2" in resumed.value.url
    engine.finish(execution)


def test_a_live_run_is_stopped_with_a_question(visit: Visit, engine: Engine) -> None:
    execution = engine.start(summary="Too long")
    page = visit().page
    page.goto(f"/executions/{execution}")

    page.get_by_role("button", name="Stop").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Stop run").click()

    expect(page.locator("h1 + .status")).to_have_text("cancelled")
    expect(page.get_by_role("status").first).to_contain_text("was stopped")
