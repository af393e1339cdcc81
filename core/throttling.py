"""Counting attempts, right across processes and by the database's clock, on an unlogged table.

Wherever a secret can be guessed, failures count twice: those at one name from one address, and all
from that address. Failures are recorded in the audit log, too, but not each: `note_failure`.
"""

import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection

from core.addresses import caller_network
from core.errors import TooManyRequests
from core.text import normalized


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
RESETS_FROM = Quota(limit=30, window=timedelta(hours=1))  # a place
RESET_MAILS = Quota(limit=5, window=timedelta(hours=1))  # to a person
ENTRIES = Quota(limit=60, window=timedelta(hours=1))  # of a person into their organizations
ADDRESS_CHANGES = Quota(limit=5, window=timedelta(hours=1))  # of a person
CHANGES_TO = Quota(limit=30, window=timedelta(hours=1))  # an address, by anybody
MAX_WINDOW = timedelta(days=1)
"""Counters are deleted when they are older."""
RECORDED_FAILURES = Quota(limit=20, window=timedelta(minutes=1))
"""In each bucket. So many of one name are recorded at most, and BUCKETS times as many in all."""
BUCKETS = 32
LEFT_OUT = "left out"
"""Keys that begin so count failures that were not recorded, until the next one is."""


@dataclass(frozen=True)
class Guesses:
    """Where the failures of one caller at one secret are counted."""

    keys: tuple[str, str]
    """Those at this name from this address; all from this address."""
    bucket: str
    """Where recorded failures count. Known and unknown names share the buckets, so that it cannot
    be told from an answer's time, which has no record to write when a bucket is full, whether a
    name exists; the pepper keeps it secret which names share one."""

    @classmethod
    def at(cls, kind: str, name: object, address: str | None) -> "Guesses":
        network = caller_network(address)
        mac = hmac.digest(settings.SECRET_PEPPER.encode(), f"bucket:{name}".encode(), "sha256")
        return cls(
            keys=(throttle_key(kind, name, network), throttle_key(kind, network)),
            bucket=f"recorded {kind} {mac[0] % BUCKETS}",
        )

    @property
    def quotas(self) -> dict[str, Quota]:
        return dict(zip(self.keys, (LOGIN_FAILURES, ADDRESS_FAILURES), strict=True))


FAILURE_LIMITS = [LOGIN_FAILURES.limit, ADDRESS_FAILURES.limit]
"""As the database takes them, beside `Guesses.keys`."""


def throttle_key(*parts: object) -> str:
    """A key that reveals none of its parts (they can be email addresses)."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def folded(name: str) -> str:
    """One spelling for all those that the database takes for one name, which it compares letter by
    letter: `str.lower` makes other letters of a capital I with a dot and of some sigmas."""
    return "".join(letter.lower()[0] for letter in normalized(name))


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


def give_back(guesses: Guesses) -> None:
    """Take back what count_failure counted before the check: it succeeded."""
    for key in guesses.keys:
        take_back(key)


def take_back(key: str) -> None:
    """Uncount one attempt, which did not happen after all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE organizations_attempt SET attempts = attempts - 1 "
            "WHERE key = %s AND attempts > 0",
            [key],
        )


def refuse_when_full(key: str, quota: Quota) -> None:
    """TooManyRequests when earlier attempts filled the window; counts nothing."""
    refuse_any_full({key: quota})


def refuse_guesses(guesses: Guesses) -> bool:
    """TooManyRequests when earlier failures filled a window. Ask it before looking at the secret.

    Gives whether failures are being counted. Then a secret that turns out right has to ask
    refuse_late_guess as well: it may be one of many at once.
    """
    return refuse_any_full(guesses.quotas)


def refuse_late_guess(guesses: Guesses) -> None:
    """TooManyRequests when parallel failures filled the window meanwhile; waits for those under
    way."""
    refuse_any_full({guesses.keys[0]: LOGIN_FAILURES}, WINDOWS + "FOR SHARE")


WINDOWS = """
SELECT key, attempts, extract(epoch FROM clock_timestamp() - started_at)
FROM organizations_attempt WHERE key = ANY (%s) AND attempts > 0
"""


def refuse_any_full(quotas: Mapping[str, Quota], statement: str = WINDOWS) -> bool:
    """TooManyRequests when one of the windows, by their keys, is full; else whether any counts."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(quotas)])
        found = cursor.fetchall()
    is_counting = False
    for key, attempts, age in found:
        quota = quotas[key]
        seconds = quota.window.total_seconds()
        seconds_left = math.ceil(seconds - float(age))
        if 0 < seconds_left <= 2 * seconds:  # beyond that the clock was ahead when it began
            is_counting = True
            if attempts >= quota.limit:
                raise TooManyRequests(retry_after=seconds_left)
    return is_counting


def count_failure(guesses: Guesses) -> None:
    """Count a wrong secret; TooManyRequests when it came too late to be told that it is wrong."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT organizations_count_failure(%s, %s, %s::interval)",
            [list(guesses.keys), FAILURE_LIMITS, LOGIN_FAILURES.span],
        )
        retry_after = cursor.fetchone()[0]
    if retry_after is not None:
        raise TooManyRequests(retry_after=retry_after)


def note_failure(guesses: Guesses, known: UUID) -> int | None:
    """Whether to record a failure: how many were left out before it, or None to leave it out.

    `known` is whose audit log would tell of it: the agent or person, the nil UUID for nobody.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT organizations_note_failure(%s, %s, %s::interval, %s)",
            [
                guesses.bucket,
                RECORDED_FAILURES.limit,
                RECORDED_FAILURES.span,
                f"{LEFT_OUT} {known}",
            ],
        )
        left_out: int | None = cursor.fetchone()[0]
        return left_out
