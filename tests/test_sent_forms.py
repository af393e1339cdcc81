"""Recognizing a page's form that has already been processed."""

import re
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from agents.models import Agent
from organizations.models import AnsweredRequest, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from pages.sent_forms import SENT_TWICE

PASSWORD, NEW = "correct horse battery staple", "another long and quiet password"
FIELDS = {
    "agent_type": "screener",
    "version": "1.0.0",
    "capabilities": "resume:read",
    "owner": "platform",
    "deployment_env": "production",
}


@pytest.fixture
def browser(organization: Organization) -> Client:
    """A client that sends the hidden fields of its page, as browsers do."""
    member = make_membership(organization, "owner", make_user("ada@example.com", PASSWORD))
    client = Client(enforce_csrf_checks=True, headers={"Accept": "text/html"})
    client.force_login(member.user)
    return client


def token_on(browser: Client, path: str) -> str:
    page = browser.get(path).content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found[1]


def send(browser: Client, path: str, token: str, **fields: str) -> Any:
    return browser.post(path, {"csrfmiddlewaretoken": token, **fields})


def said(answer: Any) -> str:
    return " ".join(str(each) for each in get_messages(answer.wsgi_request))


def addresses(organization: Organization) -> set[str]:
    with organization_scope(organization):
        return set(Agent.objects.values_list("email", flat=True))


def test_a_form_sent_twice_redirects_to_the_first_result(
    browser: Client, organization: Organization
) -> None:
    token = token_on(browser, "/agents/new")
    first = send(browser, "/agents/new", token, email="a@example.com", **FIELDS)

    second = send(browser, "/agents/new", token, email="a@example.com", **FIELDS)

    assert (second.status_code, second["Location"]) == (302, first["Location"])
    assert f"{SENT_TWICE} a is registered." in said(second)
    assert addresses(organization) == {"a@example.com"}


def test_other_content_on_the_same_page_is_another_form(
    browser: Client, organization: Organization
) -> None:
    token = token_on(browser, "/agents/new")

    for email in ("a@example.com", "b@example.com"):
        answer = send(browser, "/agents/new", token, email=email, **FIELDS)
        assert SENT_TWICE not in said(answer)

    assert addresses(organization) == {"a@example.com", "b@example.com"}


def test_a_reloaded_page_has_another_form(browser: Client) -> None:
    for _ in range(2):
        token = token_on(browser, "/settings")
        fields = {"name": "Northwind", "slug": "northwind", "time_zone": "Europe/Berlin"}
        answer = send(browser, "/settings", token, signing_algorithm="ES256", **fields)

        assert "Settings saved." in said(answer)
        assert SENT_TWICE not in said(answer)


def test_a_refused_form_may_be_accepted_later(browser: Client, organization: Organization) -> None:
    path = f"/members/{make_membership(organization, 'viewer').pk}/role"
    token = token_on(browser, "/members")
    Organization.objects.filter(pk=organization.pk).update(max_agents=0)
    refused = send(browser, "/agents/new", token, email="a@example.com", **FIELDS)
    assert refused.status_code == 400
    Organization.objects.filter(pk=organization.pk).update(max_agents=9)

    accepted = send(browser, "/agents/new", token, email="a@example.com", **FIELDS)
    wrong = [send(browser, path, token, role="king") for _ in range(2)]

    assert accepted.status_code == 302
    assert addresses(organization) == {"a@example.com"}
    assert all("Choose one of the roles." in said(each) for each in wrong)
    assert SENT_TWICE not in said(wrong[1])


def test_the_stored_key_of_a_form_reveals_no_content(
    browser: Client, organization: Organization
) -> None:
    token = token_on(browser, "/agents/new")
    send(browser, "/agents/new", token, email="quiet@example.com", **FIELDS)

    with organization_scope(organization):
        kept = str(vars(AnsweredRequest.objects.get()))

    assert token not in kept
    assert "quiet@example.com" not in kept


def test_a_password_that_was_just_changed_is_not_called_wrong(browser: Client) -> None:
    token = token_on(browser, "/password")
    fields = {"current": PASSWORD, "new": NEW}
    send(browser, "/password", token, **fields)

    again = send(browser, "/password", token, **fields)
    loaded_anew = send(browser, "/password", token_on(browser, "/password"), **fields)

    assert again.status_code == 302
    assert f"{SENT_TWICE} Your password was changed." in said(again)
    assert loaded_anew.status_code == 400


@pytest.mark.parametrize(
    ("page", "next_page"),
    [
        ("http://testserver/agents?q=a", "/agents%3Fq%3Da"),
        ("https://evil.example/agents", "/"),
        ("", "/"),
    ],
)
def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(
    db: None, page: str, next_page: str
) -> None:
    answer = Client().post("/logout", headers={"Referer": page})

    assert answer["Location"] == f"/login?next={next_page}"
