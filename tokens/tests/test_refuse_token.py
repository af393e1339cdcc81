"""POST /api/v1/token: refusals."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from agents.models import Agent
from organizations.models import AuditEvent, Organization, Principal
from organizations.tenancy.scope import organization_scope
from tokens.models import Credential, TokenEvent
from tokens.tests.clients import FORM, basic
from tokens.tests.factories import make_credential
from tokens.tests.token_requests import URL, ask, assert_not_cached, post


def events_of(agent: Agent) -> list[tuple[str, str]]:
    with organization_scope(agent.organization):
        return list(
            TokenEvent.objects.filter(agent=agent)
            .order_by("created_at")
            .values_list("outcome", "reason")
        )


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


def test_no_authentication_is_refused(client: Client, db: None) -> None:
    answer = post(client, {"grant_type": "client_credentials"})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


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


def test_the_host_is_checked(client: Client, agent: Agent, secret: str) -> None:
    headers = {**basic(agent.pk, secret), "Host": "elsewhere.example"}

    assert post(client, {"grant_type": "client_credentials"}, **headers).status_code == 400
