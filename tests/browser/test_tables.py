"""No table clips a cell: content without room ends in an ellipsis, or its column is hidden."""

import pytest

from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser

WIDTHS = (360, 390, 640, 768, 1024, 1100, 1280)
PAGES = (
    *("/", "/agents", "/tokens", "/tokens?outcome=refused", "/audit", "/members", "/resources"),
    *("/executions?hours=720", "/executions/errors?hours=720", "/executions/statistics?hours=720"),
)
LISTS = ("/agents?q=crm-sync", "/resources", "/executions?hours=720&status=error")
TOO_WIDE = """() => [...document.querySelectorAll(".table-scroll")]
  .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.getAttribute("aria-label"))"""
OVERLAPPING = """() => [...document.querySelectorAll(".table :is(th, td)")]
  .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.textContent.trim().slice(0, 60))"""

FILL = """([cell, text]) => {
  document.querySelector(`tbody ${cell}`).firstChild.textContent = text
}"""


def test_every_cell_is_whole(visit: Visit) -> None:
    page = visit("/").page
    pages = list(PAGES)
    for address in LISTS:
        page.goto(address)
        pages.append(page.locator("tbody a").first.get_attribute("href") or "")

    found = {}
    for address in pages:
        page.goto(address)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            found[address, width] = page.evaluate(TOO_WIDE) + page.evaluate(OVERLAPPING)

    assert {where: cells for where, cells in found.items() if cells} == {}


def test_the_longest_times_of_requests_fit_a_phone(visit: Visit) -> None:
    page = visit("/tokens?outcome=refused", phone=True).page
    page.evaluate(FILL, [".line-time", "30 Sep, 18:00:00 \N{EN DASH} 18:00:59"])
    page.evaluate(FILL, ["td.number.keep", "\N{MULTIPLICATION SIGN} 1,234"])

    assert page.evaluate(TOO_WIDE) + page.evaluate(OVERLAPPING) == []
