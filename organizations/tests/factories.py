from itertools import count
from typing import Any
from uuid import UUID

from django.db import connection

from organizations.actors import Actor
from organizations.audit import log
from organizations.models import (
    UNIDENTIFIED_ORGANIZATION_ID,
    AuditEvent,
    Membership,
    Organization,
    User,
)
from organizations.tenancy.scope import SETTING, organization_scope
from organizations.tenancy.shares import share_of

_numbers = count(1)


def make_organization(name: str = "Northwind Labs", **overrides: Any) -> Organization:
    fields = {"slug": f"organization-{next(_numbers)}", "plan_tier": "enterprise"}
    fields |= {"max_tokens_per_month": None}
    organization = Organization.objects.create(name=name, **(fields | overrides))
    share_of(organization.pk)  # as if it had been asked before, so that tests count what is usual
    return organization


def keep_unidentified_organization() -> None:
    """Recreate a migration's row, which `--reuse-db` needs after a test has emptied the tables."""
    Organization.objects.get_or_create(
        pk=UNIDENTIFIED_ORGANIZATION_ID,
        defaults={
            "name": "Unidentified clients",
            "slug": "unidentified-clients",
            "status": "system",
            "max_agents": 0,
        },
    )


def make_user(email: str | None = None, password: str | None = None, **overrides: Any) -> User:
    email = email or f"person-{next(_numbers)}@example.com"
    return User.objects.create_user(email, password, **overrides)


def make_membership(
    organization: Organization, role: str = Membership.Role.OWNER, user: User | None = None
) -> Membership:
    return Membership.objects.create(organization=organization, user=user or make_user(), role=role)


def record_event(
    organization: Organization, action: str = "org.updated", **fields: Any
) -> AuditEvent:
    """An event in the organization's audit log, by the system unless `actor` is given."""
    actor = fields.pop("actor", None) or Actor.for_system(organization, "test")
    with organization_scope(organization):
        return log.record_event(action, actor=actor, **fields)


def current_organization_id() -> UUID | None:
    """The organization of the current scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT NULLIF(current_setting(%s, true), '')::uuid", [SETTING])
        found: UUID | None = cursor.fetchone()[0]
        return found
