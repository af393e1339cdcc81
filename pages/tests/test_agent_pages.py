"""Registering, changing and ending agents in the browser."""

from typing import Any

import pytest
from django.utils.html import escape

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.tests.agent_form import FORM


def stored(agent: Agent) -> Agent:
    with organization_scope(agent.organization):
        return Agent.objects.get(pk=agent.pk)


def test_a_registered_agent_has_what_was_typed(organization: Organization, signed_in: Any) -> None:
    browser = signed_in(make_membership(organization))

    response = browser.post("/agents/new", FORM)

    with organization_scope(organization):
        agent = Agent.objects.get(email=FORM["email"])
        assert AuditEvent.objects.filter(action="agent.created", agent_id=agent.pk).exists()
    assert response["Location"] == f"/agents/{agent.pk}"
    assert agent.capabilities == ["queue:read", "queue:write"]
    assert agent.scopes == ["agents:read"]
    assert agent.runbook_url == FORM["runbook_url"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "not an address"),
        ("email", ""),
        ("email", "a\x00b@example.com"),
        ("agent_type", "wizard"),
        ("version", "one"),
        ("owner", "x" * 129),
        ("runbook_url", "javascript:alert(1)"),
        ("runbook_url", "http://wiki.example.com/"),
        ("runbook_url", "https://wiki.example.com/" + "a" * 476),
        ("capabilities", "no colon"),
        ("capabilities", "\n".join(f"a:{n}" for n in range(65))),
        ("scopes", "everything"),
        ("scopes", "admin:orgs"),
    ],
)
def test_a_mistake_is_named_next_to_its_field_and_nothing_typed_is_lost(
    organization: Organization, signed_in: Any, field: str, value: str
) -> None:
    browser = signed_in(make_membership(organization))

    response = browser.post("/agents/new", FORM | {field: value})

    page = response.content.decode()
    assert response.status_code == 400
    assert list(response.context["form"].errors) == [field]
    assert "field-error" in page
    kept = "night-watch@agents.example.com" if field != "email" else "platform"
    assert f'value="{kept}"' in page
    with organization_scope(organization):
        assert not Agent.objects.exists()


def test_an_address_that_is_taken_is_an_error_of_its_field(
    organization: Organization, signed_in: Any
) -> None:
    make_agent(organization, email="Night-Watch@agents.example.com")
    browser = signed_in(make_membership(organization))

    response = browser.post("/agents/new", FORM)

    assert response.status_code == 400
    assert "already exists" in str(response.context["form"].errors["email"])


def test_reaching_the_plans_limit_keeps_the_form(
    organization: Organization, signed_in: Any
) -> None:
    Organization.objects.filter(pk=organization.pk).update(max_agents=0)
    browser = signed_in(make_membership(organization))

    response = browser.post("/agents/new", FORM)

    assert response.status_code == 400
    assert "limit on agents is reached" in response.content.decode()


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("suspend", "active", "suspended"),
        ("reactivate", "suspended", "active"),
        ("decommission", "active", "decommissioned"),
    ],
)
def test_a_button_moves_the_agent_through_its_life(
    organization: Organization, signed_in: Any, action: str, before: str, after: str
) -> None:
    agent = make_agent(organization, status=before)
    browser = signed_in(make_membership(organization))

    response = browser.post(f"/agents/{agent.pk}/{action}", follow=True)

    assert stored(agent).status == after
    assert agent.name in response.content.decode()


def test_a_decommissioned_agent_is_ended_for_good(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization, status="decommissioned")
    browser = signed_in(make_membership(organization))

    response = browser.post(f"/agents/{agent.pk}/reactivate", follow=True)

    assert stored(agent).status == "decommissioned"
    assert "cannot be undone" in response.content.decode()
    assert browser.get(f"/agents/{agent.pk}/edit").status_code == 404


@pytest.mark.parametrize("action", ["edit", "suspend", "reactivate", "decommission"])
@pytest.mark.parametrize("role", [Membership.Role.VIEWER, Membership.Role.OPERATOR])
def test_who_may_not_write_changes_nothing(
    organization: Organization, signed_in: Any, action: str, role: str
) -> None:
    agent = make_agent(organization)
    browser = signed_in(make_membership(organization, role))

    response = browser.post(f"/agents/{agent.pk}/{action}", FORM)

    assert response.status_code == 403
    assert stored(agent).status == "active"
    assert f"/{action}" not in browser.get(f"/agents/{agent.pk}").content.decode()


@pytest.mark.parametrize("action", ["edit", "suspend", "reactivate", "decommission"])
def test_another_organizations_agent_does_not_exist(
    organization: Organization, other_organization: Organization, signed_in: Any, action: str
) -> None:
    agent = make_agent(organization)
    stranger = signed_in(make_membership(other_organization))

    response = stranger.post(f"/agents/{agent.pk}/{action}", FORM)

    assert response.status_code == 404
    assert stored(agent).status == "active"


@pytest.mark.parametrize("path", ["suspend", "reactivate", "decommission"])
def test_opening_an_address_changes_nothing(
    organization: Organization, signed_in: Any, path: str
) -> None:
    agent = make_agent(organization)
    browser = signed_in(make_membership(organization))

    response = browser.get(f"/agents/{agent.pk}/{path}")

    assert response.status_code == 200
    assert stored(agent).status == "active"


def test_the_runbook_is_a_link_on_the_agents_page_that_tells_the_other_side_nothing(
    organization: Organization, signed_in: Any
) -> None:
    address = "https://wiki.example.com/screener?a=1&b=2#first"
    agent = make_agent(organization, runbook_url=address)
    browser = signed_in(make_membership(organization, Membership.Role.VIEWER))

    page = browser.get(f"/agents/{agent.pk}").content.decode()

    assert page.count(f'href="{escape(address)}"') == 1
    assert f'<a href="{escape(address)}" rel="noopener noreferrer">{escape(address)}</a>' in page


def test_an_agent_without_a_runbook_says_nothing_about_one(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization)

    page = signed_in(make_membership(organization)).get(f"/agents/{agent.pk}").content.decode()

    assert "Runbook" not in page


def test_the_form_shows_the_runbook_and_takes_it_away(
    organization: Organization, signed_in: Any
) -> None:
    agent = make_agent(organization, runbook_url="https://wiki.example.com/old")
    browser = signed_in(make_membership(organization))

    shown = browser.get(f"/agents/{agent.pk}/edit").content.decode()
    browser.post(f"/agents/{agent.pk}/edit", FORM | {"runbook_url": " "})

    assert 'value="https://wiki.example.com/old"' in shown
    assert stored(agent).runbook_url == ""
