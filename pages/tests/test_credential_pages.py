"""Secrets on pages are shown in one response and stored nowhere."""

import re
from typing import Any

import pytest

from agents.tests.factories import make_agent
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import Credential
from tokens.tests.factories import make_credential

SECRET = re.compile(r"sk_live_[\w-]{43}")


def test_a_new_secret_is_in_one_answer_that_nobody_stores(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    browser = signed_in(make_membership(organization))

    response = browser.post(f"/agents/{agent.pk}/credentials/new", {"expires_on": ""})

    secret = SECRET.findall(response.content.decode())[0]
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert secret not in str(dict(browser.session))
    assert not SECRET.search(browser.get(f"/agents/{agent.pk}").content.decode())


def test_a_rotated_credential_keeps_its_id_and_gets_another_secret(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)
    credential, old = make_credential(agent)
    browser = signed_in(make_membership(organization))

    response = browser.post(
        f"/agents/{agent.pk}/credentials/{credential.pk}/rotate", {"grace_seconds": "3600"}
    )

    secrets = set(SECRET.findall(response.content.decode()))
    assert len(secrets) == 1
    assert old not in secrets
    with organization_scope(organization):
        credential.refresh_from_db()
    assert credential.previous_expires_at is not None


def test_a_revoked_credential_stays_revoked(organization: Organization, signed_in: Any) -> None:
    agent = make_agent(organization)
    credential, _ = make_credential(agent)
    browser = signed_in(make_membership(organization))
    path = f"/agents/{agent.pk}/credentials/{credential.pk}"
    browser.post(f"{path}/revoke")

    again = browser.post(f"{path}/rotate", {"grace_seconds": "0"})

    assert again.status_code == 400
    assert "The credential is revoked" in again.content.decode()


@pytest.mark.parametrize("day", ["2020-01-01", "tomorrow", "9999-12-31", "0001-01-01"])
def test_an_impossible_day_is_named_next_to_its_field(
    organization: Organization, signed_in: Any, day: str
) -> None:
    agent = make_agent(organization)
    browser = signed_in(make_membership(organization))

    response = browser.post(f"/agents/{agent.pk}/credentials/new", {"expires_on": day})

    assert response.status_code == 400
    assert 'aria-invalid="true"' in response.content.decode()
    with organization_scope(organization):
        assert not Credential.objects.filter(agent=agent).exists()


@pytest.mark.parametrize("role", [Membership.Role.VIEWER, Membership.Role.OPERATOR])
@pytest.mark.parametrize("action", ["new", "{}/rotate", "{}/revoke"])
def test_who_may_not_write_gets_no_secret(
    organization: Organization, signed_in: Any, role: str, action: str
) -> None:
    agent = make_agent(organization)
    credential, _ = make_credential(agent)
    browser = signed_in(make_membership(organization, role))

    response = browser.post(f"/agents/{agent.pk}/credentials/{action.format(credential.pk)}")

    assert response.status_code == 403


@pytest.mark.parametrize("action", ["new", "{}/rotate", "{}/revoke"])
def test_another_organizations_credential_does_not_exist(
    organization: Organization, other_organization: Organization, signed_in: Any, action: str
) -> None:
    agent = make_agent(organization)
    credential, _ = make_credential(agent)
    stranger = signed_in(make_membership(other_organization))

    response = stranger.post(f"/agents/{agent.pk}/credentials/{action.format(credential.pk)}")

    assert response.status_code == 404
    with organization_scope(organization):
        assert Credential.objects.filter(status="active").count() == 1
