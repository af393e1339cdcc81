"""Invitations: offers of membership by a link, which is mailed, or shown once to the inviter."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from core import mail
from core.constraints import refusing
from core.database_clock import database_time
from core.errors import DomainError, Forbidden, InvalidValue, NotFound
from core.text import normalized_password, same
from core.throttling import (
    Guesses,
    Quota,
    count_attempt,
    counted_as_failure,
    folded,
    give_back,
    throttle_key,
)
from organizations.actions.members import AlreadyMember, join, lock_members, require_may_give
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Invitation, Membership, Organization, User
from organizations.people import mailing
from organizations.people.authentication import MAX_PASSWORD_LENGTH
from organizations.people.link_secrets import is_secret, macs_of, new_secret
from organizations.tenancy.scope import organization_scope
from organizations.tenancy.shares import share_of

LIFETIME = timedelta(days=7)
OF_INVITER = Quota(limit=60, window=timedelta(hours=1))
IN_HOUR = Quota(limit=120, window=timedelta(hours=1))  # per share of organizations
IN_DAY = Quota(limit=500, window=timedelta(days=1))
TO_ADDRESS = Quota(limit=5, window=timedelta(hours=1))  # mails per share of organizations


class InvitationAlreadyExists(DomainError):
    code = "INVITATION_ALREADY_EXISTS"
    message = "This email address has already been invited. Revoke that invitation first."


class InvitationNotFound(NotFound):
    """Raised alike for unknown, used, revoked and expired invitations."""

    code = "INVITATION_NOT_FOUND"
    message = "There is no such invitation, or it was used, revoked or has expired."


class SignInNeeded(DomainError):
    code = "SIGN_IN_NEEDED"
    message = "An account has already verified this address. Sign in with it to accept."


@transaction.atomic
def invite(
    organization: Organization, *, actor: Actor, email: str, role: str
) -> tuple[Invitation, str]:
    """Create an invitation.

    Returns it with its link, which is not stored and cannot be shown again. If mail is configured,
    the link is mailed instead and returned as "". Whether an account with this address exists makes
    no difference, and is not looked up; nor does how often others invited it, which only delays the
    mail (mailing.py).
    """
    lock_members(organization)
    require_may_give(role, actor=actor)
    if organization.memberships.filter(user__email__iexact=email).exists():
        raise AlreadyMember
    own = Invitation.objects.for_organization(organization).open().filter(email__iexact=email)
    for earlier in own.backed():  # at most one
        if earlier.is_usable():
            raise InvitationAlreadyExists
        own.revoke()
    count_attempt(throttle_key("invite", actor.id), OF_INVITER)
    share = share_of(organization.pk)
    count_attempt(throttle_key("invite.hour", share), IN_HOUR)
    count_attempt(throttle_key("invite.day", share), IN_DAY)
    if mail.is_enabled():  # repeated inviting and revoking would send a mail each time
        count_attempt(throttle_key("invite.to", share, folded(email)), TO_ADDRESS)
    secret, mac = new_secret("invitation")
    invitation = Invitation.objects.create(
        organization=organization,
        email=email,
        role=role,
        secret_mac=mac,
        invited_by=actor.user,
        invited_by_agent_id=actor.id if actor.kind == "agent" else None,
        inviter_label=actor.label[:255],
        expires_at=database_time() + LIFETIME,
    )
    record_event(
        AuditAction.ORG_INVITATION_CREATED, invitation, actor=actor, email=email, role=role
    )
    if mail.is_enabled():
        mailing.queue_invitation(invitation)
        return invitation, ""
    return invitation, f"{settings.ISSUER}/invitations/{organization.pk}.{secret}"


@transaction.atomic
def revoke_invitation(invitation: Invitation, *, actor: Actor) -> Invitation:
    """Revoke an open invitation. Its link stops working at once."""
    lock_members(invitation.organization)  # so that no one accepts it in the meantime
    invitation = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if not invitation.is_open:
        raise InvitationNotFound
    require_may_give(invitation.role, actor=actor)
    invitation.revoked_at = timezone.now()
    invitation.save(update_fields=["revoked_at"])
    record_event(AuditAction.ORG_INVITATION_REVOKED, invitation, actor=actor)
    return invitation


def find_invitation(token: str) -> Invitation:
    """The usable invitation for a token `<organization UUID>.<secret>`, to show its offer.

    Raise InvitationNotFound if there is none.
    """
    with organization_scope(_organization_id(token)):
        return _usable(token)


def accept_invitation(
    token: str,
    *,
    user: User | None = None,
    name: str = "",
    password: str = "",
    ip_address: str | None = None,
    user_agent: str = "",
) -> Membership:
    """Join an organization as the signed-in `user` with the invited address, or by the link.

    Without `user`, the password selects an existing account of this address; if none has it, a new
    account gets it. So the response does not reveal whether an account existed, and an account that
    someone else made with the address does no harm. A mailed link verifies the address: raise
    SignInNeeded if another account has verified it already.
    """
    invited = find_invitation(token)
    hashed, guesses = "", Guesses.at("login", folded(invited.email), ip_address)
    if user is None:  # before any lock, because hashing is slow
        check_new_password(password, User(email=invited.email, name=name))
        # This could be guessing the password of a verified account.
        with counted_as_failure(guesses):
            hashed = User.objects.hash_password(invited.email, password)
    elif not same(user.email, invited.email):
        raise Forbidden("This invitation is for another email address. Sign in with that one.")
    with organization_scope(invited.organization):
        lock_members(invited.organization)
        invitation = _usable(token, lock=True)
        opened = None if user else _opened_account(invitation, hashed)
        user = user or opened or _new_account(invitation, name, hashed)
        if invitation.mailed_at is not None and not user.is_verified:
            _prove(user)
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
            action=AuditAction.ORG_INVITATION_ACCEPTED,
        )
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
    if opened is not None:  # a new account may result from a wrong guess, so it stays counted
        give_back(guesses)
    return membership


def _opened_account(invitation: Invitation, hashed: str) -> User | None:
    """The account of the invited address that has this password, if any."""
    for account in User.objects.of_address(invitation.email):
        if account.is_active and constant_time_compare(account.password, hashed):
            return account
        if invitation.mailed_at is not None and account.is_verified:
            raise SignInNeeded
    return None


def _new_account(invitation: Invitation, name: str, hashed: str) -> User:
    """A new, unverified account with the invited address."""
    return User.objects.create(
        email=invitation.email,
        name=name,
        password=hashed,
        created_through=invitation.organization,
    )


def _prove(user: User) -> None:
    """Mark the address as verified: the user opened a link that was mailed to it."""
    user.email_verified_at = timezone.now()
    with refusing(organizations_user_verified_email_unique=SignInNeeded):
        user.save(update_fields=["email_verified_at"])


def check_new_password(password: str, user: User, *, field: str = "password") -> None:
    """Raise InvalidValue for `field` if the password breaks a rule (NIST SP 800-63B-4)."""
    problems = [f"Use at most {MAX_PASSWORD_LENGTH} characters."]
    if len(password) <= MAX_PASSWORD_LENGTH:
        try:
            validate_password(normalized_password(password), user)
        except ValidationError as error:
            problems = list(error.messages)
        else:
            return
    raise InvalidValue.of(field, *problems)


def _usable(token: str, *, lock: bool = False) -> Invitation:
    """The usable invitation for the token. With `lock`, its row is locked against revocation."""
    secret = token.partition(".")[2]
    invitations = (
        Invitation.objects.backed()
        .select_related("organization")
        .filter(secret_mac__in=macs_of("invitation", secret))
    )
    if lock:
        invitations = invitations.select_for_update(of=("self",))
    invitation = invitations.first()
    if invitation is None or not invitation.is_usable():
        raise InvitationNotFound
    return invitation


def _organization_id(token: str) -> UUID:
    organization_id, _, secret = token.partition(".")
    found = Organization.parse_public_id(f"org-{organization_id}")
    if found is None or not is_secret(secret):
        raise InvitationNotFound
    return found
