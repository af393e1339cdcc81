"""The confirmation of a revocation says which credential it is and what ends with it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import Credential, Revocation, TokenEvent
from tokens.tests.factories import make_credential, make_resource


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization))
    return found


def record_token(credential: Credential, age: timedelta, **fields: Any) -> TokenEvent:
    with organization_scope(credential.organization):
        return TokenEvent.objects.create(
            organization=credential.organization,
            agent_id=credential.agent_id,
            credential=credential,
            outcome="issued",
            created_at=timezone.now() - age,
            **fields,
        )


def path_of(credential: Credential) -> str:
    return f"/agents/{credential.agent_id}/credentials/{credential.pk}/revoke"


def words_of(page: bytes) -> str:
    main = re.search(r"<main.*</main>", page.decode(), re.DOTALL)
    assert main
    return " ".join(strip_tags(main[0]).split())


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization)


def test_the_question_names_the_secret_its_traffic_and_its_live_tokens(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    used_at = timezone.now() - hours(30)
    credential, _ = make_credential(agent, last_used_at=used_at)
    other, _ = make_credential(agent)
    long_lived = make_resource(organization, token_lifetime=86_400)
    for age in (0.5, 0.9, 2, 48):
        record_token(credential, hours(age))
    record_token(credential, hours(20), resource=long_lived.identifier)
    record_token(other, hours(0.5))
    revoked = record_token(credential, hours(0.1), token_id="0b1f2c6e-9f3a-4d55-8d5e-3f0a2b6c7d8e")
    with organization_scope(organization):
        Revocation.objects.create(
            organization=organization, token_id=revoked.token_id, expires_at=timezone.now()
        )

    text = words_of(browser.get(path_of(credential)).content)

    assert f"…{credential.secret_hint} of {agent.name} stops at once" in text
    assert "It obtained 6 tokens in 30 days, the last on" in text
    assert "3 live tokens end with it." in text


def test_a_secret_that_never_got_a_token_says_so(agent: Agent, browser: Client) -> None:
    credential, _ = make_credential(agent)

    text = words_of(browser.get(path_of(credential)).content)

    assert "It has never obtained a token. No live tokens end with it." in text


def test_tokens_of_a_suspended_agent_are_not_live(agent: Agent, browser: Client) -> None:
    credential, _ = make_credential(agent)
    record_token(credential, hours(0.5))
    browser.post(f"/agents/{agent.pk}/suspend")

    assert "No live tokens end" in words_of(browser.get(path_of(credential)).content)


@pytest.mark.parametrize("typed", ["", "wrong", None])
def test_a_secret_used_within_the_hour_is_typed_first(
    organization: Organization, agent: Agent, browser: Client, typed: str | None
) -> None:
    credential, _ = make_credential(agent, last_used_at=timezone.now() - hours(0.9))

    refused = browser.post(path_of(credential), {} if typed is None else {"typed": typed})

    assert refused.status_code == 400
    assert f"type {credential.secret_hint} exactly" in words_of(refused.content)
    with organization_scope(organization):
        credential.refresh_from_db()
        assert not credential.is_revoked

    accepted = browser.post(path_of(credential), {"typed": f" {credential.secret_hint} "})

    assert accepted.status_code == 302
    with organization_scope(organization):
        credential.refresh_from_db()
        assert credential.is_revoked


def test_one_that_rested_for_longer_needs_no_typing(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    credential, _ = make_credential(agent, last_used_at=timezone.now() - hours(1.1))

    assert b'name="typed"' not in browser.get(path_of(credential)).content
    assert browser.post(path_of(credential)).status_code == 302
