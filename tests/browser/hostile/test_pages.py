"""No page runs or loads output of agents, with either of two walls alone.

The first wall is the sanitizer; the second is the Content-Security-Policy and, on the pages of a
run, the sandboxed frame around its output.
"""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from executions.sanitizing import ATTRIBUTES, TAGS
from executions.tests.vectors import VECTORS
from tests.browser.conftest import Visit, steps_in
from tests.browser.engine import Engine
from tests.browser.hostile.detectors import Canary, listening, settle
from tests.browser.hostile.output import (
    AGENTS,
    FORMS,
    IMPORTED,
    NUMBERED,
    Reported,
    forms,
    seen,
)
from tests.spooler import fid_of

pytestmark = pytest.mark.browser

NOT_ALLOWED = """([root, tags, attributes]) => [...document.querySelectorAll(`${root} *`)]
    .filter((element) => !tags.includes(element.localName) || [...element.attributes].some(
        ({name}) => !["rel", ...(attributes[element.localName] ?? [])].includes(name)))
    .map((element) => element.outerHTML.slice(0, 200))"""
NOT_OURS = """() => [...document.querySelectorAll("main *, dialog *")]
    .filter((element) => !element.matches("iframe.output-frame"))
    .filter((element) => element.matches("script:not([type='application/json']), style, iframe,"
        + "object, embed, base, meta, link, template, img, video, audio, math, marquee")
        || [...element.attributes].some(({name}) => /^on|^style$|^srcdoc$|^hx-on/.test(name)))
    .filter((element) => !element.closest("[data-chart], .peek-open, .cell-not"))
    .map((element) => element.outerHTML.slice(0, 200))"""


def visible(page: Page, root: str = "main") -> str:
    return page.locator(root).first.inner_text()


def missing(text: str, *places: str, times: int = 1) -> list[str]:
    """The harmless words that should accompany the vectors but are missing."""
    words = (seen(number, place) for number in NUMBERED for place in places)
    return [each for each in words if text.count(each) < times]


def go(page: Page, path: str) -> str:
    """Open the page and return its text."""
    page.goto(path)
    assert page.url.endswith(path)
    assert page.evaluate(NOT_OURS) == []
    return visible(page)


def read_run(page: Page, reported: Reported) -> None:
    """Open the pages of a run with everything that it reported."""
    run, counts = f"/executions/{reported.id}", reported.counts
    allowed = {name: sorted(names) for name, names in ATTRIBUTES.items()}

    text = go(page, run)
    assert len(page.frames) == 3
    for frame in page.frames[1:]:
        text += frame.locator("body").inner_text()
        assert frame.evaluate(NOT_ALLOWED, [".output", sorted(TAGS), allowed]) == []
    steps = sum(counts[kind] for kind in ("result", "agent", "lock", "lease"))
    assert steps_in(page).locator(".run-step").count() == steps + len(("start", "end"))
    assert page.locator(".error-card").count() == counts["error"]
    assert missing(text, *FORMS, times=2) == []
    assert missing(text, "input") == []
    for number in range(1, AGENTS + 1):
        assert seen(number, "agent" if number % 2 else "task") in text

    text = go(page, f"{run}/log")
    kinds = ("stdout", "stderr", "debug")
    assert page.locator(".log-line").count() == sum(counts[kind] for kind in (*kinds, "error"))
    assert missing(text, *kinds) == []

    page.goto(f"/outputs/html/{reported.id}")
    assert missing(visible(page), *FORMS) == []
    assert page.evaluate(NOT_ALLOWED, ["main", sorted(TAGS), allowed]) == []


def read_lists(page: Page, reported: Reported) -> None:
    """Open the lists of runs, and those of a run's parts."""
    counts = reported.counts

    rows = 0
    for number in (1, 2, 3):
        go(page, f"/executions/{reported.id}/events?page={number}")
        rows += page.locator(".events tbody tr").count()
    of_start_and_end = 4
    assert rows == counts.total() + of_start_and_end
    go(page, f"/executions/{IMPORTED}/events")
    assert page.locator(".events tbody tr").count() == 5

    text, cards = go(page, f"/executions/errors?search={reported.id}"), 0
    groups = page.locator(".groups a.row-link").all()
    for address in [str(each.get_attribute("href")) for each in groups]:
        text += go(page, address)
        cards += page.locator(".error-card").count()
    assert cards == counts["error"]
    assert all(seen(number, "error") in text for number in list(NUMBERED)[::5])

    text = go(page, "/executions?search=hostile+seen")
    assert page.locator("tbody tr").count() == len(NUMBERED)
    assert missing(text, "name") == []
    page.locator(f"[data-key='{IMPORTED}'] .file-counts").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".file-list li")).to_have_count(len(NUMBERED))
    assert missing(dialog.inner_text(), "file") == []
    assert page.evaluate(NOT_OURS) == []

    assert missing(go(page, "/executions/statistics?search=hostile+seen"), "name") == []
    assert "Executions per" in go(page, "/executions/timeline?search=hostile+seen")
    assert seen(1, "name") in go(page, f"/executions/{IMPORTED}")


def watch_run(page: Page, engine: Engine) -> None:
    """Watch a run while it reports everything."""
    run = engine.start(summary="Watched")
    go(page, f"/executions/{run}/log")
    engine.report(run, *(("stdout", f"{seen(n, 'live')} {v}") for n, v in NUMBERED.items()))
    expect(page.locator(".log-line")).to_have_count(len(NUMBERED))
    assert missing(visible(page), "live") == []
    go(page, f"/executions/{run}")
    engine.report(run, *(("result", forms(*each)) for each in NUMBERED.items()))
    expect(steps_in(page).locator(".run-step")).to_have_count(len(("start", *NUMBERED)))
    engine.finish(run)
    expect(page.locator("h1 + .status")).to_have_text("finished")


def without_sandbox(route: Route) -> None:
    answer = route.fetch()
    body, found = re.subn(r' sandbox="[^"]*"', "", answer.text())
    assert found == 2
    route.fulfill(response=answer, body=body)


@pytest.mark.parametrize("is_policy_off", [True, False], ids=["sanitizer alone", "both walls"])
def test_no_page_runs_or_loads_output_of_agents(
    exposed: Browser,
    canary: Canary,
    base_url: str,
    session_state: Any,
    reported: Reported,
    imported: None,
    engine: Engine,
    is_policy_off: bool,
) -> None:
    how = {"base_url": base_url, "storage_state": session_state, "bypass_csp": is_policy_off}
    with listening(exposed, canary, reduced_motion="reduce", **how) as (heard, page):
        if is_policy_off:
            page.route(f"**/executions/{reported.id}", without_sandbox)
        read_run(page, reported)
        if is_policy_off:
            read_lists(page, reported)
        else:
            watch_run(page, engine)
        settle(page)

        assert heard.attacks == set()
        assert canary.connections == 0
        assert (heard.strange, heard.refused, len(heard.context.pages)) == ([], [], 1)


STEP_TO_THE_RIGHT = """(paragraph) => {
    const letter = document.createRange();
    const left = (number) => {
        letter.setStart(paragraph.lastChild, number);
        letter.setEnd(paragraph.lastChild, number + 1);
        return letter.getBoundingClientRect().left;
    };
    return left(2) - left(1);
}"""


def test_a_name_cannot_turn_around_the_sentence_in_which_it_stands(
    visit: Visit, imported: None
) -> None:
    number = list(VECTORS).index("directions") + 1
    page = visit().page
    page.goto(f"/executions/{fid_of(1000 + number)}")

    page.get_by_role("button", name="Delete").first.click()

    paragraph = page.get_by_role("dialog").locator("p").first
    expect(paragraph.locator("strong")).to_contain_text("\u202etxt.exe")
    assert paragraph.evaluate(STEP_TO_THE_RIGHT) > 0
