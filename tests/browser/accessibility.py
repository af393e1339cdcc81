"""Accessibility checks with axe."""

from playwright.sync_api import Page

from tests.browser.conftest import AXE

SERIOUS = {"serious", "critical"}


def serious_issues(page: Page) -> list[str]:
    """The serious issues that axe reports, as `rule: where`."""
    # Through the debugger, because our policy allows no inline script.
    page.evaluate(f"() => {{ {AXE.read_text()} }}")
    found = page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
    )
    return [
        f"{issue['id']}: {node['target']}"
        for issue in found
        if issue["impact"] in SERIOUS
        for node in issue["nodes"]
    ]
