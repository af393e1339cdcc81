"""Tokens for resources are visible to their organization only, and end with the agent's
permission."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from agents.actions import suspend_agent
from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import Resource, ResourceGrant, TokenEvent
from tokens.resources import (
    ResourceNotFound,
    allow_agent,
    delete_resource,
    remove_agent,
    update_resource,
)
from tokens.tests.clients import FormClient, bearer
from tokens.tests.factories import access_token_for, make_grant, make_resource
from tokens.tests.forgery import sign, take_apart
from tokens.tests.receivers import about, system

# When such a token ends


@pytest.fixture
def token(ask: Callable[..., Any], grant: ResourceGrant, resource: Resource) -> str:
    return str(ask(resource=resource.identifier).json()["access_token"])


@pytest.fixture
def service(organization: Organization) -> FormClient:
    """The resource server: an agent that introspects tokens."""
    return bearer(access_token_for(make_agent(organization, scopes=["tokens:read"])))


def test_introspection_knows_it(service: FormClient, token: str, resource: Resource) -> None:
    facts = about(service, token)

    assert facts["active"] is True
    assert facts["aud"] == resource.identifier
    assert facts["scope"] == "files:read files:write"


def test_another_organization_learns_nothing_of_it(
    token: str, other_organization: Organization
) -> None:
    make_resource(other_organization)
    stranger = bearer(access_token_for(make_agent(other_organization, scopes=["tokens:read"])))

    assert about(stranger, token) == {"active": False}


def test_narrowing_the_grant_narrows_live_tokens(
    service: FormClient, token: str, agent: Agent, resource: Resource
) -> None:
    with organization_scope(resource.organization):
        allow_agent(resource, agent, actor=system(resource.organization), scopes=["files:write"])

    assert about(service, token)["scope"] == "files:write"


def test_widening_the_grant_leaves_live_tokens_as_they_are(
    service: FormClient, token: str, agent: Agent, resource: Resource
) -> None:
    with organization_scope(resource.organization):
        allow_agent(resource, agent, actor=system(resource.organization), scopes=resource.scopes)

    assert about(service, token)["scope"] == "files:read files:write"


@pytest.mark.parametrize("change", ["remove the agent", "delete the resource"])
def test_allowing_the_agent_anew_brings_no_earlier_token_back(
    service: FormClient, token: str, grant: ResourceGrant, agent: Agent, change: str
) -> None:
    resource, actor = grant.resource, system(grant.organization)
    with organization_scope(resource.organization):
        if change == "remove the agent":
            remove_agent(grant, actor=actor)
        else:
            delete_resource(resource, actor=actor)
    before = about(service, token)
    if change == "delete the resource":
        resource = make_resource(
            resource.organization, identifier=resource.identifier, scopes=resource.scopes
        )

    later = make_grant(resource, agent, ["files:read", "files:write"])
    with organization_scope(resource.organization):
        ResourceGrant.objects.filter(pk=later.pk).update(
            created_at=timezone.now() + timedelta(minutes=1)
        )

    assert about(service, token) == before == {"active": False}


def test_a_scope_that_the_resource_loses_is_taken_from_agents_and_tokens(
    service: FormClient, token: str, grant: ResourceGrant, resource: Resource
) -> None:
    actor = system(resource.organization)
    with organization_scope(resource.organization):
        update_resource(resource, actor=actor, described_scopes=[{"name": "files:read"}])
        narrowed = about(service, token)["scope"]
        grant.refresh_from_db()
        update_resource(
            resource,
            actor=actor,
            described_scopes=[{"name": "files:read"}, {"name": "files:write"}],
        )

    assert narrowed == "files:read"
    assert grant.scopes == ["files:read"]
    assert about(service, token)["scope"] == "files:read"  # it does not come back by itself


def remove_grant(grant: ResourceGrant) -> None:
    remove_agent(grant, actor=system(grant.organization))


def remove_resource(grant: ResourceGrant) -> None:
    delete_resource(grant.resource, actor=system(grant.organization))


def allow_nothing(grant: ResourceGrant) -> None:
    allow_agent(grant.resource, grant.agent, actor=system(grant.organization), scopes=[])


def suspend(grant: ResourceGrant) -> None:
    suspend_agent(grant.agent, actor=system(grant.organization))


def revoke_all(grant: ResourceGrant) -> None:
    grant.agent.credentials.update(status="revoked")


@pytest.mark.parametrize("end", [remove_grant, remove_resource, allow_nothing, suspend, revoke_all])
def test_what_ends_the_permission_ends_live_tokens(
    service: FormClient, token: str, grant: ResourceGrant, end: Callable[[ResourceGrant], None]
) -> None:
    assert about(service, token)["active"] is True

    with organization_scope(grant.organization):
        end(grant)

    assert about(service, token) == {"active": False}


def test_its_agent_may_revoke_it(
    service: FormClient, token: str, agent: Agent, resource: Resource
) -> None:
    bearer(access_token_for(agent)).post("/api/v1/token/revoke", {"token": token})

    assert about(service, token) == {"active": False}
    with organization_scope(agent.organization):
        event = TokenEvent.objects.get(outcome="revoked")
        assert (event.resource, event.agent_id) == (resource.identifier, agent.pk)


def test_a_change_after_a_concurrent_deletion_is_not_found(
    organization: Organization, resource: Resource, agent: Agent
) -> None:
    actor = system(organization)
    with organization_scope(organization):
        read_before = Resource.objects.get(pk=resource.pk)
        delete_resource(resource, actor=actor)

        for change in (
            lambda: update_resource(read_before, actor=actor, name="Late"),
            lambda: allow_agent(read_before, agent, actor=actor, scopes=[]),
            lambda: delete_resource(read_before, actor=actor),
        ):
            with pytest.raises(ResourceNotFound):
                change()


@pytest.mark.parametrize(
    "change",
    [{"aud": settings.AUDIENCE}, {"token_use": "agent"}, {"aud": [settings.AUDIENCE]}, {"aud": ""}],
    ids=str,
)
def test_each_mark_of_such_a_token_alone_keeps_it_out(
    service: FormClient, token: str, change: dict[str, Any]
) -> None:
    """Both its audience and its use say whom the token is for.

    We sign none in which they disagree.
    """
    parts = take_apart(token)
    mixed = sign(parts.header, parts.claims | change)

    assert bearer(mixed).get("/api/v1/agents").status_code == 401
    assert about(service, mixed) == {"active": False}
