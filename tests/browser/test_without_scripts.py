"""Without JavaScript, every button that ends something asks for confirmation."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.steps import register

pytestmark = pytest.mark.browser


def answer(
    page: Page, button: str, title: str | re.Pattern[str], verb: str, fold: str = ""
) -> None:
    """Click the button, cancel once, then click it again and confirm. It may be in a fold."""
    opener = page.get_by_role("link", name=button).first
    if fold:
        page.locator(fold).click()
    opener.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.get_by_role("link", name="Cancel").click()
    if fold:
        page.locator(fold).click()
    opener.click()
    page.get_by_role("button", name=verb).click()


def test_each_end_in_the_life_of_an_agent_is_asked_for(visit: Visit) -> None:
    page = visit(scripts=False).page
    register(page, "no-script@agents.example.com")
    agent_url = page.url
    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("button", name="Create credential").click()
    page.goto(agent_url)

    credential, danger = "details.credential > summary", ".fold > summary"
    revoking = re.compile("^Revoke the credential …")
    answer(page, "Revoke", revoking, "Revoke credential", credential)
    expect(page.get_by_role("status").first).to_contain_text("is revoked")
    answer(page, "Suspend", "Suspend this agent?", "Suspend agent", danger)
    expect(page.locator("h1 + .status")).to_contain_text("suspended")
    answer(page, "Reactivate", "Reactivate this agent?", "Reactivate agent")
    expect(page.locator("h1 + .status")).to_contain_text("active")
    answer(page, "Decommission", "Decommission this agent?", "Decommission agent", danger)
    expect(page.locator("h1 + .status")).to_contain_text("decommissioned")


def test_withdrawing_an_invitation_is_asked_for(visit: Visit) -> None:
    page = visit("/members", scripts=False).page
    page.get_by_label("Email address").fill("not-now@example.com")
    page.get_by_role("button", name="Create link").click()

    row = page.get_by_role("row", name="not-now@example.com")
    row.get_by_role("link", name="Withdraw").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Withdraw this invitation?")
    page.get_by_role("button", name="Withdraw the invitation").click()

    expect(page.get_by_role("status").first).to_contain_text("was withdrawn")


def test_deleting_a_run_is_asked_for(visit: Visit) -> None:
    visitor = visit("/executions?hours=999999&status=finished", scripts=False)
    page = visitor.page
    page.locator("tbody a.row-link").first.click()
    run_url = page.url

    answer(page, "Delete", "Delete this run?", "Delete run")

    expect(page).to_have_url(re.compile("/executions$"))
    expect(page.get_by_role("status").first).to_contain_text("was deleted")
    page.goto(run_url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    visitor.complaints.clear()  # Chromium reports the 404 itself
