from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Agent
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from tokens.access_tokens import PersonRefresh, new_token_id, sign_agent_token
from tokens.models import (
    Credential,
    LoginSession,
    Resource,
    ResourceGrant,
    make_client_secret,
)


def make_credential(
    agent: Agent, *, secret: str | None = None, **overrides: Any
) -> tuple[Credential, str]:
    """A live credential of the agent, with its secret."""
    secret = secret or make_client_secret()
    credential = Credential(organization=agent.organization, agent=agent, **overrides)
    credential.set_secret(secret)
    with organization_scope(agent.organization):
        credential.save(force_insert=True)
    return credential, secret


def make_resource(organization: Organization, **overrides: Any) -> Resource:
    """A resource with a unique identifier and two scopes."""
    fields = {
        "identifier": f"https://mcp.example.com/{uuid4()}",
        "name": "Files",
        "scopes": ["files:read", "files:write"],
    }
    with organization_scope(organization):
        return Resource.objects.create(organization=organization, **(fields | overrides))


def make_grant(
    resource: Resource, agent: Agent, scopes: Sequence[str] = ("files:read",)
) -> ResourceGrant:
    """Allow the agent these scopes at the resource."""
    with organization_scope(resource.organization):
        return ResourceGrant.objects.create(
            organization=resource.organization, resource=resource, agent=agent, scopes=list(scopes)
        )


def access_token_for(
    subject: Agent | Membership,
    *,
    scopes: str | None = None,
    credential: Credential | None = None,
) -> str:
    """A live access token. `scopes` defaults to everything the subject may have, and an agent's
    credential is a new one by default."""
    if isinstance(subject, Membership):
        # Dated by the database's clock, which time_machine does not move.
        session = LoginSession.objects.create(user=subject.user, created_at=Now())
        return str(person_refresh(subject, session).access_token)
    credential = credential or make_credential(subject)[0]
    return sign_agent_token(
        agent_id=subject.pk,
        organization_id=subject.organization_id,
        credential_id=credential.pk,
        scope=" ".join(subject.scopes) if scopes is None else scopes,
        token_id=new_token_id(),
        issued_at=int(timezone.now().timestamp()),
        generation=generation_of(subject),
        algorithm=subject.organization.signing_algorithm,
    )


def generation_of(agent: Agent) -> int:
    """The generation that a token of the agent names now."""
    return agent.token_generation + agent.organization.token_generation


def person_refresh(membership: Membership, session: LoginSession) -> PersonRefresh:
    return PersonRefresh.for_session(membership, session.pk)
