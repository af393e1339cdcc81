"""POST /api/v1/token/revoke: whose tokens end, and how completely (RFC 7009)."""

from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import AuditEvent, Membership, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.keys import key_ring
from tokens.models import Revocation, TokenEvent
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import access_token_for, make_credential

URL = "/api/v1/token/revoke"
INTROSPECT = "/api/v1/token/introspect"
ROUTES = [
    "/api/v1/agents",
    "/api/v1/agents/0f0e0d0c-0b0a-4009-8807-060504030201",
    "/api/v1/agents/0f0e0d0c-0b0a-4009-8807-060504030201/credentials",
    "/api/v1/audit",
    "/api/v1/organizations",
    "/api/v1/auth/session",
]


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "tokens:read"])


def is_active(token: str) -> bool:
    return (
        Client().get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"}).status_code
        == 200
    )


@pytest.mark.parametrize("way", ["basic", "body", "bearer", "itself"])
def test_an_agent_ends_its_own_token(agent: Agent, way: str) -> None:
    _, secret = make_credential(agent)
    token = access_token_for(agent)
    form, headers = {"token": token}, {}
    if way == "basic":
        headers = basic(agent.pk, secret)
    elif way == "body":
        form |= {"client_id": str(agent.pk), "client_secret": secret}
    elif way == "bearer":
        headers = {"Authorization": f"Bearer {access_token_for(agent)}"}
    else:
        headers = {"Authorization": f"Bearer {token}"}

    answer = FormClient().post(URL, form, headers=headers)

    assert (answer.status_code, answer.content) == (200, b"{}")
    assert answer["Cache-Control"] == "no-store"
    assert not is_active(token)


def test_a_revoked_token_is_dead_everywhere(agent: Agent) -> None:
    token, other = access_token_for(agent), access_token_for(agent)

    bearer(token).post(URL, {"token": token})

    for route in ROUTES:
        answer = Client().get(route, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, route
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]
    assert bearer(token).post(INTROSPECT, {"token": other}).status_code == 401
    assert bearer(token).post(URL, {"token": other}).status_code == 401
    assert bearer(other).post(INTROSPECT, {"token": token}).content == b'{"active":false}'
    assert is_active(other)


def test_a_revoked_token_stays_revoked_in_a_new_process(agent: Agent) -> None:
    """Revocations are read from the database, so a new process knows them as well."""
    token = access_token_for(agent)
    bearer(token).post(URL, {"token": token})

    key_ring.forget()

    assert not is_active(token)


def test_revoking_is_recorded_once(agent: Agent) -> None:
    token, asker = access_token_for(agent), bearer(access_token_for(agent))

    answers = [asker.post(URL, {"token": token}) for _ in range(2)]

    assert [(a.status_code, a.content) for a in answers] == [(200, b"{}")] * 2
    with organization_scope(agent.organization):
        assert Revocation.objects.count() == 1
        assert TokenEvent.objects.filter(outcome="revoked").count() == 1
        event = AuditEvent.objects.get(action="token.revoked")
    assert event.agent_id == agent.pk
    assert token not in str(event.metadata)


def test_another_clients_token_stays_active_and_the_asker_is_told(
    agent: Agent, organization: Organization
) -> None:
    token = access_token_for(agent)
    stranger = make_agent(organization, scopes=["tokens:read", "agents:write"])
    _, secret = make_credential(stranger)

    by_secret = FormClient().post(URL, {"token": token}, headers=basic(stranger.pk, secret))
    by_bearer = bearer(access_token_for(stranger)).post(URL, {"token": token})

    for answer in (by_secret, by_bearer):
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert is_active(token)


def test_another_organizations_token_stays_active(
    agent: Agent, other_organization: Organization
) -> None:
    token = access_token_for(agent)
    owner = make_membership(other_organization, Membership.Role.OWNER)

    answer = bearer(access_token_for(owner)).post(URL, {"token": token})

    assert (answer.status_code, answer.content) == (200, b"{}")
    assert is_active(token)


@pytest.mark.parametrize(("role", "ends"), [("owner", True), ("admin", True), ("operator", False)])
def test_people_end_an_agents_token_if_they_manage_agents(
    agent: Agent, organization: Organization, role: str, ends: bool
) -> None:
    token = access_token_for(agent)

    person = bearer(access_token_for(make_membership(organization, role)))
    answer = person.post(URL, {"token": token})

    assert answer.status_code == (200 if ends else 400)
    assert is_active(token) is not ends


def test_an_administrating_agent_ends_another_agents_token(
    agent: Agent, organization: Organization
) -> None:
    token = access_token_for(agent)
    admin = make_agent(organization, scopes=["tokens:read", "admin:orgs"])
    Principal.objects.filter(pk=admin.pk).update(role="admin")

    bearer(access_token_for(admin)).post(URL, {"token": token})

    assert not is_active(token)


@pytest.mark.parametrize("text", ["garbage", "a.b.c", "токен", "x" * 60_000])
def test_an_unknown_token_is_answered_like_a_known_one(agent: Agent, text: str) -> None:
    answer = bearer(access_token_for(agent)).post(URL, {"token": text})

    assert (answer.status_code, answer.content) == (200, b"{}")


@pytest.mark.parametrize("url", [URL, INTROSPECT])
def test_a_token_without_a_value_is_missing(agent: Agent, url: str) -> None:
    answers = [
        bearer(access_token_for(agent)).post(url, form) for form in ({"token": ""}, {"a": "b"})
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["error"] == "invalid_request"


@pytest.mark.parametrize("hint", ["refresh_token", "foo"])
def test_a_hint_changes_nothing(agent: Agent, hint: str) -> None:
    token = access_token_for(agent)

    bearer(token).post(URL, {"token": token, "token_type_hint": hint})

    assert not is_active(token)


def test_without_authentication_nothing_is_revoked(agent: Agent) -> None:
    token = access_token_for(agent)

    answer = FormClient().post(URL, {"token": token})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer["WWW-Authenticate"].startswith("Basic ")
    assert is_active(token)


def test_a_missing_token_is_named(agent: Agent) -> None:
    answer = bearer(access_token_for(agent)).post(URL, {"token_type_hint": "foo"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_other_methods_are_refused(agent: Agent, method: str) -> None:
    token = access_token_for(agent)

    answer = getattr(bearer(token), method)(URL)

    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def end_credential(agent: Agent, client: Any) -> None:
    with organization_scope(agent.organization):
        ids = list(agent.credentials.values_list("pk", flat=True))
    for pk in ids:
        assert client.delete(f"/api/v1/agents/{agent.pk}/credentials/{pk}").status_code == 204


def suspend(agent: Agent, client: Any) -> None:
    answer = client.patch(
        f"/api/v1/agents/{agent.pk}", {"status": "suspended"}, content_type="application/json"
    )
    assert answer.status_code == 200


def decommission(agent: Agent, client: Any) -> None:
    assert client.delete(f"/api/v1/agents/{agent.pk}").status_code == 204


@pytest.mark.parametrize("end", [end_credential, suspend, decommission])
def test_what_ends_an_agent_ends_its_live_tokens_at_the_next_request(
    agent: Agent, organization: Organization, end: Any
) -> None:
    token = access_token_for(agent)
    owner = bearer(access_token_for(make_membership(organization)))

    end(agent, owner)

    assert not is_active(token)
    assert owner.post(INTROSPECT, {"token": token}).content == b'{"active":false}'


def test_a_scope_taken_from_an_agent_is_gone_from_its_live_tokens(
    agent: Agent, organization: Organization
) -> None:
    token = access_token_for(agent)
    owner = bearer(access_token_for(make_membership(organization)))

    owner.patch(
        f"/api/v1/agents/{agent.pk}", {"scopes": ["tokens:read"]}, content_type="application/json"
    )

    answer = Client().get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
