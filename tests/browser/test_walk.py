"""A walk through the product, from signing in to revoking the last secret."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, sign_in
from tests.browser.steps import ask_for_token, register, secret_on

pytestmark = pytest.mark.browser


def test_a_stranger_signs_in_and_returns_to_the_page_that_was_asked_for(visit: Visit) -> None:
    page = visit(stranger=True).page
    page.goto("/audit?outcome=failure")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")

    page.get_by_label("Email address or name").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Sign in").click()

    expect(page).to_have_url(re.compile(r"/audit\?outcome=failure$"))


def test_a_wrong_password_says_so_and_keeps_the_address(visit: Visit) -> None:
    visitor = visit(stranger=True)
    page = visitor.page

    sign_in(page, "admin", "wrong")

    expect(page.get_by_role("alert")).to_contain_text("Wrong email or password")
    expect(page.get_by_label("Email address or name")).to_have_value("admin")
    visitor.complaints.clear()  # Chromium reports the 400 itself


def test_a_click_on_a_bar_opens_exactly_its_rows(visit: Visit) -> None:
    page = visit("/").page
    point = page.locator("#tokens-per-day .chart-points a").nth(-3)
    count = re.search(r"([\d,]+) tokens", point.get_attribute("aria-label") or "")
    assert count

    point.click()

    expect(page.get_by_text(f"All {count[1]} requests")).to_be_visible()
    expect(page.locator(".chip").first).to_contain_text("day is")


def test_a_finding_links_to_its_subject(visit: Visit) -> None:
    page = visit("/").page
    finding = page.locator(".finding").first
    subject = finding.locator("strong").inner_text()

    finding.get_by_role("link", name="Look").click()

    expect(page.locator("main")).to_contain_text(subject)


def test_charts_answer_the_keyboard_and_stand_as_tables(visit: Visit) -> None:
    page = visit("/").page
    last = page.locator("#tokens-per-day .chart-points a").last
    last.focus()

    page.keyboard.press("ArrowLeft")

    expect(page.locator("#tokens-per-day .chart-points a").nth(-2)).to_be_focused()
    page.locator("#tokens-per-day").get_by_role("button", name="as table").click()
    expect(page.locator("#tokens-per-day table")).to_be_visible()


def test_an_agents_whole_life(visit: Visit, base_url: str) -> None:
    page = visit("/agents").page
    register(page, "night-watch@agents.example.com")
    expect(page.get_by_role("heading", level=1)).to_have_text("night-watch")
    agent_url = page.url
    client_id = agent_url.rpartition("/")[2]

    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("button", name="Create credential").click()
    page.get_by_role("button", name="Copy the secret").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    first = secret_on(page)
    assert copied == first
    assert first.startswith("sk_live_")
    assert "access_token" in ask_for_token(base_url, client_id, first)

    page.goto(agent_url)
    assert first not in page.content()
    page.locator("details.credential > summary").click()
    page.get_by_role("link", name="Rotate").click()
    page.get_by_label("The old secret").select_option("stops at once")
    page.get_by_role("button", name="Rotate the secret").click()
    second = secret_on(page)
    assert "access_token" not in ask_for_token(base_url, client_id, first)
    assert "access_token" in ask_for_token(base_url, client_id, second)

    page.goto(agent_url)
    page.locator("details.credential > summary").click()
    page.get_by_role("button", name="Revoke").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"…{second[-4:]} of night-watch stops at once")
    expect(dialog).to_contain_text("It obtained 2 tokens in 30 days")
    dialog.get_by_role("button", name="Revoke credential").click()
    expect(dialog).to_be_visible()  # it was used recently, so its name must be typed
    dialog.get_by_label("to confirm").fill(second[-4:])
    dialog.get_by_role("button", name="Revoke credential").click()
    expect(page.get_by_role("status").first).to_contain_text("is revoked")
    assert "access_token" not in ask_for_token(base_url, client_id, second)

    page.locator(".fold > summary").click()
    page.get_by_role("button", name="Suspend").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend agent").click()
    expect(page.locator("h1 + .status")).to_contain_text("suspended")
    page.locator(".fold > summary").click()
    page.get_by_role("button", name="Decommission agent").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Decommission agent").click()
    expect(page.locator("h1 + .status")).to_contain_text("decommissioned")
    for change in ["registered night-watch.", "a new secret.", "decommissioned night-watch."]:
        expect(page.locator(".changes")).to_contain_text(change)


def test_a_form_with_a_mistake_keeps_everything_typed(visit: Visit) -> None:
    visitor = visit("/agents/new")
    page = visitor.page
    page.get_by_label("Address").fill("careful@agents.example.com")
    page.get_by_label("Type").select_option("screener")
    page.get_by_label("Environment").select_option("staging")
    page.get_by_label("Owner").fill("platform")
    page.get_by_label("Version").fill("one")
    page.get_by_label("Capabilities").fill("resume:read")

    page.get_by_role("button", name="Register agent").click()

    expect(page.get_by_label("Version")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Address")).to_have_value("careful@agents.example.com")
    expect(page.get_by_label("Capabilities")).to_have_value("resume:read")
    visitor.complaints.clear()  # Chromium reports the 400 itself


def test_the_audit_log_is_checked_with_one_click(visit: Visit) -> None:
    page = visit("/audit").page

    page.get_by_role("button", name="Verify the chain").click()

    expect(page.get_by_role("status").first).to_contain_text("The audit log is intact")


def test_an_invitation_is_sent_and_accepted(visit: Visit) -> None:
    page = visit("/members").page
    page.get_by_label("Email address").fill("newcomer@example.com")
    page.get_by_role("button", name="Create link").click()
    link = secret_on(page)
    guest = visit(stranger=True).page

    guest.goto(re.sub(r"^https?://[^/]+", "", link))
    guest.get_by_label("Name").fill("New Comer")
    guest.get_by_label("Password").fill("a quiet lake at dawn")
    guest.get_by_role("button", name="Create an account and join").click()

    expect(guest.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(guest.get_by_role("link", name="Settings")).to_have_count(0)
    page.goto("/members")
    expect(page.locator("tbody").first).to_contain_text("New Comer")


def test_an_agent_becomes_an_administrator_and_is_removed_again(visit: Visit) -> None:
    page = visit("/agents").page
    register(page, "steward@agents.example.com")
    page.goto("/members")
    page.get_by_label("Agent", exact=True).fill("steward@agents.example.com")
    page.locator("form", has=page.get_by_text("Add the agent")).get_by_label("Role").select_option(
        "Member"
    )
    page.get_by_role("button", name="Add the agent").click()
    expect(page.get_by_role("status").first).to_contain_text("steward is now a member")

    row = page.get_by_role("row", name="steward")
    row.get_by_label("Role of steward").select_option("Admin")
    row.get_by_role("button", name="Change the role of steward").click()
    expect(page.get_by_role("status").first).to_contain_text("steward is now an admin")
    row.get_by_role("link", name="give it admin:orgs").click()
    page.get_by_label("Administer the organization and its members").check()
    page.get_by_role("button", name="Save").click()
    page.goto("/members")
    expect(row).to_contain_text("yes")

    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status").first).to_contain_text("steward is no longer a member")
    expect(row).to_have_count(0)


def test_settings_are_saved(visit: Visit) -> None:
    page = visit("/settings").page

    page.get_by_label("Signing algorithm").select_option("RS256")
    page.get_by_role("button", name="Save settings").click()

    expect(page.get_by_role("status").first).to_contain_text("Settings saved")
    expect(page.get_by_label("Signing algorithm")).to_have_value("RS256")


def test_the_api_page_executes_a_call_with_a_token(visit: Visit, base_url: str) -> None:
    page = visit("/agents").page
    register(page, "reader@agents.example.com")
    client_id = page.url.rpartition("/")[2]
    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("button", name="Create credential").click()
    token = ask_for_token(base_url, client_id, secret_on(page))["access_token"]
    page.goto("/docs", wait_until="networkidle")

    page.locator("summary", has_text="Authorize").click()
    page.get_by_role("button", name="Tokens and secrets").click()
    page.locator("#auth-bearer-value").fill(token)
    page.locator(".auth-btn-wrapper .authorize").first.click()
    page.locator(".auth-btn-wrapper .btn-done").first.click()
    operation = page.locator(".opblock-get", has=page.locator("[data-path='/api/v1/agents']"))
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()

    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text(
        "200"
    )


def test_rows_follow_j_k_and_enter(visit: Visit) -> None:
    page = visit("/agents").page
    second = page.locator("tbody tr").nth(1).locator("a.row-link")
    name = second.inner_text()

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(second).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_letters_lead_to_pages_and_a_question_mark_to_the_sheet(visit: Visit) -> None:
    page = visit("/").page

    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    # Without delay, because the second letter must follow soon after the first.
    page.keyboard.type("ga")

    expect(page.get_by_role("heading", level=1)).to_have_text("Agents")


def test_another_organization_is_one_choice_away(visit: Visit) -> None:
    page = visit(stranger=True).page
    sign_in(page)
    here = page.locator(".rail summary.place .place-name").first.inner_text()

    page.locator(".rail summary.place").first.click()
    page.locator(".rail .menu-item[name=organization]:not([aria-current])").first.click()

    expect(page.locator(".rail summary.place .place-name").first).not_to_have_text(here)
