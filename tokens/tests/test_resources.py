"""Tokens for resources: who gets them, their claims, and where they work (RFC 8707)."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import Resource, ResourceGrant, TokenEvent
from tokens.tests.clients import FormClient, basic, bearer
from tokens.tests.factories import make_grant, make_resource
from tokens.tests.receivers import URL, claims_of, refused

UNKNOWN = {
    "error": "invalid_target",
    "error_description": "The resource is not known here, or the client is not allowed there.",
}


# Token requests


def test_a_token_names_the_resource_and_nothing_else(
    ask: Callable[..., Any], agent: Agent, grant: ResourceGrant, resource: Resource
) -> None:
    answer = ask(resource=resource.identifier)

    claims = claims_of(answer)
    assert claims["aud"] == resource.identifier
    assert claims["scope"] == answer.json()["scope"] == "files:read files:write"
    assert claims["sub"] == claims["client_id"] == str(agent.pk)
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == 3600


def test_the_resource_says_how_long_its_tokens_live(
    ask: Callable[..., Any], agent: Agent, organization: Organization
) -> None:
    resource = make_resource(organization, token_lifetime=90)
    make_grant(resource, agent)

    answer = ask(resource=resource.identifier)

    claims = claims_of(answer)
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == 90


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("files:read", "files:read"),
        ("files:write files:read", "files:read files:write"),
        ("files:read files:delete", "files:read"),
        ("agents:read files:write", "files:write"),
    ],
)
def test_a_token_gets_the_requested_scopes_that_are_allowed(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource, asked: str, given: str
) -> None:
    answer = ask(resource=resource.identifier, scope=asked)

    assert claims_of(answer)["scope"] == answer.json()["scope"] == given


@pytest.mark.parametrize("asked", ["files:delete", "agents:read", "nonsense"])
def test_a_request_without_any_allowed_scope_is_an_error(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource, asked: str
) -> None:
    assert refused(ask(resource=resource.identifier, scope=asked))["error"] == "invalid_scope"
    assert last_event(resource) == ("refused", "scope_not_allowed", resource.identifier, asked)


def test_a_resource_without_scopes_gets_tokens_without_any(
    ask: Callable[..., Any], agent: Agent, organization: Organization
) -> None:
    resource = make_resource(organization, scopes=[])
    make_grant(resource, agent, [])

    assert claims_of(ask(resource=resource.identifier))["scope"] == ""
    assert refused(ask(resource=resource.identifier, scope="x"))["error"] == "invalid_scope"


def test_access_is_denied_until_it_is_allowed(
    ask: Callable[..., Any], agent: Agent, resource: Resource
) -> None:
    before = ask(resource=resource.identifier)
    make_grant(resource, agent)

    assert refused(before) == UNKNOWN
    assert claims_of(ask(resource=resource.identifier))["aud"] == resource.identifier


def test_a_forbidden_resource_is_answered_like_an_unknown_one(
    ask: Callable[..., Any], grant: ResourceGrant, other_organization: Organization
) -> None:
    theirs = make_resource(other_organization)
    make_grant(theirs, make_agent(other_organization))
    not_allowed = make_resource(grant.organization)

    answers = [
        ask(resource=identifier)
        for identifier in (
            not_allowed.identifier,
            theirs.identifier,
            "https://nowhere.example/",
            "https://nowhere.example/#fragment",
            "nowhere",
            "https://nowhere.example/" + "x" * 3000,
            "https://nowhere.example/\u00fc\x00",
        )
    ]

    assert [refused(answer) for answer in answers] == [UNKNOWN] * 7


def test_the_identifier_is_compared_character_by_character(
    ask: Callable[..., Any], agent: Agent, organization: Organization
) -> None:
    make_grant(make_resource(organization, identifier="https://mcp.example.com/a"), agent)

    for spelling in (
        "https://mcp.example.com/a/",
        "https://mcp.example.com/A",
        "https://MCP.example.com/a",
        "https://mcp.example.com:443/a",
        "https://mcp.example.com/a?",
        " https://mcp.example.com/a",
    ):
        assert refused(ask(resource=spelling)) == UNKNOWN


def test_one_identifier_may_belong_to_two_organizations(
    ask: Callable[..., Any], grant: ResourceGrant, other_organization: Organization
) -> None:
    """Knowing an identifier gives no rights: each organization's tokens contain its own id."""
    identifier = grant.resource.identifier
    theirs = make_resource(other_organization, identifier=identifier, token_lifetime=60)
    make_grant(theirs, make_agent(other_organization))

    claims = claims_of(ask(resource=identifier))

    assert claims["organization_id"] == grant.organization.public_id
    assert claims["exp"] - claims["iat"] == 3600


def test_a_wrong_secret_learns_nothing_about_resources(
    agent: Agent, grant: ResourceGrant, resource: Resource
) -> None:
    answers = [
        FormClient().post(
            URL,
            {"grant_type": "client_credentials", "resource": identifier},
            headers=basic(agent.pk, "sk_live_wrong"),
        )
        for identifier in (resource.identifier, "https://nowhere.example/")
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content


def test_naming_the_resource_twice_is_naming_it_once(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource
) -> None:
    named = ("resource", resource.identifier)

    assert claims_of(ask(named, named))["aud"] == resource.identifier
    assert claims_of(ask(named, ("resource", "")))["aud"] == resource.identifier


def test_two_resources_are_one_too_many(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource
) -> None:
    answer = ask(("resource", resource.identifier), ("resource", settings.AUDIENCE))

    assert refused(answer) == {
        "error": "invalid_target",
        "error_description": "A token is for one resource. Ask for one at a time.",
    }


@pytest.mark.parametrize("more", [[], [("resource", "")], [("resource", settings.AUDIENCE)]])
def test_without_a_resource_a_token_is_for_our_own_api(
    ask: Callable[..., Any], grant: ResourceGrant, more: list[tuple[str, str]]
) -> None:
    answer = ask(*more)

    assert claims_of(answer)["aud"] == settings.AUDIENCE
    assert answer.json()["scope"] == "agents:read tokens:read"
    assert last_event(grant.resource)[2] == ""


def test_the_audience_of_other_products_is_an_unknown_parameter(
    ask: Callable[..., Any], grant: ResourceGrant, resource: Resource
) -> None:
    """RFC 6749 section 3.2: unknown parameters are ignored."""
    assert claims_of(ask(audience=resource.identifier))["aud"] == settings.AUDIENCE


def test_a_request_for_a_resource_takes_one_statement(
    ask: Callable[..., Any],
    grant: ResourceGrant,
    resource: Resource,
    django_assert_num_queries: Any,
) -> None:
    ask(resource=resource.identifier)

    with django_assert_num_queries(0):  # the one statement bypasses Django's query log
        ask(resource=resource.identifier)


def test_every_request_is_recorded_with_its_resource(
    ask: Callable[..., Any], agent: Agent, grant: ResourceGrant, resource: Resource
) -> None:
    ask(resource=resource.identifier)
    issued = last_event(resource)
    ask(resource="https://nowhere.example/")

    assert issued == ("issued", "", resource.identifier, "files:read files:write")
    assert last_event(resource) == (
        "refused",
        "resource_not_allowed",
        "https://nowhere.example/",
        "",
    )
    with organization_scope(agent.organization):  # the client is authenticated
        assert not AuditEvent.objects.filter(action="auth.failed").exists()


def last_event(resource: Resource) -> tuple[str, str, str, str]:
    with organization_scope(resource.organization):
        rows = TokenEvent.objects.order_by("-created_at")
        found: tuple[str, str, str, str] = rows.values_list(
            "outcome", "reason", "resource", "scope"
        )[0]
        return found


def test_a_scope_of_ours_in_a_resource_opens_nothing_here(
    ask: Callable[..., Any], agent: Agent, organization: Organization
) -> None:
    """A resource defines its own scopes, even if their names equal ours."""
    resource = make_resource(organization, scopes=["agents:read", "admin:orgs"])
    make_grant(resource, agent, resource.scopes)
    token = claims_of(answer := ask(resource=resource.identifier))["scope"]
    client = bearer(answer.json()["access_token"])

    assert token == "agents:read admin:orgs"
    assert client.get("/api/v1/agents").status_code == 401
    assert client.get("/api/v1/auth/session").status_code == 401
