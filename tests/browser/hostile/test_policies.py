"""The Content-Security-Policy alone stops unsanitized output. Without it the output does harm,
which proves that the detectors work.
"""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from executions.tests.vectors import VECTORS
from panel.outputs import PRINTABLE_POLICY
from tests.browser.hostile.detectors import Canary, listening, settle
from tests.browser.hostile.output import NAMES, NUMBERED, Reported, frames, seen

pytestmark = pytest.mark.browser

WAIT_FOR_A_PERSON = {
    *("svg animation", "markdown", "markdown links", "ping and target", "overlay"),
    *("attributes of htmx", "clobbering", "directions"),
}
WAIT_FOR_ANOTHER_PARSER = {
    *("mathml mutation", "form mutation", "option mutation", "select mutation"),
    *("dangling quote", "encoded"),
}
OF_OTHER_BROWSERS = {"marquee", "speculation", "policy"}
BITE = set(NAMES.values()) - WAIT_FOR_A_PERSON - WAIT_FOR_ANOTHER_PARSER - OF_OTHER_BROWSERS
"""Vectors that need nothing but a page that shows them. The others are tried all the same."""


def test_the_policies_alone_stop_raw_vectors(
    exposed: Browser, canary: Canary, base_url: str, session_state: Any, reported: Reported
) -> None:
    """Unsanitized vectors, each in its own document. Without a policy they run, which proves
    that the detectors work.
    """
    with listening(exposed, canary, base_url=base_url, storage_state=session_state) as (_, page):
        policies = {
            path: page.request.get(f"{path}/{reported.id}").headers["content-security-policy"]
            for path in ("/executions", "/outputs/html")
        }

    with listening(exposed, canary, base_url=base_url) as (heard, page):
        show_raw(page, "")
        heard.wait_for(BITE, page)
        assert BITE - heard.attacks == set()

    for policy in policies.values():
        with listening(exposed, canary, base_url=base_url) as (heard, page):
            show_raw(page, policy)
            page.wait_for_load_state()
            settle(page)
            assert len(page.frames) > len(NUMBERED)
            assert (heard.attacks, heard.strange) == (set(), [])
            assert heard.refused


def show_raw(page: Page, policy: str) -> None:
    """Show all unsanitized vectors under the page's policy."""
    show(page, "/raw", frames(NUMBERED), policy)


def show(page: Page, path: str, body: str, policy: str) -> None:
    headers = {"Content-Type": "text/html; charset=utf-8"}
    headers |= {"Content-Security-Policy": policy} if policy else {}
    page.route(f"**{path}", lambda route: route.fulfill(body=body, headers=headers))
    page.goto(path, wait_until="commit")


def test_the_printable_result_does_not_navigate_even_without_the_sanitizer(
    exposed: Browser, canary: Canary, base_url: str
) -> None:
    """On other pages only the sanitizer stops a refresh: no policy can restrict navigation."""
    led_away = NUMBERED[list(VECTORS).index("base and refresh") + 1]
    for policy, attacks in ((PRINTABLE_POLICY, set()), ("", {"base and refresh"})):
        with listening(exposed, canary, base_url=base_url) as (heard, page):
            show(page, "/raw", f"<p>{seen(1, 'raw')}</p>{led_away}", policy)
            expect(page.locator("p")).to_have_text(seen(1, "raw"))
            heard.wait_for(attacks, page)
            settle(page)
            assert heard.attacks == attacks
