"""Steps shared by several browser tests."""

import base64
from typing import Any

from playwright.sync_api import Page

from demo import server


def register(page: Page, address: str, *, credential: bool = False) -> None:
    """Register an agent, on the page that it leads to; without a credential by default."""
    page.goto("/agents/new")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Type").select_option("screener")
    page.get_by_label("Environment").select_option("staging")
    page.get_by_label("Owner").fill("platform")
    page.get_by_label("Capabilities").fill("resume:read")
    page.get_by_label("Create its first credential").set_checked(credential)
    page.get_by_role("button", name="Register agent").click()


def ask_for_token(base_url: str, client_id: str, secret: str) -> dict[str, Any]:
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    form = {"grant_type": "client_credentials"}
    return server.fetch(f"{base_url}/api/v1/token", form, f"Basic {basic}").json()


def secret_on(page: Page) -> str:
    """The secret shown once; confirms that it has been stored."""
    secret = page.locator(".secret .copy-field code").first.inner_text()
    if (stored := page.get_by_role("link", name="I have stored it")).count():
        stored.click()
    return secret


def set_hidden(page: Page, is_hidden: bool) -> None:
    """Hide or show the page, as when another tab covers it."""
    page.evaluate(
        """isHidden => {
            const define = (name, value) =>
                Object.defineProperty(document, name, { configurable: true, value });
            define("hidden", isHidden);
            define("visibilityState", isHidden ? "hidden" : "visible");
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )
