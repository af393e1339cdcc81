"""The frames with the output of agents, in the browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import serious_issues
from tests.browser.conftest import Visit, result_in, steps_in
from tests.browser.engine import Engine

pytestmark = pytest.mark.browser


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
    expect(result_in(page).get_by_role("link")).to_be_focused()


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
