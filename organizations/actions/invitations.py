"""Offers of membership: a link that is mailed, or shown once to whoever made it."""

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
from core.errors import DomainError, Forbidden, InvalidValue, NotFound
from core.password_hashers import PasswordsBusy
from core.text import normalized_password, same
from core.throttling import (
    Guesses,
    Quota,
    count_attempt,
    count_failure,
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

LIFETIME = timedelta(days=7)
OF_INVITER = Quota(limit=60, window=timedelta(hours=1))
IN_HOUR = Quota(limit=120, window=timedelta(hours=1))  # of an organization
IN_DAY = Quota(limit=500, window=timedelta(days=1))
TO_ADDRESS = Quota(limit=5, window=timedelta(hours=1))  # mails of an organization
TO_ADDRESS_OF_ALL = Quota(limit=30, window=timedelta(hours=1))


class InvitationAlreadyExists(DomainError):
    code = "INVITATION_ALREADY_EXISTS"
    message = "This email address has already been invited. Revoke that invitation first."


class InvitationNotFound(NotFound):
    """One answer for unknown, used, revoked and expired ones."""

    code = "INVITATION_NOT_FOUND"
    message = "There is no such invitation, or it was used, revoked or has expired."


class SignInNeeded(DomainError):
    code = "SIGN_IN_NEEDED"
    message = "An account has already verified this address. Sign in with it to accept."


@transaction.atomic
def invite(
    organization: Organization, *, actor: Actor, email: str, role: str
) -> tuple[Invitation, str]:
    """An invitation and its link, which is not stored and cannot be shown again.

    Where mail is configured the link is mailed instead, and nobody else sees it: empty here.
    Whether anybody has an account with this address makes no difference, and is not looked up.
    """
    lock_members(organization, actor=actor)
    require_may_give(role, actor=actor)
    if organization.memberships.filter(user__email__iexact=email).exists():
        raise AlreadyMember
    own = Invitation.objects.for_organization(organization).open().filter(email__iexact=email)
    for earlier in own.backed():  # at most one
        if earlier.is_usable():
            raise InvitationAlreadyExists
        own.revoke()
    count_attempt(throttle_key("invite", actor.id), OF_INVITER)
    count_attempt(throttle_key("invite.hour", organization.pk), IN_HOUR)
    count_attempt(throttle_key("invite.day", organization.pk), IN_DAY)
    if mail.is_enabled():  # who is invited and taken back again and again gets a mail each time
        count_attempt(throttle_key("invite.to", organization.pk, folded(email)), TO_ADDRESS)
        count_attempt(throttle_key("invite.to", folded(email)), TO_ADDRESS_OF_ALL)
    secret, mac = new_secret("invitation")
    invitation = Invitation.objects.create(
        organization=organization,
        email=email,
        role=role,
        secret_mac=mac,
        invited_by=actor.user,
        invited_by_agent_id=actor.id if actor.kind == "agent" else None,
        inviter_label=actor.label[:255],
        expires_at=timezone.now() + LIFETIME,
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
    """Take an open invitation back; its link stops at once."""
    lock_members(invitation.organization, actor=actor)  # nobody accepts it meanwhile
    invitation = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if not invitation.is_open:
        raise InvitationNotFound
    require_may_give(invitation.role, actor=actor)
    invitation.revoked_at = timezone.now()
    invitation.save(update_fields=["revoked_at"])
    record_event(AuditAction.ORG_INVITATION_REVOKED, invitation, actor=actor)
    return invitation


def find_invitation(token: str) -> Invitation:
    """The usable invitation that `<organization's uuid>.<secret>` opens, to show what it offers."""
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
    """Join as `user`, who has signed in and whose address is invited, or by the link alone.

    Without `user` the password opens an account of this address, if it is that account's, and
    becomes the password of a new one otherwise. So nothing tells whether there was one before,
    and an account that somebody else made with the address stands in nobody's way. A link that
    was mailed proves the address: SignInNeeded then, if another account has proven it.
    """
    invited = find_invitation(token)
    hashed, guesses = "", Guesses.at("login", folded(invited.email), ip_address)
    if user is None:  # hashed before any lock is taken
        check_new_password(password, User(email=invited.email, name=name))
        count_failure(guesses)  # until it opens one: a proven account's password may be guessed
        try:
            hashed = User.objects.hash_password(invited.email, password)
        except PasswordsBusy:  # nothing was checked
            give_back(guesses)
            raise
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
    if opened is not None:  # a new account may be a wrong guess at another one's password
        give_back(guesses)
    return membership


def _opened_account(invitation: Invitation, hashed: str) -> User | None:
    """The address' account that this password opens."""
    for account in User.objects.of_address(invitation.email):
        if account.is_active and constant_time_compare(account.password, hashed):
            return account
        if invitation.mailed_at is not None and account.is_verified:
            raise SignInNeeded
    return None


def _new_account(invitation: Invitation, name: str, hashed: str) -> User:
    """One more account with this address, which is unproven."""
    return User.objects.create(
        email=invitation.email,
        name=name,
        password=hashed,
        created_through=invitation.organization,
    )


def _prove(user: User) -> None:
    """The address is the user's: they opened a link that was mailed to it."""
    user.email_verified_at = timezone.now()
    with refusing(organizations_user_verified_email_unique=SignInNeeded):
        user.save(update_fields=["email_verified_at"])


def check_new_password(password: str, user: User, *, field: str = "password") -> None:
    """InvalidValue naming `field` when the password breaks a rule (NIST SP 800-63B-4)."""
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
    """The invitation; with `lock` nobody takes it back meanwhile."""
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
