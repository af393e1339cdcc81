"""Forged and altered tokens are refused everywhere, without a server error."""

import socket
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.keys import key_ring, rotate_signing_key
from tokens.models import LoginSession, Revocation
from tokens.tests.clients import bearer
from tokens.tests.factories import access_token_for, person_refresh
from tokens.tests.forgeries import FORGERIES
from tokens.tests.forgery import (
    Parts,
    claims_with,
    claims_without,
    header_with,
    hmac_with,
    sign,
    spellings_of_public_key,
    take_apart,
    time_claim,
    with_other_signature_value,
)


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "tokens:read"])


@pytest.fixture
def real(agent: Agent) -> Parts:
    return take_apart(access_token_for(agent))


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on connections, which a verifier that follows jku or x5u would open."""

    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def assert_refused(asker: Client, text: str, name: str = "") -> None:
    """Assert that a protected route and introspection refuse the token."""
    answer = Client().get("/api/v1/agents", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 401, name
    assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_token"'), name
    assert answer.json()["code"] == "UNAUTHORIZED", name

    checked = asker.post("/api/v1/token/introspect", {"token": text})
    assert checked.status_code == 200, (name, checked.content)
    assert checked.content == b'{"active":false}', name


@pytest.fixture
def asker(organization: Organization) -> Client:
    """A client that may introspect."""
    return bearer(access_token_for(make_agent(organization, scopes=["tokens:read"])))


@pytest.mark.parametrize("what", FORGERIES)
def test_a_token_with_forged_parts_is_refused(real: Parts, asker: Client, what: str) -> None:
    for name, forge in FORGERIES[what].items():
        assert_refused(asker, forge(real), name)


def test_the_tools_make_tokens_that_would_work(real: Parts, client: Client) -> None:
    header = {"Authorization": f"Bearer {sign(real.header, real.claims)}"}

    assert client.get("/api/v1/agents", headers=header).status_code == 200


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize(
    "spelling",
    ["spki", "pkcs1", "crlf", "no-final-newline", "byte-order-mark", "der", "jwk", "jwks"],
)
def test_a_public_key_is_no_hmac_secret(
    real: Parts, asker: Client, spelling: str, algorithm: str
) -> None:
    key = spellings_of_public_key()[spelling]

    assert_refused(asker, hmac_with(key, algorithm)(real))


def test_a_removed_key_verifies_nothing(real: Parts, client: Client) -> None:
    new = rotate_signing_key("ES256", is_emergency=True)
    key_ring.forget()

    answer = client.get("/api/v1/agents", headers={"Authorization": f"Bearer {real.text}"})

    assert new.kid != real.header["kid"]
    assert answer.status_code == 401
    key_ring.forget()


def test_an_unknown_key_id_causes_no_query(real: Parts, client: Client) -> None:
    key_ring.by_kid("")

    with CaptureQueriesContext(connection) as queries:
        for number in range(20):
            forged = header_with(kid=f"unknown-{number}")(real)
            client.get("/api/v1/agents", headers={"Authorization": f"Bearer {forged}"})

    assert not [query for query in queries if "tokens_signingkey" in query["sql"]]


def test_claims_of_another_organization_are_refused(
    real: Parts, asker: Client, other_organization: Organization
) -> None:
    """We signed the token, but the agent belongs to another organization."""
    forged = claims_with(organization_id=other_organization.public_id)(real)

    assert_refused(asker, forged)


def test_an_agent_with_another_agents_credential_is_refused(
    real: Parts, asker: Client, organization: Organization
) -> None:
    other = take_apart(access_token_for(make_agent(organization)))

    assert_refused(asker, claims_with(credential_id=other.claims["credential_id"])(real))


def test_a_suspended_organization_has_no_live_tokens(
    real: Parts, client: Client, organization: Organization
) -> None:
    Organization.objects.filter(pk=organization.pk).update(status="suspended")
    header = {"Authorization": f"Bearer {real.text}"}

    assert client.get("/api/v1/agents", headers=header).status_code == 401


def test_the_other_signature_of_a_revoked_token_is_revoked_too(
    real: Parts, asker: Client, agent: Agent
) -> None:
    twin = with_other_signature_value(real.text)
    assert twin != real.text
    with organization_scope(agent.organization):
        Revocation.objects.create(
            organization=agent.organization,
            token_id=real.claims["jti"],
            expires_at=agent.created_at,
        )

    assert_refused(asker, real.text)
    assert_refused(asker, twin)


def test_other_secrets_are_no_access_tokens(
    organization: Organization, asker: Client, client: Client
) -> None:
    membership = make_membership(organization)
    session = LoginSession.objects.create(user=membership.user)
    refresh = str(person_refresh(membership, session))
    client.force_login(membership.user)

    for secret in (refresh, client.cookies["sessionid"].value, "sk_live_" + "x" * 43):
        assert_refused(asker, secret)


@pytest.mark.parametrize(("seconds", "status"), [(-1, 200), (-8, 401)])
def test_the_clock_may_be_five_seconds_off(
    real: Parts, client: Client, seconds: int, status: int
) -> None:
    header = {"Authorization": f"Bearer {time_claim('exp', seconds)(real)}"}

    assert client.get("/api/v1/agents", headers=header).status_code == status


def test_a_forged_token_is_refused_for_people_too(
    organization: Organization, asker: Client
) -> None:
    real = take_apart(access_token_for(make_membership(organization)))

    assert_refused(asker, claims_without("session_id")(real))
    assert_refused(asker, claims_with(session_id=str(uuid4()))(real))
    assert_refused(asker, claims_with(session_id=1)(real))
    assert_refused(asker, claims_with(token_use="agent")(real))
    assert_refused(asker, claims_with(sub=str(uuid4()))(real))
