"""Deletes expired rows in short transactions."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from core.throttling import LEFT_OUT, MAX_WINDOW
from organizations.api import idempotency
from organizations.models import AccountLink, Attempt, Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import MAX_SESSION, LoginSession, Revocation, SigningKey

BATCH = 1000


def prune_expired(*, batch: int = BATCH) -> dict[str, int]:
    """Delete everything that has expired, in short transactions.

    Returns the number of rows by kind.
    """
    return {
        "revocations of expired tokens": sum(
            _prune(expired_revocations, batch, organization)
            for organization in Organization.objects.order_by("id").iterator()
        ),
        "answers to requests with a key": sum(
            _prune(idempotency.expired_requests, batch, organization)
            for organization in Organization.objects.order_by("id").iterator()
        ),
        "removed signing keys": _prune(removed_keys, batch),
        "counters of past attempts": _prune(past_attempts, batch),
        "links of accounts": _prune(past_links, batch),
        "ended login sessions": _prune(ended_sessions, batch),
        "expired refresh tokens": _prune(expired_refresh_tokens, batch),
        "expired browser sessions": _prune(expired_browser_sessions, batch),
    }


def expired_revocations() -> QuerySet[Any]:
    """Revocations of expired tokens.

    Tokens are accepted for the leeway beyond their expiry, so revocations are kept longer.
    """
    return Revocation.objects.filter(expires_at__lt=timezone.now() - 2 * settings.CLOCK_LEEWAY)


def removed_keys() -> QuerySet[Any]:
    return SigningKey.objects.filter(removed_at__lt=timezone.now() - settings.JWKS_MAX_AGE)


def past_attempts() -> QuerySet[Any]:
    """Counters whose window is over, except those that the next recorded failure must report."""
    past = Attempt.objects.filter(started_at__lt=timezone.now() - MAX_WINDOW)
    return past.exclude(key__startswith=LEFT_OUT)


def past_links() -> QuerySet[Any]:
    return AccountLink.objects.filter(expires_at__lte=timezone.now())


def ended_sessions() -> QuerySet[Any]:
    return LoginSession.objects.filter(
        Q(ended_at__lt=timezone.now() - settings.REFRESH_TOKEN_LIFETIME)
        | Q(created_at__lt=timezone.now() - MAX_SESSION - settings.REFRESH_TOKEN_LIFETIME)
    )


def expired_refresh_tokens() -> QuerySet[Any]:
    """Expired refresh tokens. Their rows in the blacklist are deleted with them."""
    return OutstandingToken.objects.filter(
        expires_at__lt=timezone.now() - 2 * settings.CLOCK_LEEWAY
    )


def expired_browser_sessions() -> QuerySet[Any]:
    return Session.objects.filter(expire_date__lt=timezone.now())


def _prune(
    expired: Callable[[], QuerySet[Any]], batch: int, organization: Organization | None = None
) -> int:
    pruned = 0
    while True:
        with transaction.atomic():
            if organization is None:
                count = _delete(expired(), batch)
            else:
                with organization_scope(organization):
                    count = _delete(expired(), batch)
        pruned += count
        if count < batch:
            return pruned


def _delete(rows: QuerySet[Any], batch: int) -> int:
    """Delete at most `batch` of the rows. Returns their number, without cascaded rows."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:batch])
    rows.model._base_manager.filter(pk__in=keys).delete()
    return len(keys)
