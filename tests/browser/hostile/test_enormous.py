"""Enormous output leaves the pages usable."""

import json

import pytest
from playwright.sync_api import Frame, expect

from tests.browser.conftest import Visit, steps_in
from tests.browser.engine import Engine
from tests.browser.hostile.output import ENORMOUS, MEGABYTE, TERMINAL

pytestmark = pytest.mark.browser

MAX_NODES = 60_000
"""Limit for a page: one result and all steps may have 20,000 elements each."""


def sizes(page: Frame) -> tuple[int, int]:
    """The number of nodes in the document, and of characters that it shows."""
    count = "() => [document.querySelectorAll('*').length, document.body.textContent.length]"
    nodes, characters = page.evaluate(count)
    return nodes, characters


def test_enormous_output_leaves_the_pages_usable(visit: Visit, imported: None) -> None:
    page = visit().page

    page.goto(f"/executions/{ENORMOUS}")
    expect(steps_in(page).locator(".run-step")).to_have_count(65)
    found = [sizes(frame) for frame in page.frames]
    assert 10_000 < sum(nodes for nodes, _ in found) < MAX_NODES
    assert sum(characters for _, characters in found) < 2 * MEGABYTE
    expect(page.locator(".card-result")).to_contain_text("too complex to be shown here")
    page.locator("summary", has_text="Download").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Result as JSON").click()
    raw = json.loads(saved.value.path().read_bytes())
    assert raw == {"HTML": {"body": "<b>" * 4 * MEGABYTE}}
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()

    page.locator(".log-drawer").get_by_role("button", name="Open").click()
    lines = page.locator(".log-drawer-body .log-text")
    expect(lines.first).to_have_text("x" * 4000 + " …")
    expect(lines.nth(1)).to_have_text("before link\ufffd\ufffdafter")
    expect(lines.nth(2)).to_contain_text("the end of the noise")
    assert sizes(page)[1] < MEGABYTE
    page.get_by_label("wrap lines").uncheck()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280

    page.goto(f"/executions/{ENORMOUS}/events")
    assert sizes(page)[1] < MEGABYTE
    page.goto("/executions/errors?search=ValueError")
    assert sizes(page)[1] < MEGABYTE
    page.locator(".groups a.row-link").first.click()
    expect(page.locator(".error-card").first).to_be_visible()
    assert sizes(page)[1] < MEGABYTE
    page.goto(f"/outputs/html/{ENORMOUS}")
    assert sizes(page)[1] < 100_000


TIRING = {
    "spans": {"HTML": {"body": f"<table>{'<tr><td rowspan=65534 colspan=900>x' * 6_000}</table>"}},
    "accents": {"Text": {"body": "a" + "\u0301" * 120_000}},
    "letters": {"Text": {"body": "\u1820\u180b" * 40_000}},
}
"""What took a browser between 16 seconds and minutes, and gigabytes."""


@pytest.mark.parametrize("name", TIRING)
def test_output_does_not_tire_the_browser(visit: Visit, engine: Engine, name: str) -> None:
    execution = engine.start(summary="Tiring")
    engine.report(execution, ("action", TIRING[name]), ("final", TIRING[name]))
    engine.finish(execution)
    page = visit().page
    page.set_default_timeout(10_000)

    page.goto(f"/executions/{execution}")

    expect(page.locator(".card-result")).to_be_visible()
    page.evaluate("() => new Promise(requestAnimationFrame)")


def test_a_line_of_a_megabyte_is_cut_while_it_is_watched(visit: Visit, engine: Engine) -> None:
    execution = engine.start(summary="Enormous")
    page = visit().page
    page.goto(f"/executions/{execution}/log")
    expect(page.locator("[data-log-waiting]")).to_be_visible()

    engine.report(execution, ("stdout", "x" * MEGABYTE), ("stdout", f"before {TERMINAL}after"))

    lines = page.locator(".log-text")
    expect(lines).to_have_count(2)
    shown = ["x" * 4000 + " …", "before link\ufffd\ufffdafter"]
    assert lines.all_inner_texts() == shown
    page.get_by_label("follow").uncheck()
    page.reload()
    assert lines.all_inner_texts() == shown
    engine.finish(execution)
