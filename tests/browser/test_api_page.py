"""The API page: a third-party widget in our colours and type, with access to the session."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import serious_issues
from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser

FOREIGN = """() => {
  const named = (element) =>
    getComputedStyle(element).fontFamily.split(",")[0].trim().replaceAll('"', "");
  const ours = [named(document.body), "ui-monospace"];
  const says = (element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const of = (element) => element.tagName + "." + element.getAttribute("class");
  return [...document.querySelectorAll("#swagger-ui :is(*, input, select, textarea)")]
    .filter((element) => (says(element) || "value" in element) && element.checkVisibility())
    .filter((element) => !ours.includes(named(element)))
    .map((element) => of(element) + ": " + named(element));
}"""
FAINT = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => parts(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (parts(colour).length < 4 || parts(colour)[3] > 0.9) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll("#swagger-ui svg:not(.svg-assets) :is(path, rect)")]
    .filter((shape) => shape.closest("svg").checkVisibility())
    .map((shape) => [
      shape.closest("button, a, div").className,
      light(getComputedStyle(shape).fill),
      light(behind(shape)),
    ])
    .filter(([, a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 3)
    .map(([where]) => where);
}"""
ARROWS = """() => [...document.querySelectorAll("#swagger-ui select")]
  .filter((field) => getComputedStyle(field).backgroundImage.includes("svg"))
  .map((field) => field.className)"""


def operation(page: Page, path: str, method: str = "get") -> Locator:
    found = page.locator(f".opblock-{method}", has=page.locator(f"[data-path='{path}']"))
    found.locator(".opblock-summary-control").click()
    found.get_by_role("button", name="Try it out").click()
    return found


def open_dialog(page: Page) -> None:
    page.locator("summary", has_text="Authorize").click()
    page.get_by_role("button", name="Tokens and secrets").click()


def faults_of(page: Page) -> list[Any]:
    found = [fault for script in (FOREIGN, FAINT, ARROWS) for fault in page.evaluate(script)]
    return found + serious_issues(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_part_has_our_type_and_can_be_seen(visit: Visit, dark: bool) -> None:
    page = visit("/docs", dark=dark).page
    page.locator(".opblock").first.wait_for()
    operation(page, "/api/dashboard/running-agents")
    operation(page, "/api/v1/agents", "post")
    operation(page, "/api/v1/agents/{agentId}")

    assert faults_of(page) == []
    open_dialog(page)
    page.locator(".dialog-ux .modal-ux").wait_for()
    assert faults_of(page) == []
    labels = page.locator(".dialog-ux label")
    assert all(label.is_visible() for label in labels.all())


def test_reading_executions_needs_no_token(visit: Visit) -> None:
    visitor = visit("/docs")
    page = visitor.page
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))
    for path, answer in (("/api/dashboard/agent-stats", "200"), ("/api/v1/agents", "401")):
        here = operation(page, path)
        here.get_by_role("button", name="Execute").click()
        expect(here.locator(".live-responses-table .response-col_status").last).to_contain_text(
            answer
        )

    [opened] = [each for each in asked if each.url.endswith("/api/dashboard/agent-stats")]
    assert "authorization" not in opened.all_headers()
    visitor.complaints.clear()  # Chromium reports the 401 itself


def test_requests_are_sent_as_the_person_after_a_click(visit: Visit) -> None:
    page = visit("/docs").page
    menu = page.locator("summary", has_text="Authorize")
    as_me = page.get_by_role("button", name="As Ada Winter")
    menu.click()
    as_me.click()

    expect(page.get_by_role("status").filter(has_text="Authorized as Ada Winter")).to_be_visible()
    here = operation(page, "/api/v1/agents")
    here.get_by_role("button", name="Execute").click()
    expect(here.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    menu.click()
    expect(as_me).to_be_hidden()
    page.get_by_role("button", name="Tokens and secrets").click()
    page.locator(".dialog-ux").get_by_role("button", name="Logout").click()
    page.get_by_role("button", name="Close").first.click()
    menu.click()
    expect(as_me).to_be_visible()


def test_one_button_authorizes(visit: Visit) -> None:
    page = visit("/docs").page
    page.locator(".opblock").first.wait_for()

    offers = page.locator(":is(summary, button)", has_text="Authorize").filter(visible=True)
    expect(offers).to_have_count(1)
    open_dialog(page)

    expect(page.locator(".dialog-ux").get_by_role("button", name="Authorize")).to_have_count(3)
