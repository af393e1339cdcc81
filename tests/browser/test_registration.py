"""An agent is registered, and what its page offers is run as copied."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import serious_issues
from tests.browser.conftest import Visit, result_in
from tests.browser.steps import register
from tests.live.node import node

pytestmark = pytest.mark.browser
LONG = 15_000
"""Milliseconds until the page has asked a few times."""


def copied(page: Page, place: str, language: str) -> str:
    button = page.locator(f"{place} .snippet-{language} [data-copy]")
    return button.get_attribute("data-copy") or ""


def test_what_the_page_offers_gets_a_token_and_reports_a_run(
    visit: Visit, tmp_path: Path, base_url: str
) -> None:
    page = visit().page
    register(page, "first-steps@agents.example.com", credential=True)
    expect(page.get_by_role("heading", level=1)).to_have_text("first-steps is registered")
    secret = page.locator(".secret .copy-field code").inner_text()
    token, run = page.locator("#first-token"), page.locator("#first-run")
    expect(token).to_contain_text("Waiting for the first token")
    (tmp_path / ".env").write_text(copied(page, ".target", "env"))

    def execute(command: list[str], typed: str = "", program: str = "") -> str:
        (tmp_path / "agent.mjs").write_text(program)
        environment = {name: value for name, value in os.environ.items() if name != "CLIENT_SECRET"}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,  # a program without a terminal reads what is typed
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    wrong = execute(["bash", "-c", copied(page, ".target", "curl")], "sk_live_mistyped\n")
    assert "invalid_client" in wrong
    expect(token).to_contain_text("Wrong secret. Still waiting", timeout=LONG)
    answer = execute(["bash", "-c", copied(page, ".target", "curl")], f"{secret}\n")
    assert '"access_token"' in answer
    assert secret not in answer
    expect(token).to_contain_text("First token received", timeout=LONG)
    expect(run).to_contain_text("Waiting for the first run")

    both = {
        language: f"{copied(page, '.target', language)}\n\n\n"
        f"{copied(page, '.snippet-step', language)}\n"
        for language in ("curl", "python", "node")
    }
    assert '"status":"finished"' in execute(["bash", "-c", both["curl"]], f"{secret}\n")
    expect(run).to_contain_text("First run received", timeout=LONG)
    assert "Reported run" in execute([sys.executable, "-Wignore", "-c", both["python"]], secret)
    run_node = [*node(), "--env-file=.env", "agent.mjs"]
    assert "Reported run" in execute(run_node, program=both["node"])
    run.get_by_role("link", name="My first run").click()
    expect(result_in(page).locator("body")).to_contain_text("It works.")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_accessible_and_chosen_by_keyboard(visit: Visit, dark: bool) -> None:
    page = visit(dark=dark).page
    register(page, f"by-keys-{dark}@agents.example.com".lower(), credential=True)
    assert serious_issues(page) == []

    page.get_by_role("radio", name="curl").focus()
    page.keyboard.press("ArrowRight")

    expect(page.get_by_role("radio", name="Python")).to_be_checked()
    expect(page.locator(".target .snippet-python")).to_be_visible()
    expect(page.locator(".target .snippet-curl")).to_be_hidden()


def test_the_page_works_without_scripts(visit: Visit) -> None:
    page = visit(scripts=False).page
    register(page, "plain@agents.example.com", credential=True)

    page.locator(".tab", has_text="Kubernetes").click()

    expect(page.locator(".target .snippet-kubernetes")).to_contain_text("kind: Secret")
    expect(page.locator(".target .snippet-curl")).to_be_hidden()


def test_the_fields_of_a_credential_that_is_not_wanted_are_hidden(visit: Visit) -> None:
    page = visit("/agents/new").page
    name = page.get_by_label("Credential name")
    expect(name).to_be_visible()

    page.get_by_label("Create its first credential").uncheck()

    expect(name).to_be_hidden()
