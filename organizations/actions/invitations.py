"""Offers of membership. No e-mail is sent: the answer carries the link, once."""

import hashlib
import hmac
import secrets
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from agentidp.errors import DomainError, Forbidden, InvalidValue, NotFound
from organizations.actions.members import AlreadyMember, join, lock_members, require_may_give
from organizations.actors import Actor
from organizations.authentication import MAXIMUM_PASSWORD_LENGTH, find_user
from organizations.models import AuditEvent, Invitation, Membership, Organization, User
from organizations.scope import organization_scope

LIFETIME = timedelta(days=7)
SECRET_LENGTH = 43  # 32 random bytes in base64


class InvitationAlreadyExists(DomainError):
    code = "INVITATION_ALREADY_EXISTS"
    message = "This e-mail address is invited already. Revoke that invitation first."


class InvitationNotFound(NotFound):
    """One answer for unknown, used, revoked and expired ones."""

    code = "INVITATION_NOT_FOUND"
    message = "There is no such invitation, or it was used, revoked or has expired."


@transaction.atomic
def invite(
    organization: Organization, *, actor: Actor, email: str, role: str
) -> tuple[Invitation, str]:
    """An invitation and its link, which is not stored and cannot be shown again."""
    lock_members(organization)
    require_may_give(role, actor=actor)
    if organization.memberships.filter(user__email__iexact=email).exists():
        raise AlreadyMember
    own = Invitation.objects.for_organization(organization).open().filter(email__iexact=email)
    own.filter(expires_at__lte=timezone.now()).revoke()
    if own.exists():
        raise InvitationAlreadyExists
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        organization=organization,
        email=email,
        role=role,
        secret_mac=_mac(secret),
        invited_by=actor.user,
        expires_at=timezone.now() + LIFETIME,
    )
    AuditEvent.record("org.invitation_created", invitation, actor=actor, email=email, role=role)
    return invitation, f"{settings.ISSUER}/invitations/{organization.pk}.{secret}"


@transaction.atomic
def revoke_invitation(invitation: Invitation, *, actor: Actor) -> Invitation:
    """Take an open invitation back; its link stops at once."""
    invitation = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if not invitation.is_open:
        raise InvitationNotFound
    require_may_give(invitation.role, actor=actor)
    invitation.revoked_at = timezone.now()
    invitation.save(update_fields=["revoked_at"])
    AuditEvent.record("org.invitation_revoked", invitation, actor=actor)
    return invitation


def find_invitation(token: str) -> Invitation:
    """The usable invitation that `<organization's uuid>.<secret>` opens, to show what it offers."""
    with organization_scope(_organization_id(token)):
        return _usable(token)


@transaction.atomic
def accept_invitation(
    token: str,
    *,
    user: User | None = None,
    name: str = "",
    password: str = "",
    ip_address: str | None = None,
    user_agent: str = "",
) -> Membership:
    """Join as `user`, who has signed in and whose address is invited, or as a new person.

    Without `user` the account is made with `password`; SignInNeeded if it exists already.
    """
    with organization_scope(_organization_id(token)):
        lock_members(_usable(token).organization)
        invitation = _usable(token)
        if user is None:
            user = _new_user(invitation.email, name, password)
        elif user.email.lower() != invitation.email.lower():
            raise Forbidden("This invitation is for another e-mail address. Sign in with that one.")
        actor = Actor.for_person(
            Membership(organization=invitation.organization, user=user, role=invitation.role),
            ip_address=ip_address,
            user_agent=user_agent,
        )
        membership = join(
            invitation.organization,
            user,
            invitation.role,
            actor=actor,
            action="org.invitation_accepted",
        )
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
        return membership


class SignInNeeded(DomainError):
    code = "SIGN_IN_NEEDED"
    message = "The invited address has an account. Sign in to accept."


def _new_user(email: str, name: str, password: str) -> User:
    if find_user(email) is not None:
        raise SignInNeeded
    user = User(email=email, name=name)
    check_new_password(password, user)
    user.set_password(password)
    user.save(force_insert=True)
    return user


def check_new_password(password: str, user: User, *, field: str = "password") -> None:
    """InvalidValue naming `field` when the password breaks a rule (NIST SP 800-63B-4)."""
    problems = [f"Use at most {MAXIMUM_PASSWORD_LENGTH} characters."]
    if len(password) <= MAXIMUM_PASSWORD_LENGTH:
        try:
            validate_password(password, user)
        except ValidationError as error:
            problems = list(error.messages)
        else:
            return
    raise InvalidValue(f"{field}: {problems[0]}", **{field: problems})


def _usable(token: str) -> Invitation:
    secret = token.partition(".")[2]
    invitation = (
        Invitation.objects.select_related("organization")
        .filter(secret_mac=_mac(secret), organization__status=Organization.Status.ACTIVE)
        .first()
    )
    if invitation is None or not invitation.is_usable() or not _inviter_may_still(invitation):
        raise InvitationNotFound
    return invitation


def _inviter_may_still(invitation: Invitation) -> bool:
    """Whoever lost the right to invite leaves no invitations behind."""
    if invitation.invited_by_id is None:  # a command, or an agent that administers
        return True
    needed = [Membership.Role.OWNER]
    if invitation.role != Membership.Role.OWNER:
        needed.append(Membership.Role.ADMIN)
    return Membership.objects.filter(
        organization=invitation.organization,
        user=invitation.invited_by_id,
        user__is_active=True,
        role__in=needed,
    ).exists()


def _organization_id(token: str) -> UUID:
    organization_id, _, secret = token.partition(".")
    found = Organization.parse_public_id(f"org-{organization_id}")
    if found is None or len(secret) != SECRET_LENGTH or not secret.isascii():
        raise InvitationNotFound
    return found


def _mac(secret: str) -> bytes:
    """HMAC-SHA-256 under the server's pepper; the prefix keeps it apart from client secrets."""
    message = b"invitation:" + secret.encode()
    return hmac.digest(settings.SECRET_PEPPER.encode(), message, hashlib.sha256)
