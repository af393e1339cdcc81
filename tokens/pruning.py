"""Deletes what has expired, of this app and of organizations, in short transactions."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from core.database_clock import MARGIN, ago
from core.parts import Parts
from organizations import pruning
from organizations.models import Organization
from organizations.pruning import BATCH, delete_in_batches
from organizations.tenancy.turns import Turn, take_turn
from tokens.models import MAX_SESSION, LoginSession, Revocation, SigningKey

PRUNE_MORE = "tokens.prune_more"


def prune_expired(*, batch: int = BATCH) -> dict[str, int]:
    """Delete everything that has expired, in short transactions.

    An organization with many gets another turn later. Returns the number of rows by kind. A kind or
    an organization that fails is logged and the others are pruned nevertheless; raise PartsFailed
    after the last.
    """
    parts = Parts()
    counts = dict.fromkeys([*OF_ORGANIZATIONS, *OF_ALL], 0)
    for kind, expired in OF_ORGANIZATIONS.items():
        for organization in Organization.objects.order_by("id"):
            with parts.part(kind=kind, organization=str(organization.pk)):
                work = partial(delete_in_batches, expired, batch)
                counts[kind] += take_turn(PRUNE_MORE, work, organization)
    for kind, expired in OF_ALL.items():
        with parts.part(kind=kind):
            counts[kind] += delete_in_batches(expired, batch)
    parts.finish()
    return counts


def prune_organization(organization: Organization, turn: Turn, *, batch: int = BATCH) -> int:
    """Delete some of what has expired in the organization; return the number of rows."""
    return sum(
        delete_in_batches(expired, batch, organization, turn)
        for expired in OF_ORGANIZATIONS.values()
        if not turn.has_more
    )


def expired_revocations() -> QuerySet[Any]:
    """Revocations of expired tokens.

    Tokens are accepted beyond their expiry, for the leeway and by slow clocks, so revocations are
    kept longer.
    """
    return Revocation.objects.filter(expires_at__lt=ago(MARGIN))


def removed_keys() -> QuerySet[Any]:
    return SigningKey.objects.filter(removed_at__lt=ago(settings.JWKS_MAX_AGE))


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
    **pruning.OF_ORGANIZATIONS,
}
OF_ALL: dict[str, Callable[[], QuerySet[Any]]] = {
    "removed signing keys": removed_keys,
    **pruning.OF_ALL,
    "ended login sessions": ended_sessions,
    "expired refresh tokens": expired_refresh_tokens,
    "expired browser sessions": expired_browser_sessions,
}
