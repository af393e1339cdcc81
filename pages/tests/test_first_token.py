"""From the first agent to the first token, the pages show which steps are done and which is
next.
"""

from typing import Any

from django.test import Client

from agents.tests.factories import make_agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import TokenEvent
from tokens.tests.clients import FORM
from tokens.tests.factories import make_credential


def ask(client_id: object, secret: str) -> None:
    body = f"grant_type=client_credentials&client_id={client_id}&client_secret={secret}"
    Client().post("/api/v1/token", body, content_type=FORM)


def test_the_steps_tick_one_by_one(organization: Organization, signed_in: Any) -> None:
    browser = signed_in(make_membership(organization))

    def page() -> str:
        return str(browser.get("/").content.decode())

    assert page().count('class="step-done"') == 0
    assert "Register agent</a>" in page().partition("Two steps")[2]
    agent = make_agent(organization)
    assert page().count('class="step-done"') == 0
    assert "1 agent registered" in page()
    assert f"/agents/{agent.pk}/credentials/new" in page()
    _, secret = make_credential(agent)
    assert page().count('class="step-done"') == 1
    assert "waiting for the first token" in page()
    assert f"%s:%s&quot;&#x27; {agent.pk}" in page()

    ask(agent.pk, secret)

    assert "Two steps" not in page()
    assert "First token received at" in page()
    assert "from 127.0.0.1" in page()


def test_the_secret_page_waits_for_the_first_token_and_names_a_refusal(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    credential, secret = make_credential(agent)
    browser = signed_in(make_membership(organization))
    path = f"/agents/{agent.pk}/credentials/{credential.pk}/first-token"

    def part() -> str:
        return str(browser.get(path).content.decode())

    assert "Waiting for the first token" in part()
    assert f'hx-get="{path}"' in part()

    browser.post(f"/agents/{agent.pk}/suspend")
    ask(agent.pk, secret)
    assert "Agent suspended. Still waiting" in part()

    browser.post(f"/agents/{agent.pk}/reactivate")
    ask(agent.pk, secret)
    assert "First token received" in part()
    assert f'hx-get="{path}"' not in part()


def test_a_rotated_secret_waits_for_its_own_first_token(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    credential, old = make_credential(agent)
    browser = signed_in(make_membership(organization))
    path = f"/agents/{agent.pk}/credentials/{credential.pk}"

    browser.post(f"{path}/rotate", {"grace_seconds": "3600"})
    ask(agent.pk, old)

    assert "Waiting for the first token" in browser.get(f"{path}/first-token").content.decode()
    with organization_scope(organization):
        assert TokenEvent.objects.filter(outcome="issued").count() == 1
