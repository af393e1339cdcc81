"""Who may register resources and allow agents, and which identifiers are valid."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import AuditEvent, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import Resource, ResourceGrant
from tokens.tests.factories import access_token_for, make_resource

# Managing resources


@pytest.fixture
def admin(organization: Organization) -> Client:
    token = access_token_for(make_membership(organization, "admin"))
    return Client(headers={"Authorization": f"Bearer {token}"})


def create(client: Client, **fields: Any) -> Any:
    body = {"identifier": "https://mcp.example.com/", "name": "Files"} | fields
    return client.post("/api/v1/resources", body, content_type="application/json")


GOOD = [
    "https://mcp.example.com/",
    "https://mcp.example.com/mcp",
    "https://mcp.example.com/mcp/",
    "https://mcp.example.com:8443/mcp?tenant=a",
    "https://xn--mller-kva.example/a%20b",
    "https://192.0.2.7/",
    "https://[2001:db8::1]:8443/",
    "http://localhost:8001/mcp",
    "http://127.0.0.1:8001/mcp",
    "http://[::1]:8001/",
]
WITH_NORMAL_FORM = {
    "https://mcp.example.com": "https://mcp.example.com/",
    "HTTPS://mcp.example.com/": "https://mcp.example.com/",
    "https://MCP.Example.com/Path": "https://mcp.example.com/Path",
    "https://mcp.example.com:443/": "https://mcp.example.com/",
    "https://mcp.example.com:/": "https://mcp.example.com/",
    "https://mcp.example.com/%7efiles": "https://mcp.example.com/~files",
    "https://mcp.example.com/%c3%a9": "https://mcp.example.com/%C3%A9",
}
BAD = [
    "https://mcp.example.com/#part",
    "https://mcp.example.com/#",
    "http://mcp.example.com/",
    "http://localhost.example.com/",
    "http://localhost@example.com/",
    "https://user@mcp.example.com/",
    "https://mcp.example.com/a/../b",
    "https://mcp.example.com/%2e%2e/b",
    "https://mcp.example.com/a b",
    " https://mcp.example.com/",
    "https://mcp.example.com/\t",
    "https://mcp.example.com/ü",
    "https://mcp.example.com/%zz",
    "https://mcp.example.com:http/",
    "https://*/",
    "https:///path",
    "https:mcp.example.com",
    "//mcp.example.com/",
    "/mcp",
    "mcp.example.com",
    "urn:example:files",
    "javascript:alert(1)",
    "https://[::1/",
    "https://[::1]x/",
    "https://mcp.example.com/" + "a" * 255,
    settings.AUDIENCE,
    f"{settings.ISSUER}/",
    f"{settings.ISSUER}/api/v1/agents",
]


@pytest.mark.parametrize("identifier", GOOD)
def test_an_address_in_its_normal_form_is_an_identifier(admin: Client, identifier: str) -> None:
    answer = create(admin, identifier=identifier)

    assert (answer.status_code, answer.json()["identifier"]) == (201, identifier)


@pytest.mark.parametrize("identifier", WITH_NORMAL_FORM)
def test_another_spelling_is_refused_and_the_normal_one_named(
    admin: Client, identifier: str
) -> None:
    answer = create(admin, identifier=identifier)

    sentence = f"Write it in its normal form: {WITH_NORMAL_FORM[identifier]}"
    assert (answer.status_code, answer.json()["details"]) == (400, {"identifier": [sentence]})


@pytest.mark.parametrize("identifier", BAD)
def test_anything_else_is_refused(admin: Client, identifier: str) -> None:
    answer = create(admin, identifier=identifier)

    assert answer.status_code == 400
    assert answer.json()["details"].keys() == {"identifier"}
    assert "normal form" not in answer.json()["message"]


def test_an_identifier_is_unique_in_its_organization(
    admin: Client, other_organization: Organization
) -> None:
    make_resource(other_organization, identifier="https://mcp.example.com/")

    answers = [create(admin) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "RESOURCE_ALREADY_EXISTS"
    assert answers[1].json()["details"] == {"identifier": ["Already registered."]}


@pytest.mark.parametrize(
    "scopes",
    [
        [{"name": "a b"}],
        [{"name": 'a"b'}],
        [{"name": "a\\b"}],
        [{"name": "ü"}],
        [{"name": ""}],
        [{"name": "x" * 65}],
        [{"description": "no name"}],
        [{"name": "a"}, {"name": "a"}],
        [{"name": f"s{number}"} for number in range(51)],
        [{"name": f"{number:064d}"} for number in range(20)],
        ["files:read"],
        [{"name": "a", "extra": 1}],
        [{"name": "a", "description": 1}],
    ],
)
@pytest.mark.parametrize("is_change", [False, True])
def test_scopes_must_be_well_formed(
    admin: Client, organization: Organization, scopes: Any, is_change: bool
) -> None:
    if is_change:
        url = f"/api/v1/resources/{make_resource(organization).pk}"
        answer = admin.patch(url, {"scopes": scopes}, content_type="application/json")
    else:
        answer = create(admin, scopes=scopes)

    assert (answer.status_code, answer.json()["details"].keys()) == (400, {"scopes"})


@pytest.mark.parametrize("seconds", [0, 59, 86_401, -60, "soon", 60.5])
def test_a_lifetime_has_limits(admin: Client, seconds: Any) -> None:
    answer = create(admin, tokenLifetimeSeconds=seconds)

    assert answer.json()["details"].keys() == {"tokenLifetimeSeconds"}


def test_the_identifier_cannot_be_changed(admin: Client, organization: Organization) -> None:
    resource = make_resource(organization)

    answer = admin.patch(
        f"/api/v1/resources/{resource.pk}",
        {"identifier": "https://elsewhere.example/"},
        content_type="application/json",
    )

    assert (answer.status_code, answer.json()["details"].keys()) == (400, {"identifier"})


def test_every_decision_is_in_the_audit_log(
    admin: Client, agent: Agent, organization: Organization
) -> None:
    made = create(admin, scopes=[{"name": "files:read"}]).json()
    url = f"/api/v1/resources/{made['resourceId']}"
    permission = f"{url}/agents/{agent.pk}"

    for _ in range(2):  # the second time changes nothing and answers the same
        admin.patch(url, {"name": "All files"}, content_type="application/json")
        answer = admin.put(permission, {"scopes": ["files:read"]}, content_type="application/json")
        assert answer.json()["scopes"] == ["files:read"]
    assert [admin.delete(permission).status_code for _ in range(2)] == [204, 404]
    assert admin.delete(url).status_code == 204

    with organization_scope(organization):
        events = AuditEvent.objects.filter(action__startswith="resource.").order_by("sequence")
        assert list(events.values_list("action", "agent_id", "target_label")) == [
            ("resource.created", None, "https://mcp.example.com/"),
            ("resource.updated", None, "https://mcp.example.com/"),
            ("resource.agent_allowed", agent.pk, "https://mcp.example.com/"),
            ("resource.agent_removed", agent.pk, "https://mcp.example.com/"),
            ("resource.deleted", None, "https://mcp.example.com/"),
        ]
        assert events[1].metadata == {
            "before": {"name": made["name"]},
            "after": {"name": "All files"},
        }


def test_a_scope_that_the_resource_does_not_have_cannot_be_allowed(
    admin: Client, agent: Agent, resource: Resource
) -> None:
    answer = admin.put(
        f"/api/v1/resources/{resource.pk}/agents/{agent.pk}",
        {"scopes": ["files:read", "agents:write"]},
        content_type="application/json",
    )

    assert answer.status_code == 400
    assert answer.json()["details"] == {"scopes": ["The resource has no scope agents:write."]}


def test_an_agent_never_allows_itself(organization: Organization, resource: Resource) -> None:
    agent = make_agent(organization, scopes=["admin:orgs"])
    Principal.objects.filter(pk=agent.pk).update(role=Principal.Role.ADMIN)
    client = Client(headers={"Authorization": f"Bearer {access_token_for(agent)}"})

    answer = client.put(
        f"/api/v1/resources/{resource.pk}/agents/{agent.pk}",
        {"scopes": ["files:read"]},
        content_type="application/json",
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert not ResourceGrant.objects.filter(agent=agent).exists()


def test_a_decommissioned_agent_is_allowed_nowhere(
    admin: Client, organization: Organization, resource: Resource
) -> None:
    agent = make_agent(organization, status="decommissioned")

    answer = admin.put(
        f"/api/v1/resources/{resource.pk}/agents/{agent.pk}",
        {"scopes": []},
        content_type="application/json",
    )

    assert answer.json()["code"] == "AGENT_ALREADY_DECOMMISSIONED"
