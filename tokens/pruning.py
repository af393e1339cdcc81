"""Deletes expired rows in short transactions."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from core.database_clock import MARGIN, ago
from core.parts import Parts
from organizations.api import idempotency
from organizations.models import AccountLink, Attempt, Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import MAX_SESSION, LoginSession, Revocation, SigningKey

BATCH = 1000


def prune_expired(*, batch: int = BATCH) -> dict[str, int]:
    """Delete everything that has expired, in short transactions.

    Returns the number of rows by kind. A kind or an organization that fails is logged and the
    others are pruned nevertheless; raise PartsFailed after the last.
    """
    parts = Parts()
    counts = dict.fromkeys([*OF_ORGANIZATIONS, *OF_ALL], 0)
    for kind, expired in OF_ORGANIZATIONS.items():
        for organization in Organization.objects.order_by("id"):
            with parts.part(kind=kind, organization=str(organization.pk)):
                counts[kind] += _prune(expired, batch, organization)
    for kind, expired in OF_ALL.items():
        with parts.part(kind=kind):
            counts[kind] += _prune(expired, batch)
    parts.finish()
    return counts


def prune_attempts(*, batch: int = BATCH) -> int:
    """Delete the counters whose window is over, which anybody can make many of."""
    return _prune(past_attempts, batch)


def expired_revocations() -> QuerySet[Any]:
    """Revocations of expired tokens.

    Tokens are accepted beyond their expiry, for the leeway and by slow clocks, so revocations are
    kept longer.
    """
    return Revocation.objects.filter(expires_at__lt=ago(MARGIN))


def removed_keys() -> QuerySet[Any]:
    return SigningKey.objects.filter(removed_at__lt=ago(settings.JWKS_MAX_AGE))


def past_attempts() -> QuerySet[Any]:
    """Counters whose window is over. Those that the next recorded failure must report have a long
    one."""
    return Attempt.objects.filter(ends_at__lt=Now()).order_by("ends_at")


def past_links() -> QuerySet[Any]:
    return AccountLink.objects.filter(expires_at__lte=Now())


def ended_sessions() -> QuerySet[Any]:
    return LoginSession.objects.filter(
        Q(ended_at__lt=ago(settings.REFRESH_TOKEN_LIFETIME))
        | Q(created_at__lt=ago(MAX_SESSION + settings.REFRESH_TOKEN_LIFETIME))
    )


def expired_refresh_tokens() -> QuerySet[Any]:
    """Expired refresh tokens. Their rows in the blacklist, which say that they were used, are
    deleted with them."""
    return OutstandingToken.objects.filter(expires_at__lt=ago(MARGIN))


def expired_browser_sessions() -> QuerySet[Any]:
    return Session.objects.filter(expire_date__lt=Now()).order_by("expire_date")


OF_ORGANIZATIONS: dict[str, Callable[[], QuerySet[Any]]] = {
    "revocations of expired tokens": expired_revocations,
    "answers to requests with a key": idempotency.expired_requests,
}
OF_ALL: dict[str, Callable[[], QuerySet[Any]]] = {
    "removed signing keys": removed_keys,
    "counters of past attempts": past_attempts,
    "links of accounts": past_links,
    "ended login sessions": ended_sessions,
    "expired refresh tokens": expired_refresh_tokens,
    "expired browser sessions": expired_browser_sessions,
}


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
    """Delete at most `batch` of the rows. Returns their number, without cascaded rows.

    Each kind has the order of its index. Rows that others hold are left for the next time: nobody
    waits, and there is no deadlock.
    """
    unlocked = rows.select_for_update(skip_locked=True)
    keys = list(unlocked.values_list("pk", flat=True)[:batch])
    rows.model._base_manager.filter(pk__in=keys).delete()
    return len(keys)
