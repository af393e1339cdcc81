"""PATCH and DELETE /api/v1/agents/{agentId}: an agent's status, and who may change it."""

from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import AuditEvent, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

JSON = "application/json"


@pytest.fixture
def owner(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization))


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "agents:write"])


def change(client: Client, agent: Agent, **changes: Any) -> Any:
    return client.patch(f"/api/v1/agents/{agent.pk}", changes, content_type=JSON)


def actions(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return list(AuditEvent.objects.in_order().values_list("action", flat=True))


def test_fields_change_alone(owner: Client, agent: Agent) -> None:
    before = owner.get(f"/api/v1/agents/{agent.pk}").json()

    answer = change(owner, agent, owner="new-team", version="2.0.0")

    assert answer.status_code == 200
    body = answer.json()
    assert (body["owner"], body["version"]) == ("new-team", "2.0.0")
    assert body["updatedAt"] > before["updatedAt"]
    same = set(body) - {"owner", "version", "updatedAt"}
    assert {name: body[name] for name in same} == {name: before[name] for name in same}
    assert actions(agent.organization) == ["agent.updated"]


def test_the_log_says_what_a_change_found_and_left(owner: Client, agent: Agent) -> None:
    address = "https://wiki.example.com/runbooks/screener"
    change(owner, agent, runbookUrl=address, owner=agent.owner)
    cleared = change(owner, agent, runbookUrl="", capabilities=["a:b"])

    assert cleared.json()["runbookUrl"] == ""
    with organization_scope(agent.organization):
        first, second = AuditEvent.objects.in_order().values_list("metadata", flat=True)
    assert first == {"before": {"runbook_url": ""}, "after": {"runbook_url": address}}
    assert second == {
        "before": {"runbook_url": address, "capabilities": ["resume:read"]},
        "after": {"runbook_url": "", "capabilities": ["a:b"]},
    }


def test_a_change_of_nothing_is_recorded_as_nothing(owner: Client, agent: Agent) -> None:
    answer = change(owner, agent, owner=agent.owner, status="active")

    assert answer.status_code == 200
    assert actions(agent.organization) == []


def test_an_agent_is_suspended_and_reactivated(owner: Client, agent: Agent) -> None:
    suspended = change(owner, agent, status="suspended").json()["status"]
    reactivated = change(owner, agent, status="active").json()["status"]

    assert (suspended, reactivated) == ("suspended", "active")
    assert actions(agent.organization) == ["agent.suspended", "agent.reactivated"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "decommissioned"),
        ("status", "deleted"),
        ("status", None),
        ("email", None),
        ("email", "x"),
        ("capabilities", []),
        ("version", "1"),
        ("runbookUrl", "javascript:alert(1)"),
        ("runbookUrl", None),
        ("agentId", "x"),
        ("organizationId", "x"),
        ("decommissionedAt", None),
        ("colour", 1),
    ],
)
def test_a_wrong_change_is_named_and_changes_nothing(
    owner: Client, agent: Agent, field: str, value: Any
) -> None:
    answer = change(owner, agent, **{"owner": "another", field: value})

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [field]
    assert owner.get(f"/api/v1/agents/{agent.pk}").json()["owner"] == agent.owner


def test_a_taken_address_is_refused(
    owner: Client, agent: Agent, organization: Organization
) -> None:
    other = make_agent(organization)

    answer = change(owner, agent, email=other.email.upper())

    assert (answer.status_code, answer.json()["code"]) == (409, "AGENT_ALREADY_EXISTS")


def test_a_decommissioned_agent_never_returns(owner: Client, agent: Agent) -> None:
    url = f"/api/v1/agents/{agent.pk}"

    first, second = owner.delete(url), owner.delete(url)
    revived = change(owner, agent, status="active")
    renamed = change(owner, agent, owner="x")

    assert (first.status_code, first.content) == (204, b"")
    for answer in (second, revived, renamed):
        assert (answer.status_code, answer.json()["code"]) == (409, "AGENT_ALREADY_DECOMMISSIONED")
    assert owner.get(url).json()["status"] == "decommissioned"
    assert actions(agent.organization) == ["agent.decommissioned"]


def test_a_suspended_agent_can_be_decommissioned(owner: Client, agent: Agent) -> None:
    change(owner, agent, status="suspended")

    assert owner.delete(f"/api/v1/agents/{agent.pk}").status_code == 204


@pytest.mark.parametrize(
    "changes", [{"scopes": ["agents:read"]}, {"scopes": []}, {"status": "suspended"}]
)
def test_an_agent_changes_neither_its_scopes_nor_its_status(
    agent: Agent, client_for: ClientFor, changes: dict[str, Any]
) -> None:
    answer = change(client_for(agent), agent, owner="me", **changes)

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    with organization_scope(agent.organization):
        now = Agent.objects.get()
    assert (now.scopes, now.status, now.owner) == (agent.scopes, "active", agent.owner)


def test_an_agent_does_not_end_itself(agent: Agent, client_for: ClientFor) -> None:
    assert client_for(agent).delete(f"/api/v1/agents/{agent.pk}").status_code == 403


def test_a_suspended_agents_own_token_cannot_revive_it(
    owner: Client, agent: Agent, client_for: ClientFor
) -> None:
    own = client_for(agent)
    change(owner, agent, status="suspended")

    assert change(own, agent, status="active").status_code == 401


def test_scopes_beyond_the_granters_are_refused(
    agent: Agent, organization: Organization, client_for: ClientFor
) -> None:
    other = make_agent(organization, scopes=["audit:read"])
    client = client_for(agent)

    widened = change(client, other, scopes=["audit:read", "tokens:read"])
    kept = change(client, other, scopes=["audit:read", "agents:read"])

    assert widened.status_code == 403
    assert widened.json()["details"]["scopes"] == ["tokens:read"]
    assert kept.json()["scopes"] == ["agents:read", "audit:read"]


def test_only_an_administrating_agent_may_hold_admin_orgs(owner: Client, agent: Agent) -> None:
    before = change(owner, agent, scopes=["admin:orgs"])
    Principal.objects.filter(pk=agent.pk).update(role="admin")
    after = change(owner, agent, scopes=["admin:orgs"])

    assert (before.status_code, list(before.json()["details"])) == (400, ["scopes"])
    assert after.status_code == 200


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_another_organizations_agent_is_unknown(
    owner: Client, other_organization: Organization, method: str
) -> None:
    stranger = make_agent(other_organization)
    unknown = "0f0e0d0c-0b0a-4009-8807-060504030201"

    answers = [
        getattr(owner, method)(f"/api/v1/agents/{pk}", content_type=JSON)
        for pk in (stranger.pk, unknown)
    ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["code"] == "AGENT_NOT_FOUND"


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_lesser_role_changes_nothing(
    agent: Agent, organization: Organization, client_for: ClientFor, method: str
) -> None:
    client = client_for(make_membership(organization, "operator"))

    answer = getattr(client, method)(f"/api/v1/agents/{agent.pk}", content_type=JSON)

    assert answer.status_code == 403
