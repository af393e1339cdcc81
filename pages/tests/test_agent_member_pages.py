"""Agents that administer their organization, in the browser."""

from typing import Any

import pytest

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import AuditEvent, Membership, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

Role = Membership.Role
UNKNOWN = "No agent of this organization has this address or client id."


def make_member(organization: Organization, role: str, **fields: Any) -> Agent:
    agent = make_agent(organization, **fields)
    Principal.objects.filter(pk=agent.pk).update(role=role)
    return agent


def role_of(agent: Agent) -> str:
    return Principal.objects.get(pk=agent.pk).role


def row_of(browser: Any, agent: Agent) -> dict[str, Any]:
    """The agent's row on the page; fails when it is not there."""
    members = browser.get("/members").context["agents"]
    return next(member for member in members if member["agent"] == agent)


@pytest.mark.parametrize("called_by", ["address", "ADDRESS", "client id"])
@pytest.mark.parametrize("least_role", [Role.OWNER, Role.ADMIN])
def test_an_agent_becomes_a_member(
    organization: Organization, signed_in: Any, called_by: str, least_role: str
) -> None:
    agent = make_agent(organization, email="steward@agents.example.com")
    called = {"address": agent.email, "ADDRESS": agent.email.upper(), "client id": agent.pk}
    browser = signed_in(make_membership(organization, least_role))

    response = browser.post(
        "/members/agents", {"agent": called[called_by], "role": "member"}, follow=True
    )

    assert "steward is now a member of Northwind Labs." in response.content.decode()
    assert role_of(agent) == row_of(browser, agent)["role"] == "member"
    with organization_scope(organization):
        assert AuditEvent.objects.get(action="org.member_added").agent_id == agent.pk


def test_an_agent_administers_from_the_page_to_the_api(
    organization: Organization, signed_in: Any, client_for: ClientFor
) -> None:
    agent = make_agent(organization)
    members = f"/api/v1/organizations/{organization.public_id}/members"
    browser = signed_in(make_membership(organization))
    identity = {"agent_type": "custom", "version": "1.0.0", "owner": "platform"}
    identity |= {"email": agent.email, "deployment_env": "production", "capabilities": "a:b"}

    browser.post("/members/agents", {"agent": agent.email, "role": "admin"})
    assert row_of(browser, agent)["lacks_scope"]
    assert "give it admin:orgs" in browser.get("/members").content.decode()
    browser.post(f"/agents/{agent.pk}/edit", identity | {"scopes": ["admin:orgs"]})

    assert row_of(browser, agent)["administers"]
    as_agent = client_for(agent, scopes="admin:orgs")
    assert as_agent.get(members).status_code == 200
    browser.post(f"/members/agents/{agent.pk}/role", {"role": "member"})
    assert not row_of(browser, agent)["administers"]
    assert as_agent.get(members).status_code == 403


def test_a_role_is_changed_and_taken(organization: Organization, signed_in: Any) -> None:
    agent = make_member(organization, "member", email="steward@agents.example.com")
    browser = signed_in(make_membership(organization))

    raised = browser.post(f"/members/agents/{agent.pk}/role", {"role": "admin"}, follow=True)
    assert "steward is now an admin." in raised.content.decode()
    assert role_of(agent) == "admin"
    removed = browser.post(f"/members/agents/{agent.pk}/remove", follow=True)

    assert "steward is no longer a member." in removed.content.decode()
    assert removed.context["agents"] == []
    assert role_of(agent) == ""
    assert browser.post(f"/members/agents/{agent.pk}/remove").status_code == 404
    assert browser.post(f"/members/agents/{agent.pk}/role", {"role": "admin"}).status_code == 404


def test_a_member_is_not_added_twice(organization: Organization, signed_in: Any) -> None:
    agent = make_member(organization, "member")
    browser = signed_in(make_membership(organization))

    response = browser.post("/members/agents", {"agent": agent.email, "role": "admin"})

    assert response.status_code == 400
    assert "Already a member" in response.content.decode()
    assert role_of(agent) == "member"


def test_a_foreign_or_ended_agent_is_as_unknown_as_none(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    foreign = make_agent(other_organization, email="foreign@agents.example.com")
    gone = make_agent(organization, status=Agent.Status.DECOMMISSIONED)
    browser = signed_in(make_membership(organization))

    for called in (foreign.email, foreign.pk, gone.email, "nobody", "é\x0b", "' OR 1=1"):
        response = browser.post("/members/agents", {"agent": called, "role": "admin"})

        assert response.status_code == 400
        assert response.context["agent_form"].errors == {"agent": [UNKNOWN]}
    assert role_of(foreign) == role_of(gone) == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [("agent", ""), ("agent", "a\x00b"), ("agent", "x" * 256), ("role", ""), ("role", "owner")],
)
def test_a_mistake_stands_next_to_its_field(
    organization: Organization, signed_in: Any, field: str, value: str
) -> None:
    agent = make_agent(organization)
    browser = signed_in(make_membership(organization))

    response = browser.post(
        "/members/agents", {"agent": agent.email, "role": "admin", field: value}
    )

    assert response.status_code == 400
    assert list(response.context["agent_form"].errors) == [field]
    assert response.content.count(b" autofocus") == 1
    assert role_of(agent) == ""


@pytest.mark.parametrize("role", ["owner", "", "x"])
def test_an_agent_gets_no_role_of_a_person(
    organization: Organization, signed_in: Any, role: str
) -> None:
    agent = make_member(organization, "member")
    browser = signed_in(make_membership(organization))

    response = browser.post(f"/members/agents/{agent.pk}/role", {"role": role}, follow=True)

    assert "Choose one of the roles." in response.content.decode()
    assert role_of(agent) == "member"


def test_only_agents_that_could_join_are_suggested(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    make_agent(other_organization)
    make_agent(organization, status=Agent.Status.DECOMMISSIONED)
    make_member(organization, "member")
    second, first = (
        make_agent(organization, email=f"{name}@agents.example.com") for name in ("b", "a")
    )

    page = signed_in(make_membership(organization)).get("/members")

    assert list(page.context["suggestions"]) == [first.email, second.email]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_members_without_write_access_see_agents_but_change_nothing(
    organization: Organization, signed_in: Any, role: str
) -> None:
    member = make_member(organization, "admin", email="steward@agents.example.com")
    other = make_agent(organization, email="other@agents.example.com")
    browser = signed_in(make_membership(organization, role))

    page = browser.get("/members").content.decode()

    assert "steward" in page
    assert "Add the agent" not in page
    assert "other@agents.example.com" not in page
    answers = [
        browser.post("/members/agents", {"agent": other.email, "role": "admin"}),
        browser.post(f"/members/agents/{member.pk}/role", {"role": "member"}),
        browser.post(f"/members/agents/{member.pk}/remove"),
    ]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert (role_of(member), role_of(other)) == ("admin", "")
