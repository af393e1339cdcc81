"""The credentials API: secrets are created, shown once and revoked."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import AuditEvent, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.actions import credentials as actions
from tokens.models import Credential, TokenEvent, secret_mac
from tokens.tests.credentials import make, rotate, shown, token_status, url_of
from tokens.tests.factories import make_credential


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "agents:write"])


@pytest.fixture
def owner(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization))


def test_a_credential_is_made_and_its_secret_works(owner: Client, agent: Agent) -> None:
    answer = make(owner, agent)

    body = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    assert body["clientId"] == str(agent.pk)
    assert body["clientSecret"].startswith("sk_live_")
    assert len(body["clientSecret"]) >= 8 + 43
    assert body["secretHint"] == body["clientSecret"][-4:]
    assert (body["status"], body["expiresAt"], body["revokedAt"]) == ("active", None, None)
    assert token_status(agent, body["clientSecret"]) == 200


def test_a_secret_is_shown_once_and_written_nowhere(
    owner: Client, agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    made = make(owner, agent).json()
    rotated = rotate(owner, agent, made["credentialId"], graceSeconds=60).json()
    token_status(agent, rotated["clientSecret"])

    lists = owner.get(url_of(agent)).content.decode() + owner.get("/api/v1/audit").content.decode()
    with organization_scope(agent.organization):
        rows = str(list(Credential.objects.values()) + list(AuditEvent.objects.values()))
        rows += str(list(TokenEvent.objects.values()))
    logged = "".join(capfd.readouterr())
    for secret in (made["clientSecret"], rotated["clientSecret"]):
        assert secret not in lists
        assert secret not in rows
        assert secret not in logged
    assert "clientSecret" not in shown(owner, agent)
    assert secret_mac(rotated["clientSecret"]).hex() not in lists


def test_several_credentials_work_at_once(owner: Client, agent: Agent) -> None:
    secrets = [make(owner, agent).json()["clientSecret"] for _ in range(3)]

    assert [token_status(agent, secret) for secret in secrets] == [200] * 3
    assert owner.get(url_of(agent)).json()["total"] == 3


def test_their_number_has_a_limit(
    owner: Client, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MAX_CREDENTIALS", 2)
    first = make(owner, agent).json()["credentialId"]
    make(owner, agent)

    full = make(owner, agent)
    owner.delete(url_of(agent, first))
    after = make(owner, agent)

    assert (full.status_code, full.json()["code"]) == (409, "CREDENTIAL_LIMIT_EXCEEDED")
    assert after.status_code == 201


def test_a_credential_expires(owner: Client, agent: Agent) -> None:
    end = timezone.now() + timedelta(minutes=10)
    secret = make(owner, agent, expiresAt=end.isoformat()).json()["clientSecret"]

    before = token_status(agent, secret)
    with organization_scope(agent.organization):
        Credential.objects.update(expires_at=timezone.now())
    after = token_status(agent, secret)

    assert (before, after) == (200, 401)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expiresAt", "2020-01-01T00:00:00Z"),
        ("expiresAt", "soon"),
        ("expiresAt", ""),
        ("expiresAt", 1),
        ("expiresAt", True),
        ("expiresAt", "0001-01-01T00:00:00+14:00"),
        ("expiresAt", "9999-12-31T23:59:59-14:00"),
        ("expiresAt", ["2030-01-01T00:00:00Z"]),
        ("clientSecret", "sk_live_mine"),
        ("status", "active"),
        ("clientId", "x"),
    ],
)
def test_a_wrong_field_is_named(owner: Client, agent: Agent, field: str, value: Any) -> None:
    answer = make(owner, agent, **{field: value})

    assert answer.status_code == 400, answer.content
    assert list(answer.json()["details"]) == [field]


def test_the_list_shows_which_secret_still_gets_tokens(owner: Client, agent: Agent) -> None:
    credential, old = make_credential(agent)
    new = rotate(owner, agent, credential.pk, graceSeconds=600).json()["clientSecret"]

    token_status(agent, new)
    with_new = shown(owner, agent)
    token_status(agent, old)
    with_old = shown(owner, agent)

    assert with_new["lastUsedAt"] is not None
    assert with_new["previousSecretLastUsedAt"] is None
    assert with_old["previousSecretLastUsedAt"] is not None
    with organization_scope(agent.organization):
        used = TokenEvent.objects.filter(outcome="issued").order_by("created_at")
        assert list(used.values_list("used_previous_secret", flat=True)) == [False, True]
    rotate(owner, agent, credential.pk, graceSeconds=600)
    assert shown(owner, agent)["previousSecretLastUsedAt"] is not None, "its grace goes on"
    rotate(owner, agent, credential.pk)
    assert shown(owner, agent)["previousSecretLastUsedAt"] is None


def test_the_last_use_is_exact_to_a_minute(owner: Client, agent: Agent) -> None:
    _, secret = make_credential(agent)
    token_status(agent, secret)
    first = shown(owner, agent)["lastUsedAt"]

    token_status(agent, secret)
    soon = shown(owner, agent)["lastUsedAt"]
    with organization_scope(agent.organization):
        Credential.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    token_status(agent, secret)
    later = shown(owner, agent)["lastUsedAt"]

    assert first == soon < later


@pytest.mark.parametrize("which", ["lastUsedAt", "previousSecretLastUsedAt"])
def test_a_last_use_in_the_future_is_corrected_at_the_next_use(
    owner: Client, agent: Agent, which: str
) -> None:
    """The database's clock was ahead when it was recorded."""
    credential, old = make_credential(agent)
    new = rotate(owner, agent, credential.pk, graceSeconds=600).json()["clientSecret"]
    future = timezone.now() + timedelta(days=400)
    with organization_scope(agent.organization):
        Credential.objects.update(last_used_at=future, previous_last_used_at=future)

    assert token_status(agent, new if which == "lastUsedAt" else old) == 200

    assert datetime.fromisoformat(shown(owner, agent)[which]) <= timezone.now()


def test_a_decommissioned_agents_credentials_are_revoked(owner: Client, agent: Agent) -> None:
    credential, secret = make_credential(agent)
    owner.delete(f"/api/v1/agents/{agent.pk}")

    found = shown(owner, agent)
    assert found["status"] == "revoked"
    assert found["revokedAt"] is not None
    assert token_status(agent, secret) == 401
    assert rotate(owner, agent, credential.pk).json()["code"] == "CREDENTIAL_ALREADY_REVOKED"
    assert make(owner, agent).json()["code"] == "AGENT_ALREADY_DECOMMISSIONED"


def test_a_suspended_agent_gets_no_new_credential(owner: Client, agent: Agent) -> None:
    with organization_scope(agent.organization):
        Agent.objects.update(status="suspended")

    answer = make(owner, agent)

    assert (answer.status_code, answer.json()["code"]) == (409, "AGENT_NOT_ACTIVE")


def test_an_agent_manages_its_own_credentials(agent: Agent, client_for: ClientFor) -> None:
    own = client_for(agent)

    made = make(own, agent).json()["credentialId"]

    assert rotate(own, agent, made).status_code == 200
    assert own.delete(url_of(agent, made)).status_code == 204


def test_an_agent_manages_no_others_credentials(
    agent: Agent, organization: Organization, client_for: ClientFor
) -> None:
    other = make_agent(organization)
    credential, secret = make_credential(other)
    client = client_for(agent)

    answers = [
        make(client, other),
        rotate(client, other, credential.pk),
        client.delete(url_of(other, credential.pk)),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert token_status(other, secret) == 200


def test_an_administrating_agent_manages_all(
    organization: Organization, client_for: ClientFor
) -> None:
    other = make_agent(organization)
    admin = make_agent(organization, scopes=["agents:write", "admin:orgs"])
    Principal.objects.filter(pk=admin.pk).update(role="admin")

    assert make(client_for(admin), other).status_code == 201


def test_a_credential_is_found_under_its_own_agent_only(
    owner: Client, agent: Agent, organization: Organization
) -> None:
    credential, _ = make_credential(make_agent(organization))

    for answer in (
        rotate(owner, agent, credential.pk),
        owner.delete(url_of(agent, credential.pk)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "CREDENTIAL_NOT_FOUND")


def test_another_organizations_agent_is_unknown(
    owner: Client, other_organization: Organization
) -> None:
    stranger = make_agent(other_organization)
    credential, _ = make_credential(stranger)

    for answer in (
        owner.get(url_of(stranger)),
        make(owner, stranger),
        rotate(owner, stranger, credential.pk),
        owner.delete(url_of(stranger, credential.pk)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "AGENT_NOT_FOUND")


def test_every_change_is_audited(owner: Client, agent: Agent) -> None:
    made = make(owner, agent).json()["credentialId"]
    until = rotate(owner, agent, made, graceSeconds=5).json()["previousExpiresAt"]
    owner.delete(url_of(agent, made))

    with organization_scope(agent.organization):
        events = list(AuditEvent.objects.filter(target_type="credential").in_order())
    assert [event.action for event in events] == [
        "credential.generated",
        "credential.rotated",
        "credential.revoked",
    ]
    assert {(event.target_id, event.agent_id) for event in events} == {(made, agent.pk)}
    works_until = datetime.fromisoformat(events[1].metadata.pop("oldSecretsWorkUntil"))
    assert works_until == datetime.fromisoformat(until)
    assert events[1].metadata == {"graceSeconds": 5, "oldSecrets": 1, "expiresAt": None}
