"""Work of the database that nobody can number beforehand: limited by the time that it took.

As throttling.py counts attempts, in the same table and by the same clock; here an attempt is a
millisecond. Whoever has used up their time waits until the window is over.
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from django.db import connection, transaction

from core.throttling import Quota, refuse_any_full, throttle_key
from organizations.actors import Actor

Result = TypeVar("Result")

MINUTE = timedelta(minutes=1)
SEARCHES_OF_CALLER = Quota(limit=6_000, window=MINUTE)  # milliseconds
SEARCHES_IN_ORGANIZATION = Quota(limit=20_000, window=MINUTE)

COUNT = """
INSERT INTO organizations_attempt AS known (key, started_at, attempts)
VALUES (%(key)s, clock_timestamp(), %(amount)s)
ON CONFLICT (key) DO UPDATE SET
    started_at = CASE WHEN clock_timestamp() BETWEEN known.started_at - %(span)s::interval
                           AND known.started_at + %(span)s::interval
                      THEN known.started_at ELSE clock_timestamp() END,
    attempts = CASE WHEN clock_timestamp() BETWEEN known.started_at - %(span)s::interval
                         AND known.started_at + %(span)s::interval
                    THEN known.attempts + %(amount)s ELSE %(amount)s END
"""


def search(actor: Actor, work: Callable[[], Result]) -> Result:
    """Do the work of a search, and count how long it took. TooManyRequests when earlier searches
    of the actor, or of its organization, took as long as all may in a minute.

    The time counts as well when the work fails, if the transaction around it is kept.
    """
    quotas = {
        throttle_key("search", actor.organization.pk): SEARCHES_IN_ORGANIZATION,
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
        for key, quota in quotas.items():  # in the same order everywhere: no deadlock
            cursor.execute(COUNT, {"key": key, "span": quota.span, "amount": milliseconds})
