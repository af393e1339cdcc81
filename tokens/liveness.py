"""Whether a token that verifies is still good: asked of the database at every use."""

from typing import NoReturn
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils import timezone
from rest_framework_simplejwt.exceptions import InvalidToken

from agents.models import Agent
from organizations.actors import Actor, Scope
from organizations.models import Membership, Organization, Principal
from organizations.requests import client_address
from tokens.access_tokens import AgentAccess, PersonAccess
from tokens.models import Credential, LoginSession, Revocation


def live_agent(token: AgentAccess, request: HttpRequest) -> Actor:
    """The agent of a live token: agent, credential and organization active, token not revoked.

    Runs inside the organization's scope, in one query.
    """
    organization_id = token.organization_id
    credential = (
        Credential.objects.filter(
            Q(expires_at=None) | Q(expires_at__gt=timezone.now()),
            organization_id=organization_id,
            pk=token.credential_id,
            agent_id=token.subject_id,
            status=Credential.Status.ACTIVE,
            agent__status=Agent.Status.ACTIVE,
            organization__status=Organization.Status.ACTIVE,
        )
        .exclude(Exists(revocations_of(organization_id, token.token_id)))
        .annotate(
            is_administrator=Exists(
                Principal.objects.filter(pk=OuterRef("agent_id"), role=Principal.Role.ADMIN)
            )
        )
        .select_related("agent", "organization")
        .first()
    )
    if credential is None:
        refuse()
    granted = frozenset(str(token.get("scope", "")).split())
    if not credential.is_administrator:
        granted -= {Scope.ADMIN_ORGS}
    return Actor(
        kind="agent",
        id=credential.agent_id,
        label=credential.agent.email,
        organization=credential.organization,
        # A scope taken from the agent ends for its live tokens as well.
        scopes=granted & frozenset(credential.agent.scopes),
        role="admin" if credential.is_administrator else "",
        credential_id=credential.pk,
        token_id=token.token_id,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )


def live_person(token: PersonAccess, request: HttpRequest) -> Actor:
    """The person of a live token: account, membership, organization and login session good."""
    organization_id = token.organization_id
    membership = (
        Membership.objects.filter(
            Exists(
                LoginSession.objects.live().filter(pk=token.session_id, user_id=OuterRef("user_id"))
            ),
            user_id=token.subject_id,
            organization_id=organization_id,
            user__is_active=True,
            organization__status=Organization.Status.ACTIVE,
        )
        .exclude(Exists(revocations_of(organization_id, token.token_id)))
        .select_related("user", "organization")
        .first()
    )
    if membership is None:
        refuse()
    return Actor.for_person(
        membership,
        session_id=token.session_id,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )


def revocations_of(organization_id: UUID, token_id: UUID):  # type: ignore[no-untyped-def]
    return Revocation.objects.filter(organization_id=organization_id, token_id=token_id)


def refuse() -> NoReturn:
    raise InvalidToken("The token has expired or was revoked.")
