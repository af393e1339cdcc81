"""Times in the zone of the browser, or of the organization if the account menu says so."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import sign_in

pytestmark = pytest.mark.browser


def test_times_are_the_browsers_from_the_first_page_on_until_somebody_chooses(
    base_url: str, credential: dict[str, str], chromium: Browser
) -> None:
    context = chromium.new_context(base_url=base_url, timezone_id="Asia/Tokyo")
    page = context.new_page()
    header = page.locator(".page-context")

    sign_in(page)
    expect(header).to_contain_text("Asia/Tokyo")
    page.goto("/executions")
    expect(header).to_contain_text("Asia/Tokyo")
    page.locator(".account summary").click()
    page.get_by_role("group", name="Time zone").get_by_role("button", name="UTC").click()
    expect(header).to_contain_text("UTC")
    page.goto("/tokens")
    expect(header).to_contain_text("UTC")
    page.locator(".account summary").click()
    page.get_by_role("button", name="As this browser").click()
    expect(header).to_contain_text("Asia/Tokyo")
    context.close()
