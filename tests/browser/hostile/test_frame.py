"""The sandboxed frame around a run's output holds without the sanitizer; its links open in new
tabs.
"""

import re
from collections.abc import Callable
from html import escape
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Visit, result_in, steps_in
from tests.browser.engine import Engine
from tests.browser.hostile.detectors import Canary, listening, settle
from tests.browser.hostile.output import NUMBERED, Reported, seen

pytestmark = pytest.mark.browser

FRAME = re.compile(r'<iframe class="output-frame"[^>]*></iframe>')
BODY = "&lt;body class=&quot;output-page&quot;&gt;"


def without_sanitizer(
    raw: list[str], change: Callable[[str], str] = lambda frame: frame
) -> Callable[[Route], None]:
    """Show each of these texts alone and unsanitized in a frame like that of the result."""

    def handle(route: Route) -> None:
        answer = route.fetch()
        frame = change(FRAME.findall(answer.text())[0])
        assert BODY in frame
        head = frame.partition(BODY)[0]
        shown = "".join(f'{head}{BODY}{escape(each)}"></iframe>' for each in raw)
        route.fulfill(response=answer, body=FRAME.sub(lambda _: shown, answer.text(), count=1))

    return handle


@pytest.mark.parametrize("walls", ["frame and policies", "frame alone", "policies alone"])
def test_the_frame_of_a_result_holds_without_the_sanitizer(
    exposed: Browser,
    canary: Canary,
    base_url: str,
    session_state: Any,
    reported: Reported,
    walls: str,
) -> None:
    how = {"base_url": base_url, "storage_state": session_state}
    is_policy_off = walls == "frame alone"

    def change(frame: str) -> str:
        return frame.replace(" sandbox=", " data-x=") if walls == "policies alone" else frame

    with listening(exposed, canary, bypass_csp=is_policy_off, **how) as (heard, page):
        address = f"{base_url}/executions/{reported.id}"
        raw = [f"<p>{seen(number, 'raw')}</p>{each}" for number, each in NUMBERED.items()]
        page.route(address, without_sanitizer(raw, change))
        page.goto(address, wait_until="domcontentloaded")
        last = page.frame_locator("iframe.output-frame").nth(len(NUMBERED) - 1)
        expect(last.get_by_text(seen(len(NUMBERED), "raw"))).to_be_visible(timeout=30_000)
        settle(page)

        assert len(page.frames) > len(NUMBERED)
        assert (page.url, len(heard.context.pages)) == (address, 1)
        assert heard.ran == set()
        assert heard.strange == []
        # The frame stops scripts and navigation; loading is left to the policies.
        if not is_policy_off:
            assert heard.attacks == set()
            assert heard.refused


FOREIGN_PAGE = "https://v1.foreign.invalid/"
LEADING = {
    "link to the top": f'<a href="{FOREIGN_PAGE}" target="_top">go</a>',
    "link to the parent": f'<a href="{FOREIGN_PAGE}" target="_parent">go</a>',
    "link in its place": f'<a href="{FOREIGN_PAGE}" target="_self">go</a>',
    "form": f'<form action="{FOREIGN_PAGE}" target="_top"><button>go</button></form>',
    "form in a tab": f'<form action="{FOREIGN_PAGE}" target="_blank"><button>go</button></form>',
    "button of a form": f'<form><button formaction="{FOREIGN_PAGE}">go</button></form>',
    "download": f'<a href="{FOREIGN_PAGE}" download target="_self">go</a>',
    "ping": f'<a href="#" ping="{FOREIGN_PAGE}" target="_self">go</a>',
    "script": f'<a href="javascript:top.location=`{FOREIGN_PAGE}`" target="_self">go</a>',
}


def test_clicks_on_output_do_not_navigate_away_from_a_run(
    exposed: Browser, canary: Canary, base_url: str, session_state: Any, reported: Reported
) -> None:
    how = {"base_url": base_url, "storage_state": session_state}
    with listening(exposed, canary, **how) as (heard, page):
        address = f"{base_url}/executions/{reported.id}"
        page.route(address, without_sanitizer([f"{each}<p>1<p>2<p>3" for each in LEADING.values()]))
        page.goto(address, wait_until="networkidle")

        frames = page.frames[1 : 1 + len(LEADING)]
        for frame in frames:
            frame.locator("a, button").first.click()
        settle(page)

        assert (page.url, len(heard.context.pages)) == (address, 1)
        assert (heard.attacks, heard.strange) == (set(), [])


def test_a_link_of_a_result_opens_in_a_tab_that_knows_nothing_of_the_page(
    visit: Visit, engine: Engine
) -> None:
    run = engine.start(summary="Links")
    link = "[the source](https://source.example/wool)"
    engine.report(run, *((kind, {"Markdown": {"body": link}}) for kind in ("result", "final")))
    engine.finish(run)
    page = visit(f"/executions/{run}").page
    title = "`${origin} ${opener} [${document.referrer}]`"
    opened = f"<!doctype html><script>document.title = {title}</script>"
    page.context.route(
        "https://source.example/**",
        lambda route: route.fulfill(body=opened, content_type="text/html"),
    )

    for document in (result_in(page), steps_in(page)):
        with page.expect_popup() as popup:
            document.get_by_role("link", name="the source").click()
        expect(popup.value).to_have_title("https://source.example null []")

    assert page.url.endswith(run)
