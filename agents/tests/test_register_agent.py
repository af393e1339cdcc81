"""POST /api/v1/agents: the required and the optional fields."""

import tracemalloc
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import AuditEvent, Organization, Principal
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

URL = "/api/v1/agents"
JSON = "application/json"
FIELDS: dict[str, Any] = {
    "email": "screener-1@agents.example.com",
    "agentType": "screener",
    "version": "1.4.0",
    "capabilities": ["resume:read", "score:write"],
    "owner": "talent-team",
    "deploymentEnv": "production",
}


@pytest.fixture
def owner(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization))


def register(client: Client, **changes: Any) -> Any:
    return client.post(URL, FIELDS | changes, content_type=JSON)


def test_an_agent_is_registered_in_the_callers_organization(
    owner: Client, organization: Organization
) -> None:
    answer = register(owner)

    assert answer.status_code == 201
    body = answer.json()
    assert body == FIELDS | {
        "agentId": body["agentId"],
        "organizationId": organization.public_id,
        "name": "screener-1",
        "runbookUrl": "",
        "scopes": ["agents:read", "executions:read", "executions:write", "tokens:read"],
        "isPublic": False,
        "status": "active",
        "createdAt": body["createdAt"],
        "updatedAt": body["updatedAt"],
    }
    assert owner.get(f"{URL}/{body['agentId']}").json() == body
    assert Principal.objects.get(pk=body["agentId"]).organization == organization


def test_registering_is_audited(owner: Client, organization: Organization) -> None:
    agent_id = register(owner).json()["agentId"]

    with organization_scope(organization):
        event = AuditEvent.objects.get(action="agent.created")
    assert str(event.agent_id) == event.target_id == agent_id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "no-address"),
        ("email", "a" * 250 + "@example.com"),
        ("email", None),
        ("email", 1),
        ("email", ["a@example.com"]),
        ("agentType", "robot"),
        ("agentType", "Screener"),
        ("agentType", None),
        ("agentType", ["screener"]),
        ("version", "1"),
        ("version", "1.0"),
        ("version", "v1.0.0"),
        ("version", "01.0.0"),
        ("version", "1.0.0-"),
        ("version", "1.0.0-01"),
        ("version", "1.0.0+"),
        ("version", "1.0.0-" + "a" * 60),
        ("version", "1.0.0\n1"),
        ("version", "\uff11.0.0"),
        ("capabilities", []),
        ("capabilities", "resume:read"),
        ("capabilities", ["resume"]),
        ("capabilities", ["resume:"]),
        ("capabilities", [":read"]),
        ("capabilities", ["Resume:read"]),
        ("capabilities", ["resume:read:all"]),
        ("capabilities", ["resume read"]),
        ("capabilities", [""]),
        ("capabilities", [None]),
        ("capabilities", [["resume:read"]]),
        ("capabilities", {"resume": "read"}),
        ("capabilities", ["a:" + "b" * 127]),
        ("capabilities", [f"a:b{n}" for n in range(65)]),
        ("owner", ""),
        ("owner", "   "),
        ("owner", "o" * 129),
        ("owner", None),
        ("deploymentEnv", "test"),
        ("deploymentEnv", 1),
        ("runbookUrl", "javascript:alert(1)"),
        ("runbookUrl", "JavaScript:alert(1)//https://wiki.example.com"),
        ("runbookUrl", "data:text/html,<script>alert(1)</script>"),
        ("runbookUrl", "http://wiki.example.com/screener"),
        ("runbookUrl", "file:///etc/passwd"),
        ("runbookUrl", "//wiki.example.com/screener"),
        ("runbookUrl", "wiki.example.com/screener"),
        ("runbookUrl", "https:wiki.example.com"),
        ("runbookUrl", "https:\\\\wiki.example.com"),
        ("runbookUrl", "https:///screener"),
        ("runbookUrl", "https://"),
        ("runbookUrl", "https://bank.example@evil.example/"),
        ("runbookUrl", "https://evil.example\\@bank.example/"),
        ("runbookUrl", "https://wiki.example.com:port/"),
        ("runbookUrl", "https://wiki.example.com/a b"),
        ("runbookUrl", "https://wiki.example.com/%zz"),
        ("runbookUrl", "https://wiki.example.com/\u202egpj"),
        ("runbookUrl", "https://wiki.example.com/\njavascript:alert(1)"),
        ("runbookUrl", 'https://wiki.example.com/"onclick="alert(1)'),
        ("runbookUrl", "https://wiki.example.com/" + "a" * 476),
        ("runbookUrl", None),
        ("runbookUrl", 1),
        ("scopes", ["nonsense"]),
        ("scopes", "agents:read"),
        ("scopes", None),
        ("isPublic", "perhaps"),
        ("isPublic", None),
        ("agentId", "0f0e0d0c-0b0a-4009-8807-060504030201"),
        ("organizationId", "org-0f0e0d0c-0b0a-4009-8807-060504030201"),
        ("organization_id", "0f0e0d0c-0b0a-4009-8807-060504030201"),
        ("status", "suspended"),
        ("createdAt", "2020-01-01T00:00:00Z"),
        ("colour", "green"),
    ],
)
def test_a_wrong_field_is_named(owner: Client, field: str, value: Any) -> None:
    answer = register(owner, **{field: value})

    assert answer.status_code == 400, answer.content
    body = answer.json()
    assert body["code"] == "VALIDATION_ERROR"
    assert list(body["details"]) == [field]
    assert field in body["message"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(owner: Client, field: str) -> None:
    answer = owner.post(URL, {k: v for k, v in FIELDS.items() if k != field}, content_type=JSON)

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [field]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://wiki.example.com",
        "https://wiki/screener",
        "https://10.1.2.3:8443/runbooks/?id=7&view=a%20b#first-steps",
        "https://[2001:db8::1]/",
        "https://wiki.example.com/" + "a" * 475,
    ],
)
def test_an_https_address_or_none_is_a_runbook(owner: Client, address: str) -> None:
    answer = register(owner, runbookUrl=address)

    assert (answer.status_code, answer.json()["runbookUrl"]) == (201, address)


@pytest.mark.parametrize("version", ["0.0.0", "1.0.0-rc.1", "10.20.30-a-b.0+build.7", "1.0.0+0"])
def test_every_semantic_version_is_taken(owner: Client, version: str) -> None:
    assert register(owner, version=version).json()["version"] == version


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("version", "1.0.0-" + "a." * 450_000 + "a"),
        ("runbookUrl", "https://wiki.example.com/" + "a" * 900_000),
    ],
)
def test_a_text_that_is_too_long_is_compared_with_no_pattern(
    owner: Client, field: str, text: str
) -> None:
    """It would need two hundred bytes of memory for each of its characters."""
    tracemalloc.start()
    try:
        answer = register(owner, **{field: text})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert answer.status_code == 400
    assert peak < 30_000_000


@pytest.mark.parametrize(
    "body", ["[]", '"x"', "1", "null", "true", "{", "[" * 200, '{"email":1e999}']
)
def test_a_body_that_is_no_agent_is_refused(owner: Client, body: str) -> None:
    answer = owner.post(URL, body, content_type=JSON)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


def test_an_address_is_taken_once_whatever_its_case(
    owner: Client, organization: Organization
) -> None:
    register(owner)

    answer = register(owner, email="SCREENER-1@Agents.Example.COM")

    assert (answer.status_code, answer.json()["code"]) == (409, "AGENT_ALREADY_EXISTS")
    assert "email" in answer.json()["details"]
    assert Principal.objects.filter(organization=organization).count() == 1


def test_another_organizations_address_is_free(
    owner: Client, other_organization: Organization
) -> None:
    make_agent(other_organization, email=FIELDS["email"])

    assert register(owner).status_code == 201


def test_the_plan_limits_the_number_of_agents(owner: Client, organization: Organization) -> None:
    Organization.objects.filter(pk=organization.pk).update(max_agents=2)
    first = register(owner, email="a@example.com").json()["agentId"]
    register(owner, email="b@example.com")

    full = register(owner, email="c@example.com")
    owner.delete(f"{URL}/{first}")
    after = register(owner, email="c@example.com")

    assert (full.status_code, full.json()["code"]) == (403, "FREE_TIER_LIMIT_EXCEEDED")
    assert after.status_code == 201


def test_nobody_grants_a_scope_that_they_do_not_hold(
    organization: Organization, client_for: ClientFor
) -> None:
    client = client_for(organization, scopes="agents:read agents:write")

    beyond = register(client, scopes=["agents:read", "audit:read"])
    within = register(client, scopes=["agents:read"])

    assert (beyond.status_code, beyond.json()["code"]) == (403, "FORBIDDEN")
    assert beyond.json()["details"]["scopes"] == ["audit:read"]
    assert within.json()["scopes"] == ["agents:read"]


def test_the_default_scopes_are_within_the_granters(
    organization: Organization, client_for: ClientFor
) -> None:
    client = client_for(organization, scopes="agents:read agents:write")

    assert register(client).json()["scopes"] == ["agents:read"]


def test_repeated_values_count_once(owner: Client) -> None:
    body = register(
        owner, capabilities=["a:b", "a:b", "c:d"], scopes=["tokens:read", "tokens:read"]
    ).json()

    assert body["capabilities"] == ["a:b", "c:d"]
    assert body["scopes"] == ["tokens:read"]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_lesser_role_registers_nothing(
    organization: Organization, client_for: ClientFor, role: str
) -> None:
    answer = register(client_for(make_membership(organization, role)))

    assert answer.status_code == 403
    with organization_scope(organization):
        assert Agent.objects.count() == 0
