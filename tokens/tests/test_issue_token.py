"""POST /api/v1/token: issued tokens, and refusals."""

import time
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import urlencode
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
from organizations.models import AuditEvent, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tokens.models import Credential, TokenEvent
from tokens.tests.clients import FORM, basic
from tokens.tests.factories import make_credential

URL = "/api/v1/token"


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "tokens:read"])


@pytest.fixture
def secret(agent: Agent) -> str:
    return make_credential(agent)[1]


def post(client: Client, body: dict[str, Any] | str, **headers: str) -> Any:
    text = body if isinstance(body, str) else urlencode(body)
    return client.post(URL, text, content_type=FORM, headers=headers)


def ask(client: Client, agent: Agent, secret: str, **more: Any) -> Any:
    return post(
        client,
        {
            "grant_type": "client_credentials",
            "client_id": agent.pk,
            "client_secret": secret,
            **more,
        },
    )


def events_of(agent: Agent) -> list[tuple[str, str]]:
    with organization_scope(agent.organization):
        return list(
            TokenEvent.objects.filter(agent=agent)
            .order_by("created_at")
            .values_list("outcome", "reason")
        )


def assert_not_cached(answer: Any) -> None:
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert answer["Pragma"] == "no-cache"


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


def break_unknown(agent: Agent, credential: Credential) -> None:
    Principal.objects.filter(pk=agent.pk).update(organization_id="0" * 32)


def break_revoked(agent: Agent, credential: Credential) -> None:
    Credential.objects.update(status="revoked")


def break_expired(agent: Agent, credential: Credential) -> None:
    Credential.objects.update(expires_at=credential.created_at)


def break_suspended(agent: Agent, credential: Credential) -> None:
    Agent.objects.update(status="suspended")


def break_decommissioned(agent: Agent, credential: Credential) -> None:
    Agent.objects.update(status="decommissioned")


def break_organization(agent: Agent, credential: Credential) -> None:
    Organization.objects.filter(pk=agent.organization_id).update(status="suspended")


def break_rotated(agent: Agent, credential: Credential) -> None:
    Credential.objects.update(
        previous_secret_mac=credential.secret_mac,
        previous_expires_at=credential.created_at,
        secret_mac=b"another",
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (break_unknown, None),
        (break_revoked, "credential_revoked"),
        (break_expired, "credential_expired"),
        (break_rotated, "secret_rotated"),
        (break_suspended, "agent_suspended"),
        (break_decommissioned, "agent_decommissioned"),
        (break_organization, "organization_suspended"),
    ],
)
def test_every_refused_client_gets_the_same_answer(
    client: Client, agent: Agent, spoil: Any, reason: str | None
) -> None:
    credential, secret = make_credential(agent)
    wrong = ask(client, agent, "sk_live_wrong")

    with organization_scope(agent.organization):
        spoil(agent, credential)
    answer = ask(client, agent, secret)

    assert wrong.status_code == answer.status_code == 401
    assert wrong.content == answer.content
    assert answer.json()["error"] == "invalid_client"
    assert answer["WWW-Authenticate"].startswith("Basic ")
    assert_not_cached(answer)
    if reason:
        assert events_of(agent) == [("refused", "wrong_secret"), ("refused", reason)]
        with organization_scope(agent.organization):
            failed = AuditEvent.objects.filter(action="auth.failed")
            assert {event.metadata["reason"] for event in failed} == {"wrong_secret", reason}


@pytest.mark.parametrize(
    "client_id", ["x", "", "0", "🙂", "00000000-0000-0000-0000-000000000000", "{}", "a" * 2000]
)
def test_an_impossible_client_id_is_an_unknown_client(
    client: Client, db: None, client_id: str
) -> None:
    answer = post(client, {"grant_type": "client_credentials"}, **basic(client_id, "sk_live_x"))

    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "audit:read"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "nonsense"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": 'a"b'}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "a\\b"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "a\tb"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "a  b"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": " "}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "resource": "https://x"}, 400, "invalid_target"),
        ({"grant_type": "client_credentials", "client_secret": "x"}, 400, "invalid_request"),
        ({"grant_type": "client_credentials", "client_id": "x"}, 400, "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request"),
        ("grant_type=client_credentials&scope=a&scope=b", 400, "invalid_request"),
        ("%ff=%fe&grant_type=client_credentials", 400, "invalid_request"),
        ("&".join(f"p{n}=1" for n in range(1000)), 400, "invalid_request"),
        ("grant_type=" + "a" * 70_000, 413, "invalid_request"),
    ],
)
def test_a_bad_request_is_named(
    client: Client, agent: Agent, secret: str, body: Any, status: int, error: str
) -> None:
    answer = post(client, body, **basic(agent.pk, secret))

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert_not_cached(answer)


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic bm9jb2xvbg==",
        "Basic /w==",
        "Bearer x",
        "Basic " + "A" * 100_000,
    ],
)
def test_unreadable_credentials_are_refused(client: Client, db: None, header: str) -> None:
    answer = post(client, {"grant_type": "client_credentials"}, Authorization=header)

    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


def test_the_scheme_is_not_case_sensitive(client: Client, agent: Agent, secret: str) -> None:
    header = basic(agent.pk, secret)["Authorization"].replace("Basic", "bAsIc")

    answer = post(client, {"grant_type": "client_credentials"}, Authorization=header)

    assert answer.status_code == 200


def test_no_authentication_is_refused(client: Client, db: None) -> None:
    answer = post(client, {"grant_type": "client_credentials"})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_unknown_parameters_are_ignored(client: Client, agent: Agent, secret: str) -> None:
    assert ask(client, agent, secret, flavour="vanilla").status_code == 200


def test_parameters_in_the_address_are_refused(client: Client, agent: Agent, secret: str) -> None:
    query = urlencode(
        {"grant_type": "client_credentials", "client_id": agent.pk, "client_secret": secret}
    )

    answer = client.post(f"{URL}?{query}", "", content_type=FORM)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["get", "put", "head", "delete", "patch", "options", "trace"])
def test_other_methods_are_refused(client: Client, db: None, method: str) -> None:
    answer = getattr(client, method)(URL)

    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "multipart/form-data", ""]
)
def test_other_content_types_are_refused(
    client: Client, agent: Agent, secret: str, content_type: str
) -> None:
    answer = client.post(URL, b"{}", content_type=content_type, headers=basic(agent.pk, secret))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("url", [f"{URL}/", f"{URL}/introspect/", f"{URL}/revoke/"])
def test_a_trailing_slash_is_answered_with_an_oauth_error(
    client: Client, agent: Agent, secret: str, url: str
) -> None:
    body = urlencode({"grant_type": "client_credentials"})

    answer = client.post(url, body, content_type=FORM, headers=basic(agent.pk, secret))

    assert answer.status_code == 404
    assert answer.json() == {
        "error": "invalid_request",
        "error_description": "There is nothing at this address. Remove the trailing slash.",
    }


def test_the_eleventh_failure_in_a_minute_waits(client: Client, agent: Agent, secret: str) -> None:
    answers = [ask(client, agent, "sk_live_wrong") for _ in range(11)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert ask(client, agent, secret).status_code == 429
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert ask(elsewhere, agent, secret).status_code == 200


def test_the_monthly_limit_holds(client: Client, agent: Agent, secret: str) -> None:
    Organization.objects.filter(pk=agent.organization_id).update(max_tokens_per_month=2)

    answers = [ask(client, agent, secret) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1]["Retry-After"]) > 0
    assert events_of(agent)[-1] == ("refused", "monthly_limit")


def test_a_limit_of_zero_allows_nothing(client: Client, agent: Agent, secret: str) -> None:
    Organization.objects.filter(pk=agent.organization_id).update(max_tokens_per_month=0)

    assert ask(client, agent, secret).status_code == 429


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


def test_the_host_is_checked(client: Client, agent: Agent, secret: str) -> None:
    headers = {**basic(agent.pk, secret), "Host": "elsewhere.example"}

    assert post(client, {"grant_type": "client_credentials"}, **headers).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_replaced(client: Client) -> None:
    agent = make_agent(make_organization())
    _, secret = make_credential(agent)
    ask(client, agent, secret)
    backend = connection.connection.info.backend_pid
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [backend])

    assert ask(client, agent, secret).status_code == 200
    assert connection.connection.info.backend_pid != backend
