"""Pages are set in the font that they ship, and stay where they are while it loads."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit, result_in
from tests.browser.engine import Engine

pytestmark = pytest.mark.browser
PATHS = ["/login", "/", "/agents", "/audit", "/executions", "/docs", "/admin/"]
SHIFTS = """window.shift = 0; new PerformanceObserver((list) => {
  for (const each of list.getEntries()) window.shift += each.value;
}).observe({ type: "layout-shift", buffered: true });"""


def faces_of(page: Page, selector: str) -> set[str]:
    """The typefaces that Chromium really drew the element in."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    node = devtools.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    found = devtools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
    return {font["familyName"] for font in found if font["isCustomFont"]}


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_set_in_the_font_that_they_ship(visit: Visit, path: str) -> None:
    page = visit(path, stranger=path == "/login").page
    page.goto(path)  # A first visit does not wait for the font: by now it is in the cache.
    page.evaluate("document.fonts.ready")

    assert faces_of(page, "h1") == {"Inter"}


def test_output_of_agents_is_set_in_it_too(visit: Visit, engine: Engine) -> None:
    run = engine.start(summary="Weekly report")
    engine.finish(run, final={"Markdown": {"body": "# Wool got dearer\n\nBy **4 %**."}})
    visitor = visit(f"/executions/{run}")

    body = result_in(visitor.page).locator("body")

    family = body.evaluate("(body) => getComputedStyle(body).fontFamily")
    assert family.startswith("Inter")
    assert visitor.page.frames[1].evaluate("document.fonts.ready.then(() => document.fonts.size)")
    assert visitor.page.frames[1].evaluate("document.fonts.check('15px Inter')")


def test_a_slow_line_shows_the_overview_soon_and_moves_nothing(visit: Visit) -> None:
    """50 kB/s: the font is late, so this page stays in the system's typeface."""
    page = visit("/login").page
    page.add_init_script(SHIFTS)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.clearBrowserCache")
    line: dict[str, Any] = {"downloadThroughput": 50_000, "uploadThroughput": 50_000}
    devtools.send("Network.emulateNetworkConditions", {"offline": False, "latency": 40, **line})
    loaded: list[int] = []
    devtools.on("Network.loadingFinished", lambda each: loaded.append(each["encodedDataLength"]))

    page.goto("/")

    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shift") < 0.01
    assert sum(loaded) < 120_000  # 2.4 s of the line, the compressed page included
