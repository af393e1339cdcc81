"""The actor of a request: a person, an agent or the system, always in one organization."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from uuid import UUID

import structlog
from django.db import models

from organizations.models import Membership, Organization, User


class Scope(models.TextChoices):
    """The scopes of access tokens. Analytics requires none."""

    AGENTS_READ = "agents:read", "Read agents and their credentials"
    AGENTS_WRITE = "agents:write", "Register and change agents and their credentials"
    TOKENS_READ = "tokens:read", "Introspect and revoke tokens"
    AUDIT_READ = "audit:read", "Read and verify the audit log"
    ADMIN_ORGS = "admin:orgs", "Administer the organization and its members"
    WEBHOOKS_READ = "webhooks:read", "Read webhooks"
    WEBHOOKS_WRITE = "webhooks:write", "Register and change webhooks"
    EXECUTIONS_READ = "executions:read", "Read executions"
    EXECUTIONS_WRITE = "executions:write", "Report and control executions"
    FLOWS_RUN = "flows:run", "Launch flows"


VIEWER_SCOPES = frozenset({Scope.AGENTS_READ, Scope.EXECUTIONS_READ})
OPERATOR_SCOPES = VIEWER_SCOPES | {
    Scope.AUDIT_READ,
    Scope.EXECUTIONS_WRITE,
    Scope.FLOWS_RUN,
    Scope.TOKENS_READ,
    Scope.WEBHOOKS_READ,
}
ADMIN_SCOPES = frozenset(Scope)
SCOPES_OF_ROLE: dict[str, frozenset[str]] = {
    Membership.Role.VIEWER: frozenset(map(str, VIEWER_SCOPES)),
    Membership.Role.OPERATOR: frozenset(map(str, OPERATOR_SCOPES)),
    Membership.Role.ADMIN: frozenset(map(str, ADMIN_SCOPES)),
    Membership.Role.OWNER: frozenset(map(str, ADMIN_SCOPES)),
}


@dataclass(frozen=True)
class Actor:
    """The acting principal of a request or command, with its scopes."""

    kind: str
    """`person`, `agent`, `staff` (of the platform, in the admin) or `system`."""
    id: UUID | None
    label: str
    """The actor's name in the audit log: an email address or the name of a command."""
    organization: Organization
    scopes: frozenset[str] = field(default_factory=frozenset)
    role: str = ""
    """A person's role, or `admin` for an agent whose token holds admin:orgs."""
    user: User | None = None
    credential_id: UUID | None = None
    session_id: UUID | None = None
    token_id: UUID | None = None
    issued_at: datetime | None = None
    """When the token of the request was issued, and the generation of tokens that it belongs to."""
    generation: int | None = None
    ip_address: str | None = None
    user_agent: str = ""
    is_authenticated: bool = True
    is_active: bool = True

    @classmethod
    def for_person(
        cls,
        membership: Membership,
        *,
        session_id: UUID | None = None,
        token_id: UUID | None = None,
        issued_at: datetime | None = None,
        generation: int | None = None,
        ip_address: str | None = None,
        user_agent: str = "",
    ) -> Self:
        """The membership's user, acting with the scopes of its role."""
        return cls(
            kind="person",
            id=membership.user_id,
            label=membership.user.email,
            organization=membership.organization,
            scopes=SCOPES_OF_ROLE[membership.role],
            role=membership.role,
            user=membership.user,
            session_id=session_id,
            token_id=token_id,
            issued_at=issued_at,
            generation=generation,
            ip_address=ip_address,
            user_agent=user_agent,
        )

    @classmethod
    def for_staff(
        cls, user: User, organization: Organization, *, ip_address: str | None, user_agent: str
    ) -> Self:
        """Platform staff in the admin, inside the organization that they chose."""
        return cls(
            kind="staff",
            id=user.pk,
            label=user.email,
            organization=organization,
            user=user,
            ip_address=ip_address,
            user_agent=user_agent,
        )

    @classmethod
    def for_system(cls, organization: Organization, label: str) -> Self:
        """A management command or a background job of the deployment."""
        return cls(
            kind="system", id=None, label=label, organization=organization, scopes=ADMIN_SCOPES
        )

    def may(self, *scopes: str) -> bool:
        return self.scopes.issuperset(scopes)

    def bind_to_log(self) -> None:
        """Add the actor's ids to every log line of this request."""
        names = {
            "organization_id": self.organization.public_id,
            "actor_kind": self.kind,
            "actor_id": self.id,
            "token_id": self.token_id,
        }
        structlog.contextvars.bind_contextvars(
            **{name: str(value) for name, value in names.items() if value}
        )

    @property
    def is_owner(self) -> bool:
        return self.role == Membership.Role.OWNER
