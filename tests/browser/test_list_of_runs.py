"""Lists of executions in the browser: finding, filtering and looking at them."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import serious_issues
from tests.browser.conftest import PHONE, Visit
from tests.browser.engine import Engine
from tests.browser.steps import set_hidden

pytestmark = pytest.mark.browser


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


def test_filters_stand_in_the_address_and_are_dropped_one_by_one(
    visit: Visit, finished: str, failed: str
) -> None:
    page = visit("/executions").page

    page.get_by_text("filter", exact=True).click()
    page.get_by_role("checkbox", name="error", exact=True).check()
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


def test_a_filter_has_several_values_and_excludes_some(
    visit: Visit, finished: str, failed: str
) -> None:
    page = visit("/executions").page
    menu = page.locator(".filters .menu")
    statuses = page.locator(".runs .status")

    menu.get_by_text("filter", exact=True).click()
    menu.get_by_role("checkbox", name="finished", exact=True).check()
    menu.get_by_role("checkbox", name="error", exact=True).check()
    assert serious_issues(page) == []
    menu.get_by_role("button", name="Show").click()
    expect(page.locator(".chip")).to_have_text(re.compile("status is finished or error"))
    assert set(statuses.all_inner_texts()) == {"finished", "error"}
    page.get_by_role("link", name="is", exact=True).click()
    expect(page.locator(".chip")).to_have_text(re.compile("status is not finished or error"))
    assert not {"finished", "error"} & set(statuses.all_inner_texts())
    menu.get_by_text("filter", exact=True).click()
    menu.get_by_role("checkbox", name="finished", exact=True).check()

    expect(menu.get_by_role("checkbox", name="not finished")).not_to_be_checked()


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
    page.locator(".groups tr", has_text="is empty").click()
    card = page.locator(".error-card", has_text="is empty").first

    card.locator("summary").click()

    expect(card.locator("pre")).to_contain_text("/opt/flows.py")
    group = page.locator(".error-group")
    page.get_by_label("What fixed it").fill("Another sheet")
    page.keyboard.press("Enter")
    expect(group).to_contain_text("resolved")
    expect(group.locator("q")).to_have_text("Another sheet")
    assert serious_issues(page) == []
    group.get_by_role("button", name="Reopen").click()
    expect(group.get_by_role("button", name="Resolve")).to_be_visible()
    assert serious_issues(page) == []
    card.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".band-failed")).to_contain_text("is empty")
    expect(page.locator(".band-failed mark")).to_contain_text("read()")


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim()"))


def test_values_of_a_row_are_reached_by_arrows_and_cost_no_tab_stops(
    visit: Visit, failed: str
) -> None:
    page = visit(f"/executions?search={failed}").page
    row = page.locator("tbody tr").first
    agent = row.locator("a.cell-value").nth(1).inner_text()
    assert row.locator("a:not([tabindex='-1']), button").count() == 2

    page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert focused(page) == "not error"
    assert serious_issues(page) == []
    page.keyboard.press("ArrowRight")
    assert focused(page) == agent
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(row.locator("a.row-link")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")

    expect(page.locator(".chip")).to_have_text([re.compile(f"agent is not {agent}")])
    expect(page.locator("tbody tr")).to_have_count(0)


def test_values_of_a_row_filter_and_exclude_with_the_mouse(
    visit: Visit, finished: str, failed: str
) -> None:
    page = visit("/executions").page

    page.locator("tbody .status", has_text="error").first.hover()
    page.get_by_role("link", name="not error").click()
    expect(page.locator(".chip")).to_have_text([re.compile("status is not error")])
    page.locator("tbody .status", has_text="finished").first.click(modifiers=["Alt"])
    expect(page.locator(".chip")).to_have_text([re.compile("status is not error or finished")])
    page.goto("/executions")
    page.locator("tbody .status", has_text="finished").first.click()

    expect(page.locator(".chip")).to_have_text([re.compile("status is finished")])


def test_compact_rows_are_kept_and_many(visit: Visit) -> None:
    page = visit("/executions?hours=720").page
    switch = page.get_by_role("button", name="Compact")
    expect(switch).to_have_attribute("aria-pressed", "false")

    switch.click()
    page.reload()

    expect(switch).to_have_attribute("aria-pressed", "true")
    bottoms = page.locator("tbody tr").evaluate_all(
        "rows => rows.map((row) => row.getBoundingClientRect().bottom)"
    )
    box = page.locator("tbody tr").first.bounding_box()
    assert sum(bottom <= 900 for bottom in bottoms) >= 20
    assert box
    assert box["y"] <= 200
    assert page.locator(".figure-value").first.is_visible()
    assert serious_issues(page) == []
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(switch).to_have_attribute("aria-pressed", "false")


def test_single_keys_filter_move_in_time_refresh_and_compare(visit: Visit, failed: str) -> None:
    page = visit("/executions?hours=1").page
    page.keyboard.press("r")  # at once: a letter after g would lead to a page
    expect(page.get_by_role("status").filter(has_text="Refreshed")).to_be_visible()
    live = page.locator("[data-refresh-every]")
    for key, choice in (("l", "0"), ("L", "30")):
        page.keyboard.press(key)
        expect(live).to_have_value(choice)

    menu = page.locator("details", has_text="filter").first
    page.keyboard.press("Control+f")
    expect(menu).not_to_have_attribute("open", "")
    page.keyboard.press("f")
    expect(menu.locator("summary", has_text="Status")).to_be_focused()
    page.keyboard.press("[")  # not in an open menu
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("fl[]")
    expect(page.get_by_role("searchbox")).to_have_value("fl[]")
    expect(live).to_have_value("30")
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.keyboard.press("j")
    expect(page.locator("tr[data-row] a:focus")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("tr[data-row] :focus")).to_have_count(0)

    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_contain_text("Earlier period")
    expect(sheet).not_to_contain_text("Later period")
    page.keyboard.press("[")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/executions\?hours=1$"))
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile("from=.*to="))
    page.wait_for_load_state()  # the new page's scripts listen to keys
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/executions\?hours=1$"))

    page.goto("/tokens?days=7")
    expect(page.locator(".chart-before")).to_have_count(1)
    page.keyboard.press("x")
    expect(page).to_have_url(re.compile("compare=no"))
    expect(page.locator(".chart-bar, [class^=paint-]").first).to_be_attached()
    expect(page.locator(".chart-before")).to_have_count(0)


def test_a_view_is_saved_in_a_dialog_and_found_in_the_palette(visit: Visit, failed: str) -> None:
    page = visit("/executions?status=error").page
    page.get_by_role("button", name="Compact").click()
    page.locator("summary", has_text="Views").click()
    page.get_by_role("link", name="Save this view").click()
    dialog = page.get_by_role("dialog", name="Save this view")
    assert serious_issues(page) == []
    dialog.get_by_label("Name").fill("Failed of late")
    expect(dialog.get_by_label("Row height")).to_have_value("compact")

    dialog.get_by_role("button", name="Save view").click()
    page.evaluate("localStorage.removeItem('density')")
    page.goto("/")
    page.keyboard.press("ControlOrMeta+k")
    page.keyboard.type("of late")
    page.keyboard.press("Enter")

    expect(page.locator("summary", has_text="Failed of late")).to_be_visible()
    expect(page.locator(".chip")).to_have_text(re.compile("status is error"))
    expect(page.locator("html")).to_have_attribute("data-density", "compact")
    expect(page.get_by_role("button", name="Compact")).to_have_attribute("aria-pressed", "true")
