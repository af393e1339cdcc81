"""POST /api/v1/token: issued tokens."""

import time
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

import jwt
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tokens.models import Credential, TokenEvent
from tokens.tests.clients import basic
from tokens.tests.factories import make_credential
from tokens.tests.token_requests import ask, assert_not_cached, post


def test_a_client_gets_a_token_by_basic(client: Client, agent: Agent, secret: str) -> None:
    answer = post(client, {"grant_type": "client_credentials"}, **basic(agent.pk, secret))

    assert answer.status_code == 200
    assert_not_cached(answer)
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert body["scope"] == "agents:read tokens:read"


def test_the_token_says_who_it_is_for(client: Client, agent: Agent, secret: str) -> None:
    text = ask(client, agent, secret, scope="agents:read").json()["access_token"]

    header = jwt.get_unverified_header(text)
    keys = client.get("/.well-known/jwks.json").json()
    claims = joserfc_jwt.decode(text, KeySet.import_key_set(keys), algorithms=["ES256"]).claims
    assert set(header) == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert claims["iss"] == settings.ISSUER
    assert claims["aud"] == settings.AUDIENCE
    assert claims["sub"] == claims["client_id"] == str(agent.pk)
    assert claims["organization_id"] == f"org-{agent.organization_id}"
    assert claims["scope"] == "agents:read"
    assert claims["exp"] - claims["iat"] == 3600


def test_a_token_was_never_issued_in_the_future(client: Client, agent: Agent, secret: str) -> None:
    """Verifiers without leeway (PyJWT's default) would refuse it, so `iat` is never rounded up."""
    started = time.monotonic()
    while time.monotonic() < started + 1:  # covers all fractions of a second
        text = ask(client, agent, secret).json()["access_token"]
        assert jwt.decode(text, options={"verify_signature": False})["iat"] <= time.time()


def test_an_organization_may_choose_rs256(client: Client, agent: Agent, secret: str) -> None:
    Organization.objects.update(signing_algorithm="RS256")

    text = ask(client, agent, secret).json()["access_token"]

    keys = client.get("/.well-known/jwks.json").json()
    joserfc_jwt.decode(text, KeySet.import_key_set(keys), algorithms=["RS256"])
    bearer = {"Authorization": f"Bearer {text}"}
    assert client.get("/api/v1/agents", headers=bearer).status_code == 200


def test_an_issued_token_leaves_one_event(client: Client, agent: Agent, secret: str) -> None:
    text = ask(client, agent, secret).json()["access_token"]

    with organization_scope(agent.organization):
        event = TokenEvent.objects.get()
    assert event.outcome == "issued"
    assert str(event.token_id) == jwt.decode(text, options={"verify_signature": False})["jti"]
    assert event.scope == "agents:read tokens:read"
    assert str(event.ip_address) == "127.0.0.1"


def test_issuing_marks_the_credential_as_used(client: Client, agent: Agent, secret: str) -> None:
    ask(client, agent, secret)

    with organization_scope(agent.organization):
        assert Credential.objects.get().last_used_at is not None


def test_the_scheme_is_not_case_sensitive(client: Client, agent: Agent, secret: str) -> None:
    header = basic(agent.pk, secret)["Authorization"].replace("Basic", "bAsIc")

    answer = post(client, {"grant_type": "client_credentials"}, Authorization=header)

    assert answer.status_code == 200


def test_unknown_parameters_are_ignored(client: Client, agent: Agent, secret: str) -> None:
    assert ask(client, agent, secret, flavour="vanilla").status_code == 200


def test_tokens_never_repeat(client: Client, agent: Agent, secret: str) -> None:
    tokens = [ask(client, agent, secret).json()["access_token"] for _ in range(50)]

    ids = [
        UUID(jwt.decode(text, options={"verify_signature": False})["jti"]).int for text in tokens
    ]
    assert len(set(ids)) == 50
    # A random bit is the same in fifty ids once in 2 ** 49 times. UUID version 7 has 74.
    varying = reduce(or_, (each ^ ids[0] for each in ids))
    assert varying.bit_count() >= 74


def test_a_request_takes_one_statement(
    client: Client, agent: Agent, secret: str, django_assert_num_queries: Any
) -> None:
    ask(client, agent, secret)

    with django_assert_num_queries(0):  # the one statement bypasses Django's query log
        ask(client, agent, secret)


def test_what_guards_every_answer_is_there(client: Client, agent: Agent, secret: str) -> None:
    answer = ask(client, agent, secret)

    assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Request-Id"]
    assert int(answer["Content-Length"]) == len(answer.content)


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_replaced(client: Client) -> None:
    agent = make_agent(make_organization())
    _, secret = make_credential(agent)
    ask(client, agent, secret)
    backend = connection.connection.info.backend_pid
    with psycopg.connect(**connection.get_connection_params()) as other:
        (is_gone,) = other.execute("SELECT pg_terminate_backend(%s, 60000)", [backend]).fetchone()
    assert is_gone

    assert ask(client, agent, secret).status_code == 200
    assert connection.connection.info.backend_pid != backend
