"""Changes that are hard to undo need a confirmation, with and without JavaScript."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from django.utils.html import strip_tags

from agents.models import Agent
from organizations.tenancy.scope import organization_scope
from tests.calls import browser_of, call
from tests.endpoint import Endpoint
from tests.endpoints import PAGES, QUESTIONS
from tests.tenants import Tenant

EACH_QUESTION = pytest.mark.parametrize("question", QUESTIONS, ids=str)
HARMLESS = {"/logout", "/organization", "/audit/verify", "/docs/token"}
"""Single-button forms that end or change nothing in the organization."""


class BareForms(HTMLParser):
    """Collects the actions of forms that consist of a button only, outside dialogs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.action: str | None = None
        self.fields = self.dialogs = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "dialog":
            self.dialogs += 1
        elif tag == "form" and given.get("method") == "post" and not self.dialogs:
            self.action, self.fields = given.get("action") or "", 0
        elif tag in {"input", "select", "textarea"}:
            self.fields += given.get("type") != "hidden"
        elif tag == "button":
            self.fields += "name" in given

    def handle_endtag(self, tag: str) -> None:
        if tag == "dialog":
            self.dialogs -= 1
        elif tag == "form" and self.action is not None:
            if not self.fields:
                self.found.append(self.action)
            self.action = None


def words(part: str) -> str:
    return " ".join(strip_tags(part).split())


def ask(question: Endpoint, tenant: Tenant) -> tuple[dict[str, str], Any]:
    """Open the confirmation page with sufficient permissions; return the ids in its URL and the
    response.
    """
    if question.path.endswith("/reactivate"):
        with organization_scope(tenant.organization):
            Agent.objects.filter(pk=tenant.agent.pk).update(status=Agent.Status.SUSPENDED)
    ids, browser = question.ids(tenant), browser_of(tenant, "owner")
    before = tenant.rows()
    response = call(browser, question, tenant, ids=ids)
    assert tenant.rows() == before
    return ids, response


@EACH_QUESTION
def test_the_page_without_a_script_asks_in_the_words_of_the_dialog(
    question: Endpoint, ours: Tenant
) -> None:
    ids, response = ask(question, ours)
    address = question.path.format(**ids)
    main = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL)
    assert main
    asked = re.search(
        rf'<h1>(.*?)</h1>.*?(<p>.*?)<form class="form" method="post" action="{address}">',
        main[0],
        re.DOTALL,
    )
    back = re.search(r'class="page-back" href="([^"]+)"', main[0])
    assert asked
    assert back

    page = browser_of(ours, "owner").get(back[1]).content.decode()

    dialog = next(
        each
        for each in re.findall(r"<dialog.*?</dialog>", page, re.DOTALL)
        if f'action="{address}"' in each
    )
    shown = re.search(r"<h2[^>]*>(.*?)</h2>.*?(<p>.*?)<form", dialog, re.DOTALL)
    assert shown
    assert [words(each) for each in asked.groups()] == [words(each) for each in shown.groups()]
    assert f'href="{address}"' in page


@EACH_QUESTION
def test_the_answer_acts(question: Endpoint, ours: Tenant) -> None:
    ids, _ = ask(question, ours)
    before = ours.rows()

    answer = replace(question, method="POST", is_form=True)
    response = call(browser_of(ours, "owner"), answer, ours, ids=ids)

    assert response.status_code == 302
    assert ours.rows() != before


@pytest.mark.parametrize(
    "page", [each for each in PAGES if each.method == "GET" and not each.asks], ids=str
)
def test_no_page_has_a_button_that_acts_at_once(page: Endpoint, ours: Tenant) -> None:
    ours.fill()
    reader = BareForms()

    response = call(browser_of(ours, "owner"), page, ours)
    if response["Content-Type"].startswith("text/html"):
        reader.feed(response.content.decode())

    assert set(reader.found) <= HARMLESS
