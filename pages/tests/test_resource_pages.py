"""Resources in the browser: registering, granting, changing and deleting them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import MAX_IDENTIFIER_LENGTH, Resource, ResourceGrant, TokenEvent
from tokens.tests.factories import make_grant, make_resource

SignedIn = Callable[[Membership], Client]
FORM = {
    "identifier": "https://mcp.example.com/mcp",
    "name": "Files",
    "described_scopes": "files:read Read files\n\n  files:write  \n",
    "token_lifetime": "300",
}


@pytest.fixture
def browser(organization: Organization, signed_in: SignedIn) -> Client:
    return signed_in(make_membership(organization, "admin"))


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization)


def stored(organization: Organization) -> Resource:
    """The one resource of the organization."""
    with organization_scope(organization):
        return Resource.objects.get()


def granted(organization: Organization) -> ResourceGrant:
    with organization_scope(organization):
        return ResourceGrant.objects.select_related("agent").get()


def test_a_resource_is_registered_and_opened_to_an_agent(browser: Client, agent: Agent) -> None:
    browser.post("/resources/new", FORM)
    resource = stored(agent.organization)

    page = browser.post(
        f"/resources/{resource.pk}/agents",
        {"agent": agent.email.upper(), "scopes": ["files:write"]},
        follow=True,
    )

    grant = granted(agent.organization)
    assert resource.described_scopes == [
        {"name": "files:read", "description": "Read files"},
        {"name": "files:write", "description": ""},
    ]
    assert resource.token_lifetime == 300
    assert (grant.agent, grant.scopes) == (agent, ["files:write"])
    assert f"{agent.name} can now get tokens for Files." in page.content.decode()


def test_the_page_has_what_the_service_and_the_agent_need(
    browser: Client, organization: Organization
) -> None:
    resource = make_resource(organization)

    text = browser.get(f"/resources/{resource.pk}").content.decode()

    for line in (
        f"ISSUER={settings.ISSUER}",
        f"JWKS_URI={settings.ISSUER}/.well-known/jwks.json",
        f"AUDIENCE={resource.identifier}",
        f"ORGANIZATIONS={organization.public_id}",
    ):
        assert line in text
    assert "No agent is allowed yet" in text


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"identifier": "http://mcp.example.com/"}, "identifier", "Use https."),
        ({"identifier": "https://MCP.example.com"}, "identifier", "https://mcp.example.com/"),
        ({"identifier": settings.AUDIENCE}, "identifier", "AgentIdP itself"),
        ({"described_scopes": 'a"b'}, "described_scopes", "printable ASCII"),
        ({"described_scopes": "a\na"}, "described_scopes", "twice"),
        ({"described_scopes": f"a {'x' * 201}"}, "described_scopes", "Describe a in at most"),
        ({"token_lifetime": "59"}, "token_lifetime", "60"),
        ({"name": "a\u202eb"}, "name", "printable"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    browser: Client,
    organization: Organization,
    change: dict[str, str],
    field: str,
    sentence: str,
) -> None:
    answer = browser.post("/resources/new", FORM | change)

    assert answer.status_code == 400
    assert sentence in " ".join(answer.context["form"].errors[field])
    with organization_scope(organization):
        assert not Resource.objects.exists()


def test_a_taken_address_is_an_error_at_its_field(
    browser: Client, organization: Organization
) -> None:
    make_resource(organization, identifier=FORM["identifier"])

    answer = browser.post("/resources/new", FORM)

    assert answer.status_code == 400
    assert "already exists" in answer.context["form"].errors["identifier"][0]


def test_changing_begins_with_what_there_is(browser: Client, organization: Organization) -> None:
    resource = make_resource(
        organization, scope_descriptions={"files:read": "Read files"}, token_lifetime=90
    )
    url = f"/resources/{resource.pk}/edit"
    shown = browser.get(url).context["form"].initial

    browser.post(url, shown | {"name": "All files"})

    resource = stored(organization)
    assert resource.name == "All files"
    assert resource.scopes == ["files:read", "files:write"]
    assert resource.scope_descriptions == {"files:read": "Read files"}
    assert resource.token_lifetime == 90


def test_what_an_agent_may_is_changed_from_its_row(browser: Client, agent: Agent) -> None:
    resource = make_resource(agent.organization)
    make_grant(resource, agent, ["files:write"])

    form = browser.get(f"/resources/{resource.pk}?agent={agent.pk}").context["form"]
    browser.post(f"/resources/{resource.pk}/agents", {"agent": agent.pk, "scopes": "files:read"})

    assert form.initial == {"agent": agent.email, "scopes": ["files:write"]}
    assert granted(agent.organization).scopes == ["files:read"]


@pytest.mark.parametrize("name", ["nobody@example.com", "", "x" * 300])
def test_an_unknown_agent_is_an_error_at_its_field(
    browser: Client, organization: Organization, name: str
) -> None:
    resource = make_resource(organization)

    answer = browser.post(f"/resources/{resource.pk}/agents", {"agent": name})

    assert answer.status_code == 400
    assert "agent" in answer.context["form"].errors


def test_an_agents_page_names_its_resources(browser: Client, agent: Agent) -> None:
    resource = make_resource(agent.organization, name="Quarterly files")
    make_grant(resource, agent)

    text = browser.get(f"/agents/{agent.pk}").content.decode()

    assert f"/resources/{resource.pk}" in text
    assert "Quarterly files" in text


def test_an_agent_is_removed_and_the_resource_deleted(browser: Client, agent: Agent) -> None:
    resource = make_resource(agent.organization)
    make_grant(resource, agent)

    browser.post(f"/resources/{resource.pk}/agents/{agent.pk}/remove")
    left = browser.get(f"/resources/{resource.pk}").context["grants"]
    page = browser.post(f"/resources/{resource.pk}/delete", follow=True)

    assert list(left) == []
    assert browser.get(f"/resources/{resource.pk}").status_code == 404
    assert "No resources yet" in page.content.decode()


def test_a_viewer_reads_and_is_offered_no_change(
    organization: Organization, signed_in: SignedIn
) -> None:
    resource = make_resource(organization)
    viewer = signed_in(make_membership(organization, "viewer"))

    pages = [
        viewer.get(url).content.decode() for url in ("/resources", f"/resources/{resource.pk}")
    ]

    for text in pages:
        assert "Register resource" not in text
        assert 'method="post"' not in text.partition("<main")[2].partition("</main>")[0]


def test_requests_name_the_resource_and_can_be_narrowed_to_it(
    browser: Client, agent: Agent
) -> None:
    longest = "https://mcp.example.com/".ljust(MAX_IDENTIFIER_LENGTH, "a")
    resource: Any = make_resource(agent.organization, identifier=longest)
    with organization_scope(agent.organization):
        for identifier in (resource.identifier, ""):
            TokenEvent.objects.create(
                organization=agent.organization,
                agent=agent,
                outcome="issued",
                resource=identifier,
            )

    everything = browser.get("/tokens?each=1").context["page"].object_list
    answer = browser.get("/tokens", {"resource": resource.identifier, "each": 1})

    assert len(everything) == 2
    assert [event.resource for event in answer.context["page"].object_list] == [resource.identifier]
    assert f"for {resource.identifier}" in answer.content.decode()
