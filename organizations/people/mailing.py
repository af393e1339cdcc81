"""Mails with links that verify an address. A request queues them; the worker creates the links.

A job may run twice; only the last link works. One address gets a few mails an hour, whoever asks:
further ones wait, here and not in the request, whose answer must not depend on what others asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from procrastinate.contrib.django import app

from core import mail
from core.database_clock import database_time
from core.errors import TooManyRequests
from core.text import same
from core.throttling import (
    CHANGES_TO,
    INVITATIONS_TO,
    RESET_MAILS,
    count_attempt,
    folded,
    has_room,
    take_back,
    throttle_key,
)
from organizations.models import AccountLink, Invitation, User
from organizations.people.link_secrets import new_secret
from organizations.people.links import LIFETIME, make_link
from organizations.tenancy.scope import organization_scope

QUEUE = "mail"
INVITATION = "organizations.mail_invitation"
PASSWORD = "organizations.mail_password_reset"  # noqa: S105 - the task's name
ADDRESS = "organizations.mail_address_change"
NOBODY = UUID(int=0)
MIN_REMAINING = timedelta(minutes=10)
HIGH_PRIORITY = 10
"""Priority of mails that a person waits for, so that they do not queue behind hundreds of
invitations."""


def queue_invitation(invitation: Invitation) -> None:
    """Queue the mail in the current transaction, so that a rollback cancels it."""
    _queue(
        INVITATION,
        organization_id=str(invitation.organization_id),
        invitation_id=str(invitation.pk),
    )


def queue_password_reset(user: User | None) -> None:
    """Queue the mail, even for an unknown name, so that the time taken reveals nothing."""
    _queue(PASSWORD, priority=HIGH_PRIORITY, user_id=str(user.pk if user else NOBODY))


def queue_address_change(link: AccountLink) -> None:
    _queue(ADDRESS, priority=HIGH_PRIORITY, link_id=str(link.pk))


def mail_invitation(organization_id: UUID, invitation_id: UUID) -> None:
    with organization_scope(organization_id):
        invitation = (
            Invitation.objects.backed()
            .select_for_update(of=("self",))
            .select_related("organization")
            .filter(pk=invitation_id)
            .first()
        )
        if invitation is None or not invitation.is_usable():
            return
        key = throttle_key("invite.to", folded(invitation.email))
        if not has_room(key, INVITATIONS_TO):
            _queue(
                INVITATION,
                later=INVITATIONS_TO.window,
                organization_id=str(organization_id),
                invitation_id=str(invitation_id),
            )
            return
        secret, invitation.secret_mac = new_secret("invitation")
        invitation.mailed_at = database_time()
        invitation.save(update_fields=["secret_mac", "mailed_at"])
    with _given_back_if_it_fails(key):
        mail.send(
            "invitation",
            invitation.email,
            subject=f"Invitation to {invitation.organization.name}",
            inviter=_inviter_name(invitation),
            organization=invitation.organization.name,
            role=invitation.get_role_display().lower(),
            until=invitation.expires_at,
            link=f"{settings.ISSUER}/invitations/{organization_id}.{secret}",
        )


def _inviter_name(invitation: Invitation) -> str:
    """The inviter's name.

    An agent is marked as one, because its organization can choose any address for it.
    """
    label = invitation.inviter_label or "Somebody"
    return label if invitation.invited_by_agent_id is None else f"The agent {label}"


def mail_password_reset(user_id: UUID) -> None:
    """Mail a new link, unless several were mailed within the hour and the last one still works."""
    proven = User.objects.filter(is_active=True, email_verified_at__isnull=False)
    # The lock keeps the link from going to an address that was changed a moment ago.
    with transaction.atomic():
        user = proven.select_for_update(no_key=True).filter(pk=user_id).first()
        if user is None:
            return
        key = throttle_key("reset.mailed", user.pk)
        try:
            count_attempt(key, RESET_MAILS)
        except TooManyRequests:
            if _has_usable_link(user):
                return
        link = make_link(user, AccountLink.Purpose.PASSWORD)
    with _given_back_if_it_fails(key):
        mail.send(
            "password",
            user.email,
            subject="Reset your AgentIdP password",
            link=link,
            until=database_time() + LIFETIME,
        )


def _has_usable_link(user: User) -> bool:
    """Whether the person has a reset link that works long enough to be used."""
    links = AccountLink.objects.open().filter(user=user, purpose=AccountLink.Purpose.PASSWORD)
    return links.filter(expires_at__gt=Now() + MIN_REMAINING).exists()


def mail_address_change(link_id: UUID) -> None:
    asked = (
        AccountLink.objects.open()
        .select_related("user")
        .filter(pk=link_id, purpose=AccountLink.Purpose.ADDRESS)
        .first()
    )
    if asked is None or not asked.user.is_active:
        return
    key = throttle_key("address.to", folded(asked.email))
    if not has_room(key, CHANGES_TO):
        _queue(ADDRESS, priority=HIGH_PRIORITY, later=CHANGES_TO.window, link_id=str(link_id))
        return
    secret, asked.secret_mac = new_secret("account link")
    asked.save(update_fields=["secret_mac"])
    with _given_back_if_it_fails(key):
        mail.send(
            "address",
            asked.email,
            subject="Confirm your email address for AgentIdP",
            link=f"{settings.ISSUER}/email/confirm/{asked.pk}.{secret}",
            until=asked.expires_at,
        )
    if asked.user.is_verified and not same(asked.user.email, asked.email):
        mail.send(
            "address_notice",
            asked.user.email,
            subject="Someone asked to change your AgentIdP email address",
            email=asked.email,
        )


@contextmanager
def _given_back_if_it_fails(key: str) -> Iterator[None]:
    """Count a mail only if it was sent: the job will be retried."""
    try:
        yield
    except Exception:
        take_back(key)
        raise


def _queue(task: str, *, priority: int = 0, later: timedelta = timedelta(), **ids: str) -> None:
    wait = {"seconds": int(later.total_seconds())} if later else None
    app.configure_task(task, queue=QUEUE, priority=priority, schedule_in=wait).defer(**ids)
