"""A person's own account: forgotten passwords and changes of address."""

from dataclasses import replace
from typing import Any

from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from core import mail
from core.addresses import caller_network, client_address
from core.constraints import refusing
from core.errors import DomainError, InvalidValue
from core.text import same
from core.throttling import (
    ADDRESS_CHANGES,
    RESETS_FROM,
    WIDER_RESETS_FROM,
    count_attempt,
    count_attempt_from,
    folded,
    throttle_key,
)
from organizations.actions.invitations import check_new_password
from organizations.actions.signing_in import prove_password, still_proven
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import AccountLink, Membership, Organization, User
from organizations.people import mailing
from organizations.people.authentication import find_user
from organizations.people.links import LinkNotFound, find_link, make_link, new_row
from organizations.tenancy.scope import organization_scope

Purpose = AccountLink.Purpose


class MailNotConfigured(DomainError):
    code = "MAIL_NOT_CONFIGURED"
    message = "This server sends no mail. Ask its operator for a password reset link."


class AddressInUse(DomainError):
    code = "ADDRESS_IN_USE"
    message = "Another account has already verified this address. Sign in with that one."


def request_password_reset(request: HttpRequest, *, email: str) -> None:
    """Queue a mail with a password reset link, if an account has verified this address.

    The response and its time are the same whether or not there is one. Raise TooManyRequests after
    many requests from one network. Mails per person are limited when they are sent
    (mailing.mail_password_reset), so requests of others cannot use up a person's limit.
    """
    if not mail.is_enabled():
        raise MailNotConfigured
    count_attempt_from("reset.from", client_address(request), RESETS_FROM, WIDER_RESETS_FROM)
    user = find_user(email)
    is_theirs = user is not None and user.is_verified and same(user.email, email)
    mailing.queue_password_reset(user if is_theirs else None)


@transaction.atomic
def operators_reset_link(user: User) -> str:
    """A password reset link for the operator to give to a person they have identified."""
    link = make_link(user, Purpose.PASSWORD)
    _record(AuditAction.PERSON_PASSWORD_RESET_OFFERED, user, None)
    return link


def reset_password(request: HttpRequest, token: str, *, new: str) -> User:
    """Set the password once by a reset link, and end all sessions of the person."""
    person = find_link(token, Purpose.PASSWORD).user
    check_new_password(new, person, field="new")
    # Before any lock, because hashing is slow.
    hashed = User.objects.hash_password(person.email, new)
    with transaction.atomic():
        _lock(person)
        user = find_link(token, Purpose.PASSWORD, lock=True).user
        user.use_hash(hashed)
        user.save(update_fields=["password", "sessions_valid_from"])
        AccountLink.objects.filter(user=user).delete()
        _record(AuditAction.PERSON_PASSWORD_RESET, user, request)
    return user


def change_address(request: HttpRequest, *, email: str, current: str) -> bool:
    """Change the person's address.

    Returns True if the change waits for the link that was mailed to it. Without mail it takes
    effect at once and is unverified. Raise InvalidValue for the faulty field, and TooManyRequests
    after a few mails for one person, or from one network to one address. See verify_password() for
    how to call it.
    """
    user = prove_password(request, current)
    if same(email, user.email) and (user.is_verified or not mail.is_enabled()):
        raise InvalidValue.of("email", "This is your address.")
    if mail.is_enabled():
        count_attempt(throttle_key("address.of", user.pk), ADDRESS_CHANGES)
        network = caller_network(client_address(request))
        count_attempt(throttle_key("address.to", network, folded(email)), ADDRESS_CHANGES)
        with transaction.atomic():
            mailing.queue_address_change(new_row(user, Purpose.ADDRESS, email=email))
        return True
    _set_address(request, user, email, User.objects.hash_password(email, current), is_proven=False)
    return False


def confirm_address(request: HttpRequest, token: str, *, current: str) -> User:
    """Take over the address to which the link was mailed. The person must be signed in."""
    link = find_link(token, Purpose.ADDRESS)
    if link.user != request.user:
        raise LinkNotFound
    user = prove_password(request, current)
    hashed = User.objects.hash_password(link.email, current)
    _set_address(request, user, link.email, hashed, is_proven=True, token=token)
    return user


@transaction.atomic
def _set_address(
    request: HttpRequest, user: User, email: str, hashed: str, *, is_proven: bool, token: str = ""
) -> None:
    """Store the new address.

    `hashed` is the current password, hashed with the salt of the new address. The password must
    still be current, or the change would restore a former one.
    """
    places = Organization.objects.filter(memberships__user=user).order_by("pk")
    list(places.select_for_update(of=("self",), no_key=True))  # no one can join in the meantime
    user = still_proven(user)
    if token:
        find_link(token, Purpose.ADDRESS, lock=True).delete()  # so that it cannot be used again
    namesakes = Membership.objects.filter(organization__in=places, user__email__iexact=email)
    if namesakes.exclude(user=user).exists():
        problem = "Someone in one of your organizations already uses this address."
        raise InvalidValue.of("email", problem)
    before, user.email = user.email, email
    user.email_verified_at = timezone.now() if is_proven else None
    user.created_through = None
    user.use_hash(hashed)
    with refusing(organizations_user_verified_email_unique=AddressInUse):
        user.save(
            update_fields=[
                "email",
                "email_verified_at",
                "created_through",
                "password",
                "sessions_valid_from",
            ]
        )
    AccountLink.objects.filter(user=user).delete()  # they were mailed to the old address
    update_session_auth_hash(request, user)
    _record(
        AuditAction.PERSON_ADDRESS_CHANGED,
        user,
        request,
        before=before,
        after=email,
        proven=is_proven,
    )


def _lock(user: User) -> None:
    """Lock the account.

    Lock order everywhere: organizations, the person, their links, the audit logs.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _record(action: AuditAction, user: User, request: HttpRequest | None, **metadata: Any) -> None:
    """Record an event in the audit log of each of the person's organizations."""
    for membership in user.memberships.select_related("organization").order_by("organization_id"):
        membership.user = user
        actor = Actor.for_system(membership.organization, "password_reset_link")
        if request is not None:
            actor = replace(
                Actor.for_person(membership),
                ip_address=client_address(request),
                user_agent=request.headers.get("User-Agent", ""),
            )
        with organization_scope(membership.organization):
            record_event(action, user, actor=actor, **metadata)
