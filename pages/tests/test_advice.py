"""Following the advice of a finding helps, and the finding disappears."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.records import findings_of
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import Credential
from tokens.tests.clients import FORM
from tokens.tests.factories import make_credential

DAY = timedelta(days=1)


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization)


@pytest.fixture
def ending(agent: Agent) -> Credential:
    """A credential in use, made for 90 days of which five are left."""
    now = timezone.now()
    found, _ = make_credential(
        agent, created_at=now - 85 * DAY, expires_at=now + 5 * DAY, last_used_at=now - DAY
    )
    return found


def codes(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return [finding.code for finding in findings_of(organization)]


def left_of(credential: Credential) -> timedelta | None:
    with organization_scope(credential.organization):
        credential.refresh_from_db()
    return credential.expires_at and credential.expires_at - timezone.now()


def test_rotating_on_the_page_gives_another_90_days(
    organization: Organization, ending: Credential, signed_in: Any
) -> None:
    assert codes(organization) == ["credential_expiring"]
    browser: Client = signed_in(make_membership(organization))
    path = f"/agents/{ending.agent_id}/credentials/{ending.pk}/rotate"
    proposed = re.search(r'name="expires_on" value="([\d-]+)"', browser.get(path).content.decode())
    assert proposed

    browser.post(path, {"grace_seconds": "86400", "expires_on": proposed[1]})

    left = left_of(ending)
    assert left
    assert 90 * DAY <= left <= 91 * DAY
    assert codes(organization) == []


@pytest.mark.parametrize(
    ("body", "days"),
    [({}, 90), ({"expiresAt": None}, None), ({"expiresAt": "in 30 days"}, 30)],
    ids=["the same length again", "no end", "an end of one's own"],
)
def test_rotating_over_the_api_gives_a_new_end(
    organization: Organization,
    ending: Credential,
    client_for: Any,
    body: dict[str, Any],
    days: int | None,
) -> None:
    if body.get("expiresAt"):
        body = {"expiresAt": (timezone.now() + 30 * DAY).isoformat()}
    api = client_for(make_membership(organization))
    path = f"/api/v1/agents/{ending.agent_id}/credentials/{ending.pk}/rotate"

    assert api.post(path, body, content_type="application/json").status_code == 200

    left = left_of(ending)
    assert (left and round(left / DAY)) == days
    assert codes(organization) == []


def test_the_old_secret_does_not_outlive_its_own_end(
    organization: Organization, agent: Agent, client_for: Any
) -> None:
    end = timezone.now() + timedelta(hours=1)
    credential, old = make_credential(agent, expires_at=end)
    api = client_for(make_membership(organization))
    path = f"/api/v1/agents/{agent.pk}/credentials/{credential.pk}/rotate"

    answer = api.post(path, {"graceSeconds": 86_400}, content_type="application/json")

    with organization_scope(organization):
        credential.refresh_from_db()
    assert credential.previous_expires_at == end
    assert answer.json()["expiresAt"] > answer.json()["previousExpiresAt"]
    body = f"grant_type=client_credentials&client_id={agent.pk}&client_secret={old}"
    assert Client().post("/api/v1/token", body, content_type=FORM).status_code == 200


def test_the_last_day_of_the_calendar_stays_the_end(
    organization: Organization, agent: Agent, client_for: Any, signed_in: Any
) -> None:
    owner = make_membership(organization)
    path = f"/agents/{agent.pk}/credentials"
    body = {"expiresAt": "9999-12-31T23:59:59Z"}
    made = client_for(owner).post(f"/api/v1{path}", body, content_type="application/json").json()
    path += f"/{made['credentialId']}/rotate"

    answer = client_for(owner).post(f"/api/v1{path}", {}, content_type="application/json")

    assert answer.json()["expiresAt"].startswith("9999-12-31")
    assert signed_in(owner).get(path).status_code == 200


def test_an_end_that_has_passed_is_refused(
    organization: Organization, ending: Credential, client_for: Any, signed_in: Any
) -> None:
    owner = make_membership(organization)
    path = f"/agents/{ending.agent_id}/credentials/{ending.pk}/rotate"

    api = client_for(owner).post(
        f"/api/v1{path}", {"expiresAt": "2020-01-01T00:00:00Z"}, content_type="application/json"
    )
    page = signed_in(owner).post(path, {"grace_seconds": "0", "expires_on": "2020-01-01"})

    assert api.status_code == page.status_code == 400
    assert left_of(ending) <= 5 * DAY  # type: ignore[operator]
