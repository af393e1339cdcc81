"""Using executions in the browser: finding, watching and debugging them."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import serious_issues
from tests.browser.conftest import PHONE, Visit, result_in, steps_in
from tests.browser.engine import Engine

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"
TRACE = 'Traceback (most recent call last):\n  File "/opt/flows.py", line 3, in run\n    read()\n'


@pytest.fixture(scope="module")
def finished(engine: Engine) -> str:
    """A run with a result and a file; returns its id."""
    execution = engine.start(summary="Weekly report", inputs={"topic": HOSTILE})
    engine.report(
        execution,
        ("stdout", f"reading {HOSTILE}"),
        ("action", {"Markdown": {"body": f"**Step one** {HOSTILE}"}}),
    )
    engine.make_file(execution, "Übersicht März.csv", b"month;price\n")
    engine.finish(execution, final={"Markdown": {"body": f"# Wool got dearer\n{HOSTILE}"}})
    return execution


@pytest.fixture(scope="module")
def failed(engine: Engine) -> str:
    execution = engine.start(summary="Weekly report")
    engine.finish(execution, status="error", error=f"{TRACE}ValueError: {HOSTILE} is empty")
    return execution


@pytest.mark.parametrize(
    "path",
    [
        "/executions",
        "/executions?hours=1&search=nobody-is-called-this",
        "/executions/errors",
        "/executions/timeline",
        "/executions/statistics",
        "/executions/{finished}",
        "/executions/{finished}/log",
        "/executions/{finished}/events",
        "/executions/{failed}",
    ],
)
def test_every_page_is_accessible(visit: Visit, finished: str, failed: str, path: str) -> None:
    page = visit(path.format(finished=finished, failed=failed)).page
    page.on("dialog", lambda dialog: pytest.fail(f"A script ran: {dialog.message}"))

    in_light = serious_issues(page)
    page.emulate_media(color_scheme="dark")
    in_dark = serious_issues(page)
    page.set_viewport_size(PHONE)

    assert (in_light, in_dark) == ([], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("main img").count() == 0


def test_a_phone_shows_long_names_and_menus_inside_its_screen(visit: Visit, engine: Engine) -> None:
    name = "summarise_customer_calls_with_speaker_diarisation_and_sentiment"
    execution = engine.start(summary=name)
    engine.finish(execution, status="cancelled")
    page = visit(phone=True).page

    for path in (f"/executions/{execution}", f"/executions?name={name}", "/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        for scroller in page.locator(".runs").locator("..").all():
            assert scroller.evaluate("it => it.scrollWidth - it.clientWidth") == 0
        opener = page.locator(".page-actions summary").first
        opener.click()
        box = page.locator(".page-actions details[open] .menu-body").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360


def refresh(page: Page) -> None:
    """Trigger the refresh that otherwise happens every 30 seconds."""
    page.evaluate("document.querySelector('[data-live]').dispatchEvent(new Event('refresh'))")


def test_new_runs_wait_behind_a_pill(visit: Visit, engine: Engine, finished: str) -> None:
    page = visit("/executions").page
    before = page.locator("tbody tr").all_inner_texts()
    counted = page.get_by_role("navigation", name="Main").get_by_role("link", name="Executions")
    running = counted.inner_text()
    execution = engine.start(summary="Just come")

    refresh(page)
    expect(counted).not_to_have_text(running)
    expect(counted).to_contain_text("running")

    pill = page.get_by_role("link", name="1 new run")
    expect(pill).to_be_visible()
    assert [row.split()[0] for row in page.locator("tbody tr").all_inner_texts()] == [
        row.split()[0] for row in before
    ]
    pill.click()
    expect(page.locator("tbody tr").first).to_contain_text(execution[-4:])
    engine.finish(execution)
    refresh(page)
    expect(page.locator("tbody tr").first).to_contain_text("finished")


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


def test_a_hidden_list_asks_for_nothing_and_catches_up_once(visit: Visit, finished: str) -> None:
    visitor = visit()
    page = visitor.page
    page.clock.install()
    page.add_init_script(
        "const send = fetch; window.asked = [];"
        "window.fetch = (...what) => { asked.push(document.visibilityState); return send(...what) }"
    )
    visitor.goto("/executions")
    is_refresh = re.compile(r"/executions\?seen=")

    with page.expect_response(is_refresh) as refreshed:
        page.clock.run_for(31_000)
    refreshed.value.finished()
    set_hidden(page, True)
    page.clock.run_for(10 * 60_000)
    assert page.evaluate("asked") == ["visible"]
    with page.expect_response(is_refresh):
        set_hidden(page, False)

    assert page.evaluate("asked") == ["visible", "visible"]


def test_a_hidden_run_rests_and_goes_on_where_it_was(visit: Visit, engine: Engine) -> None:
    execution = engine.start(summary="Looked away from")
    page = visit().page
    is_stream = re.compile(f"/outputs/main/{execution}")
    with page.expect_response(is_stream):
        page.goto(f"/executions/{execution}")

    with page.expect_event("requestfailed", lambda request: execution in request.url):
        set_hidden(page, True)
    engine.report(execution, ("result", {"Markdown": {"body": "**Meanwhile**"}}))
    with page.expect_response(is_stream) as resumed:
        set_hidden(page, False)

    expect(steps_in(page).locator(".run-step strong")).to_have_text("Meanwhile")
    assert "since=2" in resumed.value.url
    engine.finish(execution)


def test_filters_stand_in_the_address_and_are_dropped_one_by_one(
    visit: Visit, finished: str, failed: str
) -> None:
    page = visit("/executions").page

    page.get_by_text("filter", exact=True).click()
    page.get_by_label("Status").select_option("error")
    page.get_by_role("button", name="Show", exact=True).locator("visible=true").click()
    expect(page).to_have_url(re.compile(r"[?&]status=error"))
    expect(page.locator(".chip")).to_have_text(re.compile("status is error"))
    expect(page.locator("tbody .status")).to_have_text(["error"] * page.locator("tbody tr").count())
    page.keyboard.press("/")
    page.keyboard.type("is empty")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("search=is\\+empty"))
    expect(page.locator("tbody tr").first).to_contain_text(failed[-4:])
    page.get_by_role("link", name="Remove the filter status").click()
    expect(page.locator(".chip")).to_have_count(0)
    page.locator("summary", has_text="24 hours").click()
    page.get_by_role("link", name="Last 7 days").click()
    expect(page).to_have_url(re.compile("hours=168"))
    page.go_back()
    expect(page).not_to_have_url(re.compile("hours=168"))


def test_files_open_in_a_dialog_and_are_saved(visit: Visit, finished: str) -> None:
    page = visit(f"/executions?search={finished}").page
    opener = page.locator(".file-counts")

    opener.click()

    dialog = page.get_by_role("dialog")
    file = dialog.get_by_role("link", name="Übersicht März.csv")
    expect(file).to_have_attribute("title", "Übersicht März.csv")
    expect(dialog).to_contain_text("12\N{NO-BREAK SPACE}bytes")
    with page.expect_download() as saved:
        file.click()
    assert saved.value.suggested_filename == "Übersicht März.csv"
    assert saved.value.path().read_bytes() == b"month;price\n"
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()


def test_the_timeline_answers_keyboard_and_pointer(visit: Visit, finished: str) -> None:
    page = visit("/executions/timeline").page
    last = page.locator(".chart-points a").last
    expect(last).to_have_attribute("aria-label", re.compile(r"\d+ executions so far"))
    count = re.search(r"([\d,]+) executions", last.get_attribute("aria-label") or "")

    last.focus()
    expect(page.locator(".tooltip")).to_contain_text("finished")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/executions\?from="))
    assert count
    expect(page.locator(".pagination")).to_contain_text(f"of {count[1]}")

    page.go_back()
    page.locator(".chart-points a").last.focus()
    for key in ("Shift+ArrowLeft", "Shift+ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile(r"/timeline\?from=.*&to="))
    expect(page.locator(".chart-points a")).to_have_count(3)
    page.get_by_role("link", name="zoom out").click()

    points = page.locator(".chart-points a")
    start, end = points.nth(-2).bounding_box(), points.nth(-1).bounding_box()
    assert start
    assert end
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + 50)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + 50, steps=4)
    page.mouse.up()
    expect(page.locator(".chart-points a")).to_have_count(2)

    page.get_by_role("button", name="as table").click()
    expect(page.locator(".chart-table")).to_be_visible()


def test_a_share_leads_to_its_rows(visit: Visit, finished: str, failed: str) -> None:
    page = visit("/executions/statistics").page
    row = page.locator("#by-status tbody tr", has_text="error")
    count = row.locator("td").first.inner_text()

    row.hover()
    expect(page.locator("#by-status circle.pointed")).to_have_count(1)
    row.click()

    expect(page.locator(".chip")).to_have_text(re.compile("status is error"))
    expect(page.locator(".pagination")).to_contain_text(f"of {count}")


def test_an_error_says_where_it_came_from(visit: Visit, failed: str) -> None:
    page = visit("/executions/errors").page
    card = page.locator(".error-card", has_text="is empty").first

    card.locator("summary").click()

    expect(card.locator("pre")).to_contain_text("/opt/flows.py")
    card.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".band-failed")).to_contain_text("is empty")
    expect(page.locator(".band-failed mark")).to_contain_text("read()")


def test_a_run_is_watched_from_its_first_word_to_its_end(visit: Visit, engine: Engine) -> None:
    execution = engine.start(summary="Watched")
    page = visit().page
    page.goto(f"/executions/{execution}/log")
    expect(page.locator("[data-log-waiting]")).to_be_visible()

    lines = [("stdout", f"line {number} \x1b[31m{HOSTILE}") for number in range(60)]
    engine.report(execution, *lines)

    expect(page.locator(".log-line")).to_have_count(60)
    expect(page.locator(".log-line").last).to_contain_text(f"line 59 {HOSTILE}")
    expect(page.locator(".log-line").last).to_be_in_viewport()
    engine.report(execution, ("stdout", "Read\n" + "".join(f"\r{n} %" for n in range(0, 101, 10))))
    expect(page.locator(".log-line .log-text").last).to_have_text(re.compile(r"^Read\n100 %$"))
    page.get_by_role("link", name="The run").click()
    drawer = page.locator("[data-log-drawer]")
    expect(drawer.locator("[data-last-line]")).to_have_text(re.compile("100 %$"))
    engine.report(execution, ("stderr", "slow answer"))
    expect(page.locator(".band [data-last-line]")).to_have_text("slow answer")
    drawer.get_by_role("button", name="Open").click()
    expect(drawer.locator(".log-line").last).to_have_text(re.compile("slow answer"))
    engine.report(execution, ("stdout", "line 60"))
    expect(drawer.locator(".log-line").last).to_contain_text("line 60")
    page.keyboard.press("/")
    page.keyboard.type("line 5")
    expect(drawer.locator("output")).to_have_text("11 of 63 lines")
    page.keyboard.press("Escape")
    drawer.get_by_label("Find in the log").fill("")
    drawer.get_by_role("button", name="Jump to the error").click()
    expect(drawer.locator(".is-linked")).to_contain_text("slow answer")
    page.keyboard.press("Enter")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(rf"/executions/{execution}/log\?line=(\d+)#line-\1$", copied)
    page.keyboard.press("Escape")
    expect(drawer.locator(".log")).to_be_hidden()
    engine.report(execution, ("result", {"Markdown": {"body": "**Half of it**"}}))
    expect(steps_in(page).locator(".run-step strong")).to_have_text("Half of it")
    engine.finish(execution, final={"Text": {"body": "All of it"}})
    expect(page.locator(".card-result")).to_contain_text("All of it")
    expect(page.locator("h1 + .status")).to_have_text("finished")

    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete run").click()

    expect(page).to_have_url(re.compile("/executions$"))
    expect(page.get_by_role("status").first).to_contain_text("was deleted")


TABLE = "\n".join(["| a | b |", "|---|---|", *(f"| {n} | words {n} |" for n in range(60))])
OUTPUTS = {
    "short": "**Done**",
    "long": f"# Report\n\n{'Some words, again and again. ' * 300}\n\n{TABLE}\n\n> quoted",
    "wide": f"```\n{'x' * 3000}\n```\n\n- {'y' * 400}\n- z",
}
IS_WHOLE = """() => {
    const needed = document.documentElement.scrollHeight;
    return innerHeight - 2 <= needed && needed <= innerHeight;
}"""


def expect_whole(page: Page) -> None:
    """Each frame is as high as its document. Chromium lays out only what is visible."""
    for frame in page.frames[1:]:
        frame.frame_element().scroll_into_view_if_needed()
        frame.wait_for_function(IS_WHOLE, polling=100)


@pytest.mark.parametrize("phone", [False, True], ids=["laptop", "phone"])
def test_output_is_shown_whole_whatever_its_length(
    visit: Visit, engine: Engine, phone: bool
) -> None:
    for name, body in OUTPUTS.items():
        output = {"Markdown": {"body": body}}
        run = engine.start(summary=name)
        engine.report(run, ("action", output), ("final", output))
        engine.finish(run)
        page = visit(f"/executions/{run}", phone=phone).page

        expect_whole(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.set_viewport_size({"width": 700, "height": 800})
        expect_whole(page)


def test_output_takes_on_the_chosen_theme_and_answers_the_keyboard(
    visit: Visit, engine: Engine
) -> None:
    output = {"Markdown": {"body": "[the source](https://source.example/)"}}
    run = engine.start(summary="Theme")
    engine.report(run, ("final", output))
    engine.finish(run)
    page = visit(f"/executions/{run}").page
    colour = "() => getComputedStyle(document.documentElement).backgroundColor"
    body = result_in(page).locator("body")
    light = body.evaluate(colour)
    assert serious_issues(page) == []

    page.evaluate(
        "localStorage.setItem('theme', 'dark'); document.documentElement.dataset.theme = 'dark';"
        "document.dispatchEvent(new CustomEvent('themechange'))"
    )
    expect(page.locator(".output-frame")).to_have_count(1)

    assert body.evaluate(colour) != light
    assert body.evaluate(colour) == page.locator(".card-result").evaluate(
        "card => getComputedStyle(card).backgroundColor"
    )
    page.locator(".run-facts a").last.focus()
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.output-frame')"):
            break
    assert result_in(page).get_by_role("link").evaluate("link => link === document.activeElement")


def test_output_that_did_not_change_stays_where_it_is(visit: Visit, engine: Engine) -> None:
    run = engine.start(summary="Goes on")
    engine.report(run, ("final", {"Markdown": {"body": "**The result**"}}))
    engine.report(run, ("action", {"Markdown": {"body": "*one*"}}))
    page = visit().page
    page.goto(f"/executions/{run}")
    expect(result_in(page).get_by_text("The result")).to_be_visible()
    result_in(page).locator("body").evaluate("body => (body.dataset.kept = 'yes')")

    engine.report(run, ("action", {"Markdown": {"body": "*two*"}}))

    expect(steps_in(page).locator(".run-step em")).to_have_text(["one", "two"])
    expect(result_in(page).locator("body")).to_have_attribute("data-kept", "yes")
    engine.finish(run)


def test_a_live_run_is_stopped_with_a_question(visit: Visit, engine: Engine) -> None:
    execution = engine.start(summary="Too long")
    page = visit().page
    page.goto(f"/executions/{execution}")

    page.get_by_role("button", name="Stop").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Stop run").click()

    expect(page.locator("h1 + .status")).to_have_text("cancelled")
    expect(page.get_by_role("status").first).to_contain_text("was stopped")
