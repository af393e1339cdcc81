"""Hostile output does no harm in a real Chromium, with either of two walls alone.

The first wall is the sanitizer; the second is the Content-Security-Policy and, on the pages of a
run, the sandboxed frame around its output.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page, Route, expect

from agentidp.devtools.bootstrap import find_browser
from executions.sanitizing import ATTRIBUTES, TAGS
from executions.tests.vectors import VECTORS
from panel.outputs import PRINTABLE_POLICY
from tests.browser.conftest import Visit, manage, result_in, steps_in
from tests.browser.engine import Engine
from tests.browser.hostile import (
    AGENTS,
    ENORMOUS,
    FORMS,
    IMPORTED,
    MEGABYTE,
    NAMES,
    NUMBERED,
    TERMINAL,
    Canary,
    Ears,
    Reported,
    forms,
    frames,
    make_certificate,
    report,
    seen,
    write_deployment,
    write_enormous,
)
from tests.spooler import fid_of

pytestmark = pytest.mark.browser

MAX_NODES = 60_000
"""Limit for a page: one result and all steps may have 20,000 elements each."""
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

NOT_ALLOWED = """([root, tags, attributes]) => [...document.querySelectorAll(`${root} *`)]
    .filter((element) => !tags.includes(element.localName) || [...element.attributes].some(
        ({name}) => !["rel", ...(attributes[element.localName] ?? [])].includes(name)))
    .map((element) => element.outerHTML.slice(0, 200))"""
NOT_OURS = """() => [...document.querySelectorAll("main *, dialog *")]
    .filter((element) => !element.matches("iframe.output-frame"))
    .filter((element) => element.matches("script:not([type='application/json']), style, iframe,"
        + "object, embed, base, meta, link, template, img, video, audio, math, marquee")
        || [...element.attributes].some(({name}) => /^on|^style$|^srcdoc$|^hx-on/.test(name)))
    .filter((element) => !element.closest("[data-chart]"))
    .map((element) => element.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    found = Canary(make_certificate(tmp_path_factory.mktemp("canary") / "certificate.pem"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def exposed(chromium: Browser, canary: Canary) -> Iterator[Browser]:
    """A browser that can reach the foreign hosts."""
    browser = chromium.browser_type.launch(
        executable_path=find_browser() or None, args=["--no-sandbox", *canary.arguments]
    )
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def reported(engine: Engine) -> Reported:
    return report(engine)


@pytest.fixture(scope="module")
def imported(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import all executions of a hostile deployment, and an enormous one."""
    folder = write_deployment(tmp_path_factory.mktemp("hostile") / "data")
    write_enormous(folder)
    said = manage("import_kodosumi", str(folder), "--organization", "northwind-labs")
    assert f"{len(NUMBERED) + 1} new" in said


@contextmanager
def listening(browser: Browser, canary: Canary, **how: Any) -> Iterator[tuple[Ears, Page]]:
    context = browser.new_context(ignore_https_errors=True, **how)
    yield Ears(context, canary), context.new_page()
    context.close()


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
    assert steps_in(page).locator(".run-step").count() == sum(
        counts[kind] for kind in ("result", "agent", "lock", "lease")
    )
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

    text = go(page, f"/executions/errors?search={reported.id}&groups=all")
    assert page.locator(".error-card").count() == counts["error"]
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
    engine.tell(run, *(("stdout", f"{seen(n, 'live')} {v}") for n, v in NUMBERED.items()))
    expect(page.locator(".log-line")).to_have_count(len(NUMBERED))
    assert missing(visible(page), "live") == []
    go(page, f"/executions/{run}")
    engine.tell(run, *(("result", forms(*each)) for each in NUMBERED.items()))
    expect(steps_in(page).locator(".run-step")).to_have_count(len(NUMBERED))
    engine.finish(run)
    expect(page.locator("h1 + .status")).to_have_text("finished")


@pytest.mark.parametrize("is_policy_off", [True, False], ids=["sanitiser alone", "both walls"])
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
        page.wait_for_timeout(500)

        assert heard.attacks == set()
        assert canary.connections == 0
        assert (heard.strange, heard.refused, len(heard.context.pages)) == ([], [], 1)


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

    began = time.monotonic()
    with listening(exposed, canary, base_url=base_url) as (heard, page):
        show_raw(page, "")
        while not heard.attacks >= BITE and time.monotonic() < began + 60:
            page.wait_for_timeout(50)
        assert BITE - heard.attacks == set()

    for policy in policies.values():
        with listening(exposed, canary, base_url=base_url) as (heard, page):
            show_raw(page, policy)
            page.wait_for_load_state()
            page.wait_for_timeout(300)
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
            page.wait_for_timeout(500)
            assert heard.attacks == attacks


FRAME = re.compile(r'<iframe class="output-frame"[^>]*></iframe>')
BODY = "&lt;body class=&quot;output-page&quot;&gt;"


def without_sandbox(route: Route) -> None:
    answer = route.fetch()
    body, found = re.subn(r' sandbox="[^"]*"', "", answer.text())
    assert found == 2
    route.fulfill(response=answer, body=body)


def without_sanitiser(
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
def test_the_frame_of_a_result_holds_without_the_sanitiser(
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
        page.route(address, without_sanitiser(raw, change))
        page.goto(address, wait_until="domcontentloaded")
        last = page.frame_locator("iframe.output-frame").nth(len(NUMBERED) - 1)
        expect(last.get_by_text(seen(len(NUMBERED), "raw"))).to_be_visible(timeout=30_000)
        page.wait_for_timeout(500)

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
        page.route(address, without_sanitiser([f"{each}<p>1<p>2<p>3" for each in LEADING.values()]))
        page.goto(address, wait_until="networkidle")

        frames = page.frames[1 : 1 + len(LEADING)]
        for frame in frames:
            frame.locator("a, button").first.click()
        page.wait_for_timeout(500)

        assert (page.url, len(heard.context.pages)) == (address, 1)
        assert (heard.attacks, heard.strange) == (set(), [])


def test_a_link_of_a_result_opens_in_a_tab_that_knows_nothing_of_the_page(
    visit: Visit, engine: Engine
) -> None:
    run = engine.start(summary="Links")
    link = "[the source](https://source.example/wool)"
    engine.tell(run, *((kind, {"Markdown": {"body": link}}) for kind in ("result", "final")))
    engine.finish(run)
    page = visit(f"/executions/{run}").page
    told = "`${origin} ${opener} [${document.referrer}]`"
    opened = f"<!doctype html><script>document.title = {told}</script>"
    page.context.route(
        "https://source.example/**",
        lambda route: route.fulfill(body=opened, content_type="text/html"),
    )

    for document in (result_in(page), steps_in(page)):
        with page.expect_popup() as popup:
            document.get_by_role("link", name="the source").click()
        expect(popup.value).to_have_title("https://source.example null []")

    assert page.url.endswith(run)


def sizes(page: Frame) -> tuple[int, int]:
    """The number of nodes in the document, and of characters that it shows."""
    count = "() => [document.querySelectorAll('*').length, document.body.textContent.length]"
    nodes, characters = page.evaluate(count)
    return nodes, characters


def test_enormous_output_leaves_the_pages_usable(visit: Visit, imported: None) -> None:
    page = visit().page

    page.goto(f"/executions/{ENORMOUS}")
    expect(steps_in(page).locator(".run-step")).to_have_count(63)
    found = [sizes(frame) for frame in page.frames]
    assert 10_000 < sum(nodes for nodes, _ in found) < MAX_NODES
    assert sum(characters for _, characters in found) < 2 * MEGABYTE
    expect(page.locator(".card-result")).to_contain_text("too complex to be shown here")
    page.locator("summary", has_text="Download").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Result as JSON").click()
    raw = json.loads(saved.value.path().read_bytes())
    assert raw == {"HTML": {"body": "<b>" * 4 * MEGABYTE}}
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()

    page.get_by_role("link", name="Log", exact=True).click()
    lines = page.locator(".log-text")
    assert lines.all_inner_texts()[0] == "x" * 4000 + " …"
    expect(lines.nth(1)).to_have_text("before link\ufffd\ufffdafter")
    expect(lines.nth(2)).to_contain_text("the end of the noise")
    assert sizes(page)[1] < MEGABYTE
    page.get_by_label("wrap lines").uncheck()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280

    page.get_by_role("link", name="Events", exact=True).click()
    assert sizes(page)[1] < MEGABYTE
    page.goto("/executions/errors?search=ValueError")
    assert sizes(page)[1] < MEGABYTE
    page.goto(f"/outputs/html/{ENORMOUS}")
    assert sizes(page)[1] < 100_000


def test_a_line_of_a_megabyte_is_cut_while_it_is_watched(visit: Visit, engine: Engine) -> None:
    execution = engine.start(summary="Enormous")
    page = visit().page
    page.goto(f"/executions/{execution}/log")
    expect(page.locator("[data-log-waiting]")).to_be_visible()

    engine.tell(execution, ("stdout", "x" * MEGABYTE), ("stdout", f"before {TERMINAL}after"))

    lines = page.locator(".log-text")
    expect(lines).to_have_count(2)
    shown = ["x" * 4000 + " …", "before link\ufffd\ufffdafter"]
    assert lines.all_inner_texts() == shown
    page.get_by_label("follow").uncheck()
    page.reload()
    assert lines.all_inner_texts() == shown
    engine.finish(execution)


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
