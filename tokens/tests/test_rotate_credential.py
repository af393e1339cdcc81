"""A credential gets a new secret; the old one works during the grace period and not afterwards."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.actions import MAX_OLD_SECRETS
from tokens.models import Credential
from tokens.tests.clients import FormClient, basic
from tokens.tests.credentials import rotate, shown, token_status, url_of
from tokens.tests.factories import make_credential


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "agents:write"])


@pytest.fixture
def owner(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization))


def proves(agent: Agent, secret: str) -> int:
    """The status of an introspection request with the secret."""
    asked = FormClient().post(
        "/api/v1/token/introspect", {"token": "any"}, headers=basic(agent.pk, secret)
    )
    return asked.status_code


def test_a_rotation_ends_the_old_secret_at_once(owner: Client, agent: Agent) -> None:
    credential, old = make_credential(agent)

    answer = rotate(owner, agent, credential.pk)

    body = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert body["credentialId"] == str(credential.pk)
    assert body["previousExpiresAt"] is None
    assert (token_status(agent, old), token_status(agent, body["clientSecret"])) == (401, 200)


def test_a_rotation_without_a_body_has_no_grace(owner: Client, agent: Agent) -> None:
    credential, old = make_credential(agent)

    assert owner.generic("POST", url_of(agent, credential.pk, "rotate")).status_code == 200
    assert token_status(agent, old) == 401


def test_in_grace_both_secrets_work_and_then_one(owner: Client, agent: Agent) -> None:
    credential, old = make_credential(agent)

    new = rotate(owner, agent, credential.pk, graceSeconds=60).json()["clientSecret"]
    during = [token_status(agent, secret) for secret in (old, new)]
    with organization_scope(agent.organization):
        Credential.objects.update(previous_expires_at=timezone.now())
    after = [token_status(agent, secret) for secret in (old, new)]

    assert (during, after) == ([200, 200], [401, 200])


def test_a_rotation_that_is_repeated_takes_nothing_that_was_promised(
    owner: Client, agent: Agent
) -> None:
    credential, first = make_credential(agent)
    promised = rotate(owner, agent, credential.pk, graceSeconds=3600).json()
    lost = promised["clientSecret"]

    again = rotate(owner, agent, credential.pk, graceSeconds=60).json()

    secrets = (first, lost, again["clientSecret"])
    assert [token_status(agent, secret) for secret in secrets] == [200, 200, 200]
    assert [proves(agent, secret) for secret in secrets] == [200, 200, 200]
    assert again["previousExpiresAt"] == promised["previousExpiresAt"]
    with organization_scope(agent.organization):
        rotations = AuditEvent.objects.filter(action="credential.rotated").in_order()
        assert [each.metadata["oldSecrets"] for each in rotations] == [1, 2]
        until = {each.metadata["oldSecretsWorkUntil"] for each in rotations}
        Credential.objects.update(earlier_secret_ends=[timezone.now()])
    assert len(until) == 1
    assert [token_status(agent, secret) for secret in secrets] == [401, 200, 200]
    assert [proves(agent, secret) for secret in secrets] == [401, 200, 200]


def test_a_rotation_without_grace_ends_all_old_secrets(owner: Client, agent: Agent) -> None:
    credential, first = make_credential(agent)
    second = rotate(owner, agent, credential.pk, graceSeconds=3600).json()["clientSecret"]

    third = rotate(owner, agent, credential.pk, graceSeconds=0).json()["clientSecret"]

    assert [token_status(agent, secret) for secret in (first, second, third)] == [401, 401, 200]


def test_old_secrets_are_few(owner: Client, agent: Agent) -> None:
    credential, first = make_credential(agent)
    for _ in range(MAX_OLD_SECRETS):
        last = rotate(owner, agent, credential.pk, graceSeconds=60).json()["clientSecret"]

    refused = rotate(owner, agent, credential.pk, graceSeconds=60)

    assert (refused.status_code, refused.json()["code"]) == (409, "SECRET_LIMIT_EXCEEDED")
    assert [token_status(agent, secret) for secret in (first, last)] == [200, 200]
    with organization_scope(agent.organization):
        ends = [timezone.now(), *Credential.objects.get().earlier_secret_ends[1:]]
        Credential.objects.update(earlier_secret_ends=ends)
    assert rotate(owner, agent, credential.pk, graceSeconds=60).status_code == 200


@pytest.mark.parametrize("grace", [0, 60])
def test_revoking_ends_grace_and_all_else_at_once(owner: Client, agent: Agent, grace: int) -> None:
    credential, old = make_credential(agent)
    new = rotate(owner, agent, credential.pk, graceSeconds=grace).json()["clientSecret"]

    answer = owner.delete(url_of(agent, credential.pk))

    assert (answer.status_code, answer.content) == (204, b"")
    assert [token_status(agent, secret) for secret in (old, new)] == [401, 401]
    with organization_scope(agent.organization):
        kept = Credential.objects.get()
    assert (kept.previous_secret_mac, kept.old_secrets()) == (None, [])
    assert shown(owner, agent)["status"] == "revoked"
    assert shown(owner, agent)["revokedAt"] is not None


@pytest.mark.parametrize("value", [-1, 604_801, "x", 1.5, True, None, [], 10**30])
def test_a_wrong_grace_is_named(owner: Client, agent: Agent, value: Any) -> None:
    credential, old = make_credential(agent)

    answer = rotate(owner, agent, credential.pk, graceSeconds=value)

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["graceSeconds"]
    assert token_status(agent, old) == 200


def test_what_is_revoked_stays_revoked(owner: Client, agent: Agent) -> None:
    credential, _ = make_credential(agent)
    owner.delete(url_of(agent, credential.pk))

    for answer in (owner.delete(url_of(agent, credential.pk)), rotate(owner, agent, credential.pk)):
        assert (answer.status_code, answer.json()["code"]) == (409, "CREDENTIAL_ALREADY_REVOKED")


def test_an_expired_credential_is_not_rotated(owner: Client, agent: Agent) -> None:
    credential, _ = make_credential(agent, expires_at=timezone.now())

    answer = rotate(owner, agent, credential.pk)

    assert (answer.status_code, answer.json()["code"]) == (409, "CREDENTIAL_EXPIRED")
