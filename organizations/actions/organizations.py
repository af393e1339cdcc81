"""The life of an organization."""

import secrets
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from agentidp.errors import DomainError, InvalidValue
from organizations.actors import Actor
from organizations.models import AuditEvent, Invitation, Membership, Organization, User
from organizations.scope import organization_scope

MAXIMUM_OWNED = 20
SLUG_LENGTH = 50


class OrganizationHasActiveAgents(DomainError):
    code = "ORGANIZATION_HAS_ACTIVE_AGENTS"
    message = "The organization has active agents. Suspend or decommission them first."


class OrganizationLimitReached(DomainError):
    code = "ORGANIZATION_LIMIT_EXCEEDED"
    message = f"A person owns at most {MAXIMUM_OWNED} organizations."


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
    """A new organization and its owner's membership. `command` names the command that asked.

    There is no actor yet: the owner acts as the owner, in the organization that comes to be.
    """
    owner = User.objects.select_for_update().get(pk=owner.pk)
    owned = Membership.objects.filter(user=owner, role=Membership.Role.OWNER)
    if owned.exclude(organization__status=Organization.Status.DELETED).count() >= MAXIMUM_OWNED:
        raise OrganizationLimitReached
    organization = Organization(name=name, slug=slug or _free_slug(name), **fields)
    _save(organization, force_insert=True)
    membership = Membership.objects.create(
        organization=organization, user=owner, role=Membership.Role.OWNER
    )
    actor = (
        Actor.for_system(organization, command)
        if command
        else Actor.for_person(membership, ip_address=ip_address, user_agent=user_agent)
    )
    with organization_scope(organization):
        AuditEvent.record("org.created", organization, actor=actor, owner=owner.email)
    return membership


@transaction.atomic
def update_organization(
    organization: Organization, *, actor: Actor, **changes: Any
) -> Organization:
    """Change what its own administrators may change; `changes` have passed the serializer."""
    return _change(organization, "org.updated", actor, changes)


@transaction.atomic
def update_plan(organization: Organization, *, actor: Actor, **changes: Any) -> Organization:
    """Set the plan and its limits. Platform staff only; no tenant reaches this."""
    return _change(organization, "org.updated", actor, changes)


@transaction.atomic
def suspend_organization(organization: Organization, *, actor: Actor) -> Organization:
    """Stop the organization. Its people's and agents' tokens stop with it: they read its status."""
    changes = {"status": Organization.Status.SUSPENDED}
    return _change(organization, "org.suspended", actor, changes)


@transaction.atomic
def reactivate_organization(organization: Organization, *, actor: Actor) -> Organization:
    """Let a suspended organization act again."""
    return _change(organization, "org.reactivated", actor, {"status": Organization.Status.ACTIVE})


@transaction.atomic
def delete_organization(organization: Organization, *, actor: Actor) -> None:
    """End the organization for good and free its slug. Refused while it has active agents.

    PostgreSQL itself refuses (migration agents.0003): the agents stand above this app.
    """
    organization = _locked(organization)
    Invitation.objects.for_organization(organization).open().revoke()
    organization.status = Organization.Status.DELETED
    slug, organization.slug = organization.slug, f"deleted-{organization.pk.hex}"
    AuditEvent.record("org.deleted", organization, actor=actor, slug=slug)
    try:
        with transaction.atomic():
            organization.save(update_fields=["status", "slug", "updated_at"])
    except IntegrityError as error:
        if _broke(error, "organizations_organization_without_active_agents"):
            raise OrganizationHasActiveAgents from error
        raise


def _change(
    organization: Organization, action: str, actor: Actor, changes: dict[str, Any]
) -> Organization:
    organization = _locked(organization)
    changed = {n: value for n, value in changes.items() if getattr(organization, n) != value}
    if not changed:
        return organization
    before = {name: getattr(organization, name) for name in changed}
    for name, value in changed.items():
        setattr(organization, name, value)
    _save(organization, update_fields=[*changed, "updated_at"])
    AuditEvent.record(action, organization, actor=actor, before=before, after=changed)
    return organization


def _locked(organization: Organization) -> Organization:
    # NO KEY: rows that refer to the organization, such as token events, need not wait.
    return Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)


def _save(organization: Organization, **how: Any) -> None:
    try:
        with transaction.atomic():
            organization.save(**how)
    except IntegrityError as error:
        if _broke(error, "organizations_organization_slug_key"):
            problem = "This slug is taken."
            raise InvalidValue(f"slug: {problem}", slug=[problem]) from error
        raise


def _free_slug(name: str) -> str:
    """A slug made from the name, with a random end where the plain one is taken or too short."""
    plain = slugify(name).replace("_", "-")[:SLUG_LENGTH].strip("-")
    if len(plain) >= 2 and not Organization.objects.filter(slug=plain).exists():
        return plain
    return f"{plain[: SLUG_LENGTH - 9] or 'organization'}-{secrets.token_hex(4)}"


def _broke(error: IntegrityError, constraint: str) -> bool:
    diagnostics = getattr(error.__cause__, "diag", None)
    return getattr(diagnostics, "constraint_name", "") == constraint
