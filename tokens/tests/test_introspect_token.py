"""POST /api/v1/token/introspect: who may ask, and what they learn (RFC 7662)."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.models import AgentDayUsage
from analytics.rebuild import rebuild_rollups
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.actions import existing_tokens
from tokens.actions.existing_tokens import RECORDED_INTROSPECTIONS
from tokens.models import Credential, TokenEvent
from tokens.oauth import introspection
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import access_token_for, make_credential
from tokens.tests.forgery import sign, take_apart

URL = "/api/v1/token/introspect"
INACTIVE = b'{"active":false}'


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "tokens:read"])


@pytest.fixture
def asker(organization: Organization) -> FormClient:
    return bearer(access_token_for(make_agent(organization, scopes=["tokens:read"])))


def test_a_live_token_is_described(agent: Agent, asker: FormClient) -> None:
    token = access_token_for(agent)

    answer = asker.post(URL, {"token": token})

    claims = take_apart(token).claims
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer["Pragma"] == "no-cache"
    assert answer.json() == {
        "active": True,
        "token_type": "Bearer",
        "scope": "agents:read tokens:read",
        "client_id": str(agent.pk),
        "sub": str(agent.pk),
        "aud": settings.AUDIENCE,
        "iss": settings.ISSUER,
        "exp": claims["exp"],
        "iat": claims["iat"],
        "jti": claims["jti"],
        "organization_id": agent.organization.public_id,
    }


def test_a_persons_token_is_described(organization: Organization, asker: FormClient) -> None:
    membership = make_membership(organization, Membership.Role.VIEWER)

    body = asker.post(URL, {"token": access_token_for(membership)}).json()

    assert (body["active"], body["sub"]) == (True, str(membership.user_id))
    assert "client_id" not in body


def test_an_introspection_leaves_one_event(agent: Agent, asker: FormClient) -> None:
    token = access_token_for(agent)

    asker.post(URL, {"token": token})

    with organization_scope(agent.organization):
        event = TokenEvent.objects.get(outcome="introspected")
    assert event.agent_id == agent.pk
    assert str(event.token_id) == take_apart(token).claims["jti"]


@pytest.fixture
def one_minute() -> Iterator[None]:
    """Let the test take place within one minute."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


def introspections(organization: Organization) -> list[TokenEvent]:
    with organization_scope(organization):
        return list(TokenEvent.objects.filter(outcome="introspected"))


@pytest.mark.usefixtures("one_minute")
def test_many_introspections_are_counted_but_fill_no_table(
    agent: Agent, asker: FormClient, organization: Organization
) -> None:
    token = access_token_for(agent)
    other = bearer(access_token_for(make_agent(organization, scopes=["tokens:read"])))

    for _ in range(RECORDED_INTROSPECTIONS.limit + 7):
        asker.post(URL, {"token": token})
    other.post(URL, {"token": token})

    *alone, shared = sorted(introspections(organization), key=lambda event: event.times)
    assert [event.times for event in alone] == [1] * (RECORDED_INTROSPECTIONS.limit + 1)
    assert (shared.times, str(shared.token_id)) == (7, take_apart(token).claims["jti"])
    with organization_scope(organization):
        day = AgentDayUsage.objects.get(introspected__gt=0)
    assert day.introspected == RECORDED_INTROSPECTIONS.limit + 8
    assert rebuild_rollups(organization) == ()


@pytest.mark.usefixtures("one_minute")
def test_a_shared_row_says_only_what_its_introspections_have_in_common(
    agent: Agent, asker: FormClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = replace(existing_tokens.RECORDED_INTROSPECTIONS, limit=0)
    monkeypatch.setattr(existing_tokens, "RECORDED_INTROSPECTIONS", limit)
    credential, _ = make_credential(agent)
    other_credential, _ = make_credential(agent)
    token = access_token_for(agent, credential=credential, scopes="agents:read")

    asker.post(URL, {"token": token})
    asker.post(URL, {"token": token}, REMOTE_ADDR="198.51.100.7")
    asker.post(URL, {"token": access_token_for(agent, credential=other_credential)})
    one, other = sorted(introspections(agent.organization), key=lambda event: -event.times)
    assert (one.times, other.times) == (2, 1)
    assert (str(one.token_id), one.scope) == (take_apart(token).claims["jti"], "agents:read")
    assert (one.ip_address, other.ip_address) == (None, "127.0.0.1")

    asker.post(URL, {"token": access_token_for(agent, credential=credential)})
    one, _ = sorted(introspections(agent.organization), key=lambda event: -event.times)
    assert (one.times, one.token_id, one.scope, one.resource) == (3, None, "", "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("one_minute")
def test_askers_at_once_share_a_row(
    agent: Agent, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = replace(existing_tokens.RECORDED_INTROSPECTIONS, limit=0)
    monkeypatch.setattr(existing_tokens, "RECORDED_INTROSPECTIONS", limit)
    token = access_token_for(agent)
    askers = [access_token_for(make_agent(organization, scopes=["tokens:read"])) for _ in range(4)]

    def ask(asker: str) -> list[int]:
        try:
            client = bearer(asker)
            return [client.post(URL, {"token": token}).status_code for _ in range(5)]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(askers)) as pool:
        answers = list(pool.map(ask, askers))

    assert answers == [[200] * 5] * 4
    assert [event.times for event in introspections(organization)] == [20]
    assert rebuild_rollups(organization) == ()


@pytest.mark.parametrize("way", ["basic", "body", "bearer"])
def test_three_ways_to_prove_who_asks(agent: Agent, organization: Organization, way: str) -> None:
    asker = make_agent(organization, scopes=["tokens:read"])
    _, secret = make_credential(asker)
    form = {"token": access_token_for(agent)}
    headers = {}
    if way == "basic":
        headers = basic(asker.pk, secret)
    elif way == "body":
        form |= {"client_id": str(asker.pk), "client_secret": secret}
    else:
        headers = {"Authorization": f"bearer {access_token_for(asker)}"}

    answer = FormClient().post(URL, form, headers=headers)

    assert answer.json()["active"] is True


def inactive_tokens(agent: Agent, other: Organization) -> dict[str, str]:
    """A token of every kind that must be inactive for the asker."""
    real = take_apart(access_token_for(agent))
    revoked = access_token_for(agent)
    with organization_scope(agent.organization):
        Credential.objects.filter(pk=take_apart(revoked).claims["credential_id"]).update(
            status="revoked"
        )
    return {
        "expired": sign(real.header, real.claims | {"exp": int(time.time()) - 60}),
        "revoked": revoked,
        "unknown": real.text.rpartition(".")[0] + "." + "A" * 86,
        "garbage": "garbage",
        "other-audience": sign(real.header, real.claims | {"aud": "https://other.example"}),
        "other-organization": access_token_for(make_agent(other)),
        "person-of-other-organization": access_token_for(make_membership(other, "owner")),
        "refresh-like": sign(real.header | {"typ": "rt+jwt"}, real.claims),
        "not-latin": "токен🙂",
    }


def test_an_inactive_token_is_inactive_and_nothing_else(
    agent: Agent, asker: FormClient, other_organization: Organization
) -> None:
    for name, text in inactive_tokens(agent, other_organization).items():
        for accept in ("application/json", "application/jwt", "text/html"):
            answer = asker.post(URL, {"token": text}, headers={"Accept": accept})

            assert (answer.status_code, answer.content) == (200, INACTIVE), name
            assert answer["Content-Type"] == "application/json"


def test_anonymous_is_asked_to_authenticate(agent: Agent) -> None:
    answer = FormClient().post(URL, {"token": access_token_for(agent)})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer["WWW-Authenticate"].startswith("Basic ")


def test_an_invalid_bearer_token_is_named_in_the_challenge(agent: Agent) -> None:
    answer = bearer("x").post(URL, {"token": access_token_for(agent)})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]


def test_a_bearer_needs_the_scope(agent: Agent, organization: Organization) -> None:
    asker = bearer(access_token_for(make_agent(organization, scopes=["agents:read"])))

    answer = asker.post(URL, {"token": access_token_for(agent)})

    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="tokens:read"' in answer["WWW-Authenticate"]


@pytest.mark.parametrize("body", ["", "token_type_hint=access_token", "flavour=vanilla"])
def test_a_missing_token_is_named(asker: FormClient, body: str) -> None:
    answer = asker.post(URL, body)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_token_given_twice_is_refused(asker: FormClient) -> None:
    answer = asker.post(URL, "token=a&token=b")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("hint", ["refresh_token", "foo", "access_token"])
def test_a_hint_changes_nothing(agent: Agent, asker: FormClient, hint: str) -> None:
    answer = asker.post(URL, {"token": access_token_for(agent), "token_type_hint": hint})

    assert answer.json()["active"] is True


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_other_methods_are_refused_before_anything_else(
    agent: Agent, asker: FormClient, method: str
) -> None:
    for client in (asker, Client()):
        answer = getattr(client, method)(f"{URL}?token={access_token_for(agent)}")

        assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_a_token_in_the_address_is_refused(agent: Agent, asker: FormClient) -> None:
    answer = asker.post(f"{URL}?token={access_token_for(agent)}")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data"])
def test_other_content_types_are_refused(asker: FormClient, content_type: str) -> None:
    answer = asker.post(URL, "{}", content_type=content_type)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_failed_clients_are_counted_and_recorded(agent: Agent) -> None:
    wrong = basic(agent.pk, "sk_live_wrong")

    answers = [FormClient().post(URL, {"token": "x"}, headers=wrong) for _ in range(11)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert {answer.json()["error"] for answer in answers[:10]} == {"invalid_client"}
    assert int(answers[-1]["Retry-After"]) > 0
    with organization_scope(agent.organization):
        assert AuditEvent.objects.filter(action="auth.failed").count() == 10


def test_an_unknown_client_is_answered_like_a_wrong_secret(agent: Agent) -> None:
    unknown = basic("0f0e0d0c-0b0a-4009-8807-060504030201", "sk_live_wrong")

    answers = [
        FormClient().post(URL, {"token": "x"}, headers=headers)
        for headers in (unknown, basic(agent.pk, "sk_live_wrong"))
    ]

    assert answers[0].status_code == answers[1].status_code == 401
    assert answers[0].content == answers[1].content


def spoil_agent(agent: Agent) -> None:
    Agent.objects.update(status="suspended")


def spoil_credential(agent: Agent) -> None:
    Credential.objects.update(status="revoked")


def spoil_organization(agent: Agent) -> None:
    Organization.objects.filter(pk=agent.organization_id).update(status="suspended")


@pytest.mark.parametrize("spoil", [spoil_agent, spoil_credential, spoil_organization])
def test_a_client_that_may_get_no_token_may_not_ask_either(agent: Agent, spoil: Any) -> None:
    _, secret = make_credential(agent)
    with organization_scope(agent.organization):
        spoil(agent)

    answer = FormClient().post(URL, {"token": "x"}, headers=basic(agent.pk, secret))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_guessing_is_limited(
    agent: Agent, asker: FormClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        introspection,
        "INACTIVE_RESPONSES",
        replace(introspection.INACTIVE_RESPONSES, limit=3),
    )

    answers = [asker.post(URL, {"token": "garbage"}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1]["Retry-After"]) > 0
    assert asker.post(URL, {"token": access_token_for(agent)}).json()["active"] is True


def test_a_scope_that_was_taken_away_is_no_longer_told(agent: Agent, asker: FormClient) -> None:
    token = access_token_for(agent, scopes="agents:read tokens:read")
    with organization_scope(agent.organization):
        Agent.objects.filter(pk=agent.pk).update(scopes=["tokens:read"])

    body = asker.post(URL, {"token": token}).json()

    assert (body["active"], body["scope"]) == (True, "tokens:read")
