"""Deletes expired rows in short transactions, for tokens/pruning.py as well."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from organizations.api import idempotency
from organizations.models import AccountLink, Attempt, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tenancy.turns import Turn

BATCH = 1000


def prune_attempts(*, batch: int = BATCH) -> int:
    """Delete the counters whose window is over, which anybody can make many of."""
    return delete_in_batches(past_attempts, batch)


def past_attempts() -> QuerySet[Any]:
    """Counters whose window is over. Those that the next recorded failure must report have a long
    one."""
    return Attempt.objects.filter(ends_at__lt=Now()).order_by("ends_at")


def past_links() -> QuerySet[Any]:
    return AccountLink.objects.filter(expires_at__lte=Now())


OF_ORGANIZATIONS: dict[str, Callable[[], QuerySet[Any]]] = {
    "answers to requests with a key": idempotency.expired_requests,
}
OF_ALL: dict[str, Callable[[], QuerySet[Any]]] = {
    "counters of past attempts": past_attempts,
    "links of accounts": past_links,
}


def delete_in_batches(
    expired: Callable[[], QuerySet[Any]],
    batch: int,
    organization: Organization | None = None,
    turn: Turn | None = None,
) -> int:
    """Delete the rows, those of an organization inside its scope. Returns their number."""
    turn, deleted = turn or Turn(), 0
    while turn.take():
        with transaction.atomic():
            if organization is None:
                count = delete_batch(expired(), batch)
            else:
                with organization_scope(organization):
                    count = delete_batch(expired(), batch)
        deleted += count
        if count < batch:
            break
    return deleted


def delete_batch(rows: QuerySet[Any], batch: int) -> int:
    """Delete at most `batch` of the rows. Returns their number, without cascaded rows.

    Each kind has the order of its index. Rows that others hold are left for the next time: nobody
    waits, and there is no deadlock.
    """
    unlocked = rows.select_for_update(skip_locked=True)
    keys = list(unlocked.values_list("pk", flat=True)[:batch])
    rows.model._base_manager.filter(pk__in=keys).delete()
    return len(keys)
