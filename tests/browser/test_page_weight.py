"""Pages load little, and all the styles that they need."""

import gzip
import re
from typing import Any

import pytest
from playwright.sync_api import Response

from agentidp.env import BASE_DIR
from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser

KILOBYTE = 1000
PLAIN, LIST, CHART, OVERVIEW, RUNS, RUN, API = (
    KILOBYTE * most for most in (43, 55, 67, 70, 89, 72, 519)
)
"""The maximum compressed weight of styles, scripts, font and images on a first visit, by kind
of page, of which the font is 28 KB: without navigation; a list or a form; with charts; the
overview, which also refreshes itself; lists of runs, which fetch fragments; a run; the API with
Swagger UI.
"""
BUDGETS = {
    "/login": PLAIN,
    "/nothing-here": PLAIN,
    "/agents": LIST,
    "/agents?q=nobody-is-called-this": LIST,
    "/agents/new": LIST,
    "/tokens": CHART,
    "/tokens?each=1": CHART,
    "/resources": LIST,
    "/resources/new": LIST,
    "/audit": LIST,
    "/members": LIST,
    "/settings": LIST,
    "/": OVERVIEW,
    "/?days=90&outcome=refused": OVERVIEW,
    "/agents →": CHART,
    "/executions": RUNS,
    "/executions/errors": RUNS,
    "/executions/timeline": RUNS,
    "/executions/statistics": RUNS,
    "/executions?status=queued": RUNS,
    "/executions →": RUN,
    "/executions → log": RUN,
    "/docs": API,
}
"""An arrow is followed to the page of the first row, and to its tab."""
NAMED = re.compile(r"\.([a-z][\w-]*)")
COMMENT = re.compile(r"/\*.*?\*/|\{[^{}]*\}", re.DOTALL)
OWN = "/static/css/"


def classes(css: str) -> set[str]:
    """The class names in the selectors of the style sheet."""
    return set(NAMED.findall(COMMENT.sub("{", css)))


def weight(response: Response) -> int:
    """The compressed size in bytes, even where the test server does not compress."""
    # Asked for again: Chromium does not tell the content of a preloaded font that it has cached.
    answer = response.frame.page.request.get(response.url)
    return len(gzip.compress(answer.body(), 9))


@pytest.mark.parametrize("path", BUDGETS)
def test_a_page_loads_little_and_all_its_styles(visit: Visit, path: str) -> None:
    visitor = visit(stranger=path == "/login")
    page = visitor.page
    start, arrow, tab = path.partition(" →")
    address = start
    if arrow:
        visitor.goto(start)
        link = page.locator("tbody a.row-link").first.get_attribute("href")
        address = f"{link}/{tab.strip()}".rstrip("/")
    loaded: list[Response] = []
    page.on("response", lambda each: loaded.append(each))

    visitor.goto(address)

    if start == "/nothing-here":
        visitor.complaints.clear()  # Chromium reports the 404 itself
    kinds = {"stylesheet", "script", "font", "image"}
    parts: dict[str, Any] = {
        each.url.partition("/static/")[2]: each
        for each in loaded
        if each.request.resource_type in kinds and each.url.startswith("http")
    }
    weights = {name: weight(each) for name, each in parts.items()}
    assert sum(weights.values()) <= BUDGETS[path], (sum(weights.values()), weights)

    everywhere = {
        each: path.relative_to(BASE_DIR / "static").as_posix()
        for path in (BASE_DIR / "static" / "css").rglob("*.css")
        if not {"admin", "printable", "print"} & {path.stem, path.parent.name}
        for each in classes(path.read_text())
    }
    styled = set().union(
        *(classes(each.text()) for name, each in parts.items() if name.endswith(".css"))
    )
    used = set(
        page.evaluate("[...document.querySelectorAll('[class]')].flatMap((e) => [...e.classList])")
    )
    missing = {each: everywhere[each] for each in (used & set(everywhere)) - styled}
    assert missing == {}

    needs_htmx = page.locator("[hx-get], [hx-post]").count() > 0
    assert not needs_htmx or any("htmx" in name for name in parts)
