from itertools import count
from typing import Any

from organizations.actors import Actor
from organizations.models import AuditEvent, Membership, Organization, User
from organizations.tenancy.scope import organization_scope

_numbers = count(1)


def make_organization(name: str = "Northwind Labs", **overrides: Any) -> Organization:
    fields = {"slug": f"organization-{next(_numbers)}", "plan_tier": "enterprise"}
    fields |= {"max_tokens_per_month": None}
    return Organization.objects.create(name=name, **(fields | overrides))


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
    """An event of the organization's audit log, by the system unless `actor` is given."""
    actor = fields.pop("actor", None) or Actor.for_system(organization, "test")
    with organization_scope(organization):
        return AuditEvent.record(action, actor=actor, **fields)
