"""Counting attempts, right across processes: one statement on an unlogged table."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from agentidp.errors import TooManyRequests


@dataclass(frozen=True)
class Quota:
    """At most `limit` attempts within `window`."""

    limit: int
    window: timedelta

    @property
    def span(self) -> str:
        """The window as PostgreSQL writes an interval."""
        return f"{self.window.total_seconds()} seconds"


LOGIN_FAILURES = Quota(limit=10, window=timedelta(minutes=1))
ADDRESS_FAILURES = Quota(limit=100, window=timedelta(minutes=1))
LONGEST_WINDOW = timedelta(days=1)
"""Counters are deleted when they are older."""


def throttle_key(*parts: object) -> str:
    """A key that reveals none of its parts (they can be e-mail addresses)."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def count_attempt(key: str, quota: Quota) -> None:
    """Count one attempt; TooManyRequests when the window is already full."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attempts, seconds_left FROM organizations_count_attempt(%s, %s::interval)",
            [key, quota.span],
        )
        attempts, seconds_left = cursor.fetchone()
    if attempts > quota.limit:
        raise TooManyRequests(retry_after=seconds_left)


def give_back(key: str) -> None:
    """Take back one counted attempt: it succeeded, and only failures count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE organizations_attempt SET attempts = attempts - 1 "
            "WHERE key = %s AND attempts > 0",
            [key],
        )


def refuse_when_full(key: str, quota: Quota) -> None:
    """TooManyRequests when earlier attempts filled the window; counts nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ceil(extract(epoch FROM started_at + %s::interval - clock_timestamp()))::int "
            "FROM organizations_attempt "
            "WHERE key = %s AND attempts >= %s AND started_at + %s::interval > clock_timestamp()",
            [quota.span, key, quota.limit, quota.span],
        )
        full = cursor.fetchone()
    if full:
        raise TooManyRequests(retry_after=full[0])
