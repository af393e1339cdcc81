"""Creation, changes, suspension and deletion of organizations."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils.text import slugify

from core.constraints import refusing
from core.database_clock import ago, database_time
from core.errors import DomainError, NotFound
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Invitation, Membership, Organization, User
from organizations.tenancy.scope import organization_scope

MAX_FOUNDED = 20
COUNTED_AFTER_DELETION = timedelta(days=30)
"""Each organization has limits of its own, and its stored data outlives it: deleting one must not
give new limits at once."""
SLUG_LENGTH = 50


class OrganizationHasActiveAgents(DomainError):
    code = "ORGANIZATION_HAS_ACTIVE_AGENTS"
    message = "The organization has active agents. Suspend or decommission them first."


class OrganizationLimitReached(DomainError):
    code = "ORGANIZATION_LIMIT_EXCEEDED"
    message = (
        f"You can create at most {MAX_FOUNDED} organizations. A deleted one still counts for "
        f"{COUNTED_AFTER_DELETION.days} days."
    )


@transaction.atomic
def create_organization(
    owner: User,
    *,
    name: str,
    slug: str = "",
    ip_address: str | None = None,
    user_agent: str = "",
    command: str = "",
    **fields: Any,
) -> Membership:
    """Create an organization.

    Returns its owner's membership; `command` is the name of the management command, if one asks.
    There is no actor yet: the event is recorded as the owner's, in the new organization.
    Organizations that a person creates count against their limit until long after deletion, even if
    they leave; ones they were given, or that the operator created, do not.
    """
    founder = None if command else User.objects.select_for_update().get(pk=owner.pk)
    if founder is not None:
        founded = Organization.objects.filter(created_by=founder)
        forgotten = Q(
            status=Organization.Status.DELETED,
            updated_at__lt=ago(COUNTED_AFTER_DELETION),
        )
        if founded.exclude(forgotten).count() >= MAX_FOUNDED:
            raise OrganizationLimitReached
    organization = Organization(
        name=name, slug=slug or make_slug(name), created_by=founder, **fields
    )
    organization.save(force_insert=True)
    membership = Membership.objects.create(
        organization=organization,
        user=owner,
        role=Membership.Role.OWNER,
        created_at=database_time(),
    )
    actor = (
        Actor.for_system(organization, command)
        if command
        else Actor.for_person(membership, ip_address=ip_address, user_agent=user_agent)
    )
    with organization_scope(organization):
        record_event(AuditAction.ORG_CREATED, organization, actor=actor, owner=owner.email)
    return membership


@transaction.atomic
def update_organization(
    organization: Organization, *, actor: Actor, **changes: Any
) -> Organization:
    """Change what its own administrators may change. `changes` are validated by the serializer."""
    return _change(organization, AuditAction.ORG_UPDATED, actor, changes)


@transaction.atomic
def update_plan(organization: Organization, *, actor: Actor, **changes: Any) -> Organization:
    """Set the plan and its limits. For platform staff only; no tenant can call this."""
    return _change(organization, AuditAction.ORG_UPDATED, actor, changes)


@transaction.atomic
def suspend_organization(organization: Organization, *, actor: Actor) -> Organization:
    """Suspend the organization.

    Tokens of its people and agents stop working, because they check its status.
    """
    changes = {"status": Organization.Status.SUSPENDED}
    return _change(organization, AuditAction.ORG_SUSPENDED, actor, changes)


@transaction.atomic
def reactivate_organization(organization: Organization, *, actor: Actor) -> Organization:
    """Reactivate a suspended organization. Tokens that the suspension ended stay invalid."""
    if _locked(organization).is_active:
        return organization
    organization = _change(
        organization, AuditAction.ORG_REACTIVATED, actor, {"status": Organization.Status.ACTIVE}
    )
    organization.token_generation += 1
    organization.tokens_valid_from = next_second()
    organization.save(update_fields=["token_generation", "tokens_valid_from"])
    return organization


@transaction.atomic
def delete_organization(organization: Organization, *, actor: Actor) -> None:
    """Delete the organization permanently.

    Raise OrganizationHasActiveAgents if it has active agents. PostgreSQL checks that (migration
    agents.0003), because agents belong to an app above this one.
    """
    organization = _locked(organization)
    if organization.status == Organization.Status.DELETED:
        return  # the same request at the same moment was faster
    Invitation.objects.for_organization(organization).open().revoke()
    organization.status = Organization.Status.DELETED
    record_event(AuditAction.ORG_DELETED, organization, actor=actor, slug=organization.slug)
    with refusing(organizations_organization_without_active_agents=OrganizationHasActiveAgents):
        organization.save(update_fields=["status", "updated_at"])


def _change(
    organization: Organization, action: AuditAction, actor: Actor, changes: dict[str, Any]
) -> Organization:
    organization = _locked(organization)
    if organization.status == Organization.Status.DELETED:  # meanwhile
        raise NotFound
    changed = {n: value for n, value in changes.items() if getattr(organization, n) != value}
    if not changed:
        return organization
    before = {name: getattr(organization, name) for name in changed}
    for name, value in changed.items():
        setattr(organization, name, value)
    organization.save(update_fields=[*changed, "updated_at"])
    record_event(action, organization, actor=actor, before=before, after=changed)
    return organization


def next_second() -> datetime:
    """The next whole second by the database's clock. It ends tokens that name no generation, which
    releases before token_generation issued."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_trunc('second', clock_timestamp()) + interval '1 second'")
        found: datetime = cursor.fetchone()[0]
        return found


def _locked(organization: Organization) -> Organization:
    # NO KEY: inserting rows that refer to the organization, such as token events, need not wait.
    return Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)


def make_slug(name: str) -> str:
    """A slug made from the name, with a random suffix if it would be too short.

    Slugs are not unique: a conflict would reveal another organization's slug.
    """
    plain = slugify(name).replace("_", "-")[:SLUG_LENGTH].strip("-")
    return plain if len(plain) >= 2 else f"organization-{secrets.token_hex(4)}"
