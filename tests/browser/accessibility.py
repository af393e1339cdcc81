"""Accessibility checks with axe."""

from collections.abc import Sequence

from playwright.sync_api import Page

from tests.browser.conftest import AXE

SERIOUS = {"serious", "critical"}
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules whose result depends on the theme."""


def serious_issues(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """The serious issues that axe reports, of these rules or of all, as `rule: where`."""
    # Through the debugger, because our policy allows no inline script.
    page.evaluate(f"() => {{ {AXE.read_text()} }}")
    # axe cannot enter sandboxed frames: each of its attempts is a complaint in the console.
    options = {"resultTypes": ["violations"], "iframes": False}
    options |= {"runOnly": list(rules)} if rules else {}
    found = page.evaluate("async (how) => (await axe.run(document, how)).violations", options)
    return [
        f"{issue['id']}: {node['target']}"
        for issue in found
        if issue["impact"] in SERIOUS
        for node in issue["nodes"]
    ]
