"""After a rotation each secret shows its own tokens, last use and addresses, and the old one
ends when a person decides so.
"""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import Credential, TokenEvent
from tokens.tests.clients import FORM

HOUR = timedelta(hours=1)


@pytest.fixture
def owner(organization: Organization) -> Membership:
    return make_membership(organization)


@pytest.fixture
def browser(owner: Membership, signed_in: Any) -> Client:
    found: Client = signed_in(owner)
    return found


@pytest.fixture
def api(owner: Membership, client_for: Any) -> Client:
    found: Client = client_for(owner)
    return found


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization)


def make(api: Client, agent: Agent, **body: Any) -> tuple[str, str]:
    """Create a credential; return its API URL and its secret."""
    path = f"/api/v1/agents/{agent.pk}/credentials"
    made = api.post(path, body, content_type="application/json").json()
    return f"{path}/{made['credentialId']}", made["clientSecret"]


def rotate(api: Client, path: str, grace: int = 86_400) -> str:
    body = {"graceSeconds": grace}
    answer = api.post(f"{path}/rotate", body, content_type="application/json")
    return str(answer.json()["clientSecret"])


def ask(agent: Agent, secret: str) -> int:
    body = f"grant_type=client_credentials&client_id={agent.pk}&client_secret={secret}"
    return Client().post("/api/v1/token", body, content_type=FORM).status_code


def page_of(browser: Client, agent: Agent) -> str:
    return browser.get(f"/agents/{agent.pk}").content.decode()


def rows_of(page: str) -> list[str]:
    """The secrets of credentials in rotation."""
    lists = re.findall(r'<ul class="secret-rows">(.*?)</ul>', page, re.DOTALL)
    rows = re.findall(r"<li>.*?</li>", "".join(lists), re.DOTALL)
    return [" ".join(strip_tags(row).split()) for row in rows]


def age_events(organization: Organization, agent: Agent, age: timedelta) -> None:
    with organization_scope(organization):
        for event in TokenEvent.objects.filter(agent=agent):
            TokenEvent.objects.filter(pk=event.pk).update(created_at=event.created_at - age)
        for each in Credential.objects.filter(agent=agent):
            at = (each.rotated_at or timezone.now()) - 2 * age
            Credential.objects.filter(pk=each.pk).update(rotated_at=at)


def test_the_traffic_of_the_old_secret_is_not_shown_under_the_new_one(
    agent: Agent, api: Client, browser: Client
) -> None:
    path, old = make(api, agent)
    new = rotate(api, path)
    assert [ask(agent, old), ask(agent, old)] == [200, 200]

    page = page_of(browser, agent)
    present, before = rows_of(page)

    assert f"…{new[-4:]}" in present
    assert "0 tokens since the rotation not used since the rotation" in present
    assert f"…{old[-4:]}" in before
    assert "2 tokens since the rotation" in before
    assert "from 127.0.0.1" in before
    assert f"The new secret has not been used yet: …{old[-4:]} obtained all tokens" in page


def test_the_page_says_when_the_old_secret_can_go(
    organization: Organization, agent: Agent, api: Client, browser: Client
) -> None:
    path, old = make(api, agent)
    new = rotate(api, path)
    ask(agent, old)
    age_events(organization, agent, 2 * HOUR)
    ask(agent, new)

    page = page_of(browser, agent)

    assert f"The old secret …{old[-4:]} has not been used since" in page
    assert "You can end it." in page


def test_the_page_says_that_several_old_secrets_can_go(
    agent: Agent, api: Client, browser: Client
) -> None:
    path, _ = make(api, agent)
    rotate(api, path)
    new = rotate(api, path)
    ask(agent, new)

    page = page_of(browser, agent)

    assert "None of the old secrets has obtained a token since the rotation" in page
    assert "You can end them." in page


def test_the_page_says_that_several_old_secrets_have_rested(
    organization: Organization, agent: Agent, api: Client, browser: Client
) -> None:
    path, first = make(api, agent)
    rotate(api, path)
    new = rotate(api, path)
    ask(agent, first)
    age_events(organization, agent, 2 * HOUR)
    ask(agent, new)

    page = page_of(browser, agent)

    assert "None of the old secrets has been used since" in page
    assert "You can end them." in page
    assert "You can end it." not in page


def test_two_old_secrets_have_a_row_each(agent: Agent, api: Client, browser: Client) -> None:
    path, first = make(api, agent)
    second = rotate(api, path)
    third = rotate(api, path)
    ask(agent, first)

    hints = [re.findall(r"…(\S+)", row)[0] for row in rows_of(page_of(browser, agent))]

    assert hints == [third[-4:], second[-4:], first[-4:]]
    assert f"…{first[-4:]} obtained all tokens" in page_of(browser, agent)


def test_the_api_ends_old_secrets_at_once_and_keeps_the_current_one(
    organization: Organization, agent: Agent, api: Client
) -> None:
    path, first = make(api, agent)
    second = rotate(api, path)
    third = rotate(api, path)

    answers = [api.post(f"{path}/end-old-secrets") for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json()["oldSecrets"] == []
    assert [ask(agent, secret) for secret in (first, second, third)] == [401, 401, 200]
    with organization_scope(organization):
        events = AuditEvent.objects.filter(action="credential.old_secrets_ended")
        assert [each.metadata for each in events] == [
            {"secretHints": [second[-4:], first[-4:]], "oldSecrets": 2}
        ]
        refused = TokenEvent.objects.filter(agent=agent, outcome="refused")
        assert {(each.reason, each.secret_hint) for each in refused} == {
            ("secret_rotated", first[-4:]),
            ("secret_rotated", second[-4:]),
        }


def test_an_old_secret_in_use_is_typed_before_it_ends_on_the_page(
    agent: Agent, api: Client, browser: Client
) -> None:
    path, old = make(api, agent)
    rotate(api, path)
    ask(agent, old)
    page = path.removeprefix("/api/v1") + "/end-old-secrets"

    assert browser.post(page).status_code == 400
    assert ask(agent, old) == 200
    assert browser.post(page, {"typed": old[-4:]}).status_code == 302
    assert ask(agent, old) == 401
    assert "works any more" in browser.post(page, follow=True).content.decode()


def test_requests_keep_the_secret_and_the_name_that_they_came_with(
    organization: Organization, agent: Agent, api: Client, browser: Client
) -> None:
    path, old = make(api, agent, name="prod, k8s")
    ask(agent, old)
    new = rotate(api, path, grace=0)
    api.patch(path, {"name": "staging"}, content_type="application/json")
    ask(agent, new)

    with organization_scope(organization):
        kept = TokenEvent.objects.filter(agent=agent).order_by("created_at")
        assert [(each.used_hint, each.used_name) for each in kept] == [
            (old[-4:], "prod, k8s"),
            (new[-4:], "staging"),
        ]
    rows = browser.get(f"/tokens?agent={agent.pk}").content.decode()
    assert f"…{old[-4:]}" in rows
    assert "prod, k8s" in rows


def test_earlier_rows_keep_their_known_values(organization: Organization, agent: Agent) -> None:
    now = timezone.now()
    credential = Credential(organization=organization, agent=agent, secret_hint="new1")
    event = TokenEvent(credential=credential, outcome="issued", created_at=now)
    assert event.used_hint == "new1"

    credential.rotated_at = now - HOUR
    assert event.used_hint == "new1"
    event.used_previous_secret = True
    assert event.used_hint == ""
    event.used_previous_secret, event.created_at = False, now - 2 * HOUR
    assert event.used_hint == ""


def test_a_name_is_changed_on_the_page_and_recorded_once(
    organization: Organization, agent: Agent, api: Client, browser: Client
) -> None:
    path, _ = make(api, agent)
    page = path.removeprefix("/api/v1") + "/edit"

    for _ in range(2):
        assert browser.post(page, {"name": "  prod, k8s "}).status_code == 302

    assert "prod, k8s" in page_of(browser, agent)
    assert api.get(path.rpartition("/")[0]).json()["data"][0]["name"] == "prod, k8s"
    with organization_scope(organization):
        assert AuditEvent.objects.filter(action="credential.renamed").count() == 1
    assert browser.post(page, {"name": "x" * 65}).status_code == 400
    assert browser.post(page, {"name": "a\u202eb"}).status_code == 400
