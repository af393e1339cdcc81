"""Limits database work whose cost cannot be predicted, by the time it took.

Like throttling.py, with the same table and clock, but each attempt is a millisecond. A caller who
has used up their time waits until the window ends.
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from django.db import connection, transaction

from core.throttling import Quota, refuse_any_full, throttle_key
from organizations.actors import Actor
from organizations.tenancy.shares import share_of

Result = TypeVar("Result")

MINUTE = timedelta(minutes=1)
SEARCHES_OF_CALLER = Quota(limit=6_000, window=MINUTE)  # milliseconds
SEARCHES_IN_ORGANIZATION = Quota(limit=20_000, window=MINUTE)
COUNT = "SELECT FROM organizations_count_attempt(%s, %s::interval, %s)"


def search(actor: Actor, work: Callable[[], Result]) -> Result:
    """Run a search and count the time it takes.

    Raise TooManyRequests if earlier searches of the actor or its organization used up their time
    for this minute. The time of a failed search counts too, if the surrounding transaction is
    committed.
    """
    share = share_of(actor.organization.pk)
    quotas = {
        throttle_key("search", share): SEARCHES_IN_ORGANIZATION,
        throttle_key("search", actor.organization.pk, actor.id): SEARCHES_OF_CALLER,
    }
    refuse_any_full(quotas)
    began = time.perf_counter()
    try:
        with transaction.atomic():
            return work()
    finally:
        _count(quotas, milliseconds=round((time.perf_counter() - began) * 1000))


def _count(quotas: Mapping[str, Quota], *, milliseconds: int) -> None:
    with connection.cursor() as cursor:
        for key, quota in quotas.items():  # the same order everywhere, to avoid deadlocks
            cursor.execute(COUNT, [key, quota.span, milliseconds])
