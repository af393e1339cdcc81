"""Pages that wait for something change by themselves when it comes."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.engine import Engine

pytestmark = pytest.mark.browser


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
