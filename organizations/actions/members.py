"""Members of an organization and their roles.

A change may be of the actor's own role: it is recorded first, which checks the role as it was.
"""

from uuid import UUID

from django.db import transaction

from core.database_clock import database_time
from core.errors import DomainError, Forbidden, NotFound
from organizations.actions.saved_views import remove_views_of
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Membership, Organization, Principal, User
from organizations.rights import RANK

Role = Membership.Role


class AlreadyMember(DomainError):
    code = "ALREADY_MEMBER"
    message = "Already a member. Change their role instead."


class LastOwner(DomainError):
    code = "LAST_OWNER"
    message = "The organization needs an owner. Make somebody else an owner first."


class MemberNotFound(NotFound):
    code = "MEMBER_NOT_FOUND"
    message = "The organization has no member with this id."


class AgentNotFound(NotFound):
    code = "AGENT_NOT_FOUND"
    message = "There is no agent with this id."


@transaction.atomic
def add_agent(organization: Organization, *, actor: Actor, agent_id: UUID, role: str) -> Principal:
    """Make an agent a member. Only one with the role `admin` may hold the scope admin:orgs."""
    lock_members(organization)
    principal = _locked_principal(organization, agent_id)
    if principal is None:
        raise AgentNotFound
    if principal.role:
        raise AlreadyMember
    record_event(
        AuditAction.ORG_MEMBER_ADDED, organization, actor=actor, agent_id=principal.pk, role=role
    )
    _set_agent_role(principal, role)
    return principal


@transaction.atomic
def change_role(
    member: Membership | Principal, *, actor: Actor, role: str
) -> Membership | Principal:
    """Change a member's role.

    Only owners can make or remove owners, and nobody can raise their own role.
    """
    if isinstance(member, Principal):
        return _change_agent_role(member, role, actor=actor)
    organization = member.organization
    lock_members(organization)
    membership = _locked_membership(member)
    if membership.role == role:
        return membership
    require_may_give(role, actor=actor)
    require_may_give(membership.role, actor=actor)
    is_raised = RANK[Role(role)] > RANK[Role(membership.role)]
    if is_raised and actor.kind == "person" and actor.id == membership.user_id:
        raise Forbidden("You cannot raise your own role.")
    if membership.role == Role.OWNER:
        _require_another_owner(membership)
    record_event(
        AuditAction.ORG_MEMBER_ROLE_CHANGED,
        organization,
        actor=actor,
        member=membership.user.email,
        before=membership.role,
        after=role,
    )
    membership.role = role
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def remove_member(member: Membership | Principal, *, actor: Actor) -> None:
    """End a membership. Tokens and sessions lose their rights here with it, and a person's own
    views are removed.
    """
    organization = member.organization
    lock_members(organization)
    if isinstance(member, Principal):
        principal = _locked_principal(organization, member.pk)
        if principal is None or not principal.role:
            raise MemberNotFound
        record_event(
            AuditAction.ORG_MEMBER_REMOVED,
            organization,
            actor=actor,
            agent_id=principal.pk,
            role=principal.role,
        )
        _set_agent_role(principal, "")
        return
    membership = _locked_membership(member)
    require_may_give(membership.role, actor=actor)
    if membership.role == Role.OWNER:
        _require_another_owner(membership)
    record_event(
        AuditAction.ORG_MEMBER_REMOVED,
        organization,
        actor=actor,
        member=membership.user.email,
        role=membership.role,
    )
    remove_views_of(organization, membership.user_id)
    membership.delete()


def join(
    organization: Organization,
    user: User,
    role: str,
    *,
    actor: Actor,
    action: AuditAction,
) -> Membership:
    """Create a membership. The caller must hold the lock of lock_members().

    Nobody joins without consent: it is called only when an invitation is accepted.
    """
    membership, is_new = Membership.objects.get_or_create(
        organization=organization,
        user=user,
        defaults={"role": role, "created_at": database_time()},  # compared with tokens' times
    )
    if not is_new:
        raise AlreadyMember
    record_event(action, organization, actor=actor, member=user.email, role=role)
    return membership


def require_may_give(role: str, *, actor: Actor) -> None:
    """Raise Forbidden unless the actor may give the role: only an owner, or a command of the
    deployment, may make or remove owners."""
    if role == Role.OWNER and not actor.is_owner and actor.kind != "system":
        raise Forbidden("Only an owner can make or remove owners.")


def lock_members(organization: Organization) -> None:
    """Serialize changes to an organization's members, so that it never loses its last owner."""
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)


def _change_agent_role(principal: Principal, role: str, *, actor: Actor) -> Principal:
    lock_members(principal.organization)
    locked = _locked_principal(principal.organization, principal.pk)
    if locked is None or not locked.role:
        raise MemberNotFound
    if locked.role == role:
        return locked
    if actor.kind == "agent" and actor.id == locked.pk and role == Principal.Role.ADMIN:
        raise Forbidden("You cannot raise your own role.")
    record_event(
        AuditAction.ORG_MEMBER_ROLE_CHANGED,
        principal.organization,
        actor=actor,
        agent_id=locked.pk,
        before=locked.role,
        after=role,
    )
    _set_agent_role(locked, role)
    return locked


def _set_agent_role(principal: Principal, role: str) -> None:
    principal.role = role
    principal.save(update_fields=["role"])


def _locked_principal(organization: Organization, agent_id: UUID) -> Principal | None:
    return (
        Principal.objects.select_for_update(no_key=True)
        .filter(organization=organization, pk=agent_id)
        .first()
    )


def _locked_membership(membership: Membership) -> Membership:
    found = (
        Membership.objects.select_for_update(of=("self",))
        .select_related("user", "organization")
        .filter(pk=membership.pk)
        .first()
    )
    if found is None:
        raise MemberNotFound
    return found


def _require_another_owner(membership: Membership) -> None:
    others = Membership.objects.filter(
        organization=membership.organization_id, role=Role.OWNER, user__is_active=True
    ).exclude(pk=membership.pk)
    if not others.exists():
        raise LastOwner
