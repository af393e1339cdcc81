"""Rate limits, exact across processes and by the database's clock, in an unlogged table.

Wherever a secret can be guessed, each failure counts two or three times: for the name and address,
for the address alone, and in IPv6 or from a known browser for what lies around it (see Guesses).
The audit log records failures too, but not every one: see note_failure().

Once a window is full, nothing more is written for it. Whoever asks from ever more networks makes a
counter with each failure, so the counters themselves are counted: see NEW_COUNTERS.
"""

import hashlib
import hmac
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from core.addresses import caller_network, wider_network
from core.errors import TooManyRequests
from core.password_hashers import Line, NetworkBusy, PasswordsBusy
from core.password_hashers import refuse_when_full as refuse_when_full_of_hashes
from core.text import normalized


@dataclass(frozen=True)
class Quota:
    """At most `limit` attempts within `window`."""

    limit: int
    window: timedelta

    @property
    def span(self) -> str:
        """The window as a PostgreSQL interval."""
        return f"{self.window.total_seconds()} seconds"


LOGIN_FAILURES = Quota(limit=10, window=timedelta(minutes=1))
ADDRESS_FAILURES = Quota(limit=100, window=timedelta(minutes=1))
SIGN_INS_FROM = Quota(limit=600, window=timedelta(minutes=10))  # right passwords, per line
SIGN_INS_OF = Quota(limit=120, window=timedelta(minutes=10))  # right passwords, per account
WIDER_FAILURES = Quota(limit=1000, window=timedelta(minutes=1))
"""Of an IPv6 /48: more than one network may have, since others may share it."""
RESETS_FROM = Quota(limit=30, window=timedelta(hours=1))  # per network
WIDER_RESETS_FROM = Quota(limit=300, window=timedelta(hours=1))
RESET_MAILS = Quota(limit=5, window=timedelta(hours=1))  # per recipient
ENTRIES = Quota(limit=60, window=timedelta(hours=1))  # of one person into organizations
REFRESHES = Quota(limit=120, window=timedelta(hours=1))  # of one login session
ADMIN_CHOICES = Quota(limit=1, window=timedelta(hours=1))  # recorded, of one staff member
ADDRESS_CHANGES = Quota(limit=5, window=timedelta(hours=1))  # per person
CHANGES_TO = Quota(limit=30, window=timedelta(hours=1))  # mails to an address, by anyone
INVITATIONS_TO = Quota(limit=30, window=timedelta(hours=1))  # the same
NEW_COUNTERS = Quota(limit=1000, window=timedelta(hours=1))
"""Failures of clients that need counters of their own, of the networks that share a room.

A failure takes at most three, which are deleted within the hour after the minute that they count.
So all clients together have at most ROOMS * 1000 * 3 an hour, and twice as many at a time. Beyond
it a wrong secret is refused uncounted; a right one works, and 256 bits cannot be guessed."""
ROOMS = 64
"""The networks are divided so that one customer's failures fill one of them."""
RECORDED_FAILURES = Quota(limit=20, window=timedelta(minutes=1))
"""Per bucket: so many failures of one name are recorded, and BUCKETS times as many in total."""
BUCKETS = 32
LEFT_OUT = "left out"
"""The prefix of keys that count unrecorded failures until the next recorded one, for ten years."""


PASSWORDS = "login"
"""The kind of all guesses at passwords, which count together."""


class Guesses(NamedTuple):
    """The counters for one caller's failures at one secret."""

    keys: tuple[str, str]
    """Failures for this name from this address, and all failures from this address."""
    kind: str
    name: object
    wider: str = ""
    """All failures from the wider network; "" for IPv4. Those of known browsers count apart: of the
    wider network or the IPv4 address."""
    room: str | None = None
    """Where failures count that need counters of their own. None for passwords, which take so long
    to check that their counters stay few."""

    @classmethod
    def at(
        cls, kind: str, name: object, address: str | None, *, line: Line | None = None
    ) -> "Guesses":
        """The counters at an address, or in a `line` of their own (password_hashers.py)."""
        network = caller_network(address) if line is None else " ".join(filter(None, line))
        # A line is a network, or a network and more: then it is a known browser's own.
        place, _, browser = network.partition(" ")
        around = wider_network(place.partition("/")[0])
        if browser:
            around = f"known browsers of {around or place}"
        keys = throttle_key(kind, name, network), _network_key(kind, network)
        wider = _network_key(kind, around) if around else ""
        room = None if kind == PASSWORDS else f"room {kind} {int(wider or keys[1], 16) % ROOMS}"
        return cls(keys, kind, name, wider, room)

    @property
    def bucket(self) -> str:
        """Counts the recorded failures.

        Known and unknown names share buckets, so that response time, which depends on whether a
        record is written, does not reveal whether a name exists. The pepper hides which names share
        a bucket.
        """
        mac = hmac.digest(settings.SECRET_PEPPER.encode(), f"bucket:{self.name}".encode(), "sha256")
        return f"recorded {self.kind} {mac[0] % BUCKETS}"

    @property
    def quotas(self) -> dict[str, Quota]:
        own = dict(zip(self.keys, (LOGIN_FAILURES, ADDRESS_FAILURES), strict=True))
        return own | ({self.wider: WIDER_FAILURES} if self.wider else {})


FAILURE_LIMITS = [LOGIN_FAILURES.limit, ADDRESS_FAILURES.limit, WIDER_FAILURES.limit]
"""The limits that belong to `Guesses.keys` and `Guesses.wider`, in the same order."""


def throttle_key(*parts: object) -> str:
    """A key that reveals none of its parts (they can be email addresses)."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


@lru_cache(maxsize=1024)
def _network_key(kind: str, network: str) -> str:
    return throttle_key(kind, network)


def folded(name: str) -> str:
    """The name in a spelling that is the same for all names that PostgreSQL considers equal.

    PostgreSQL lowercases letter by letter; `str.lower` differs for a capital I with a dot and some
    sigmas.
    """
    return "".join(letter.lower()[0] for letter in normalized(name))


def count_attempt(key: str, quota: Quota) -> None:
    """Count one attempt. Raise TooManyRequests if the window is already full."""
    attempts, seconds_left = _counted(key, quota)
    if attempts > quota.limit:
        raise TooManyRequests(retry_after=seconds_left)


def count_attempt_from(kind: str, address: str | None, quota: Quota, wider: Quota) -> None:
    """Count one attempt of the caller's network and, for IPv6, of the wider one around it.

    Raise TooManyRequests if the window of either is full.
    """
    quotas = {throttle_key(kind, caller_network(address)): quota}
    if around := wider_network(address):
        quotas[throttle_key(kind, around)] = wider
    refuse_any_full(quotas)  # a refusal from another network each time must not leave a row each
    for key, each in quotas.items():
        count_attempt(key, each)


def has_room(key: str, quota: Quota) -> bool:
    """Count one attempt, and whether the window had room for it.

    Transactions that count under the same key wait for each other until they end. Once the window
    is full, nobody waits any more.
    """
    try:
        refuse_when_full(key, quota)
    except TooManyRequests:
        return False
    return _counted(key, quota)[0] <= quota.limit


def _counted(key: str, quota: Quota) -> tuple[int, int]:
    """The number of attempts in the window, with this one, and the seconds that are left of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attempts, seconds_left FROM organizations_count_attempt(%s, %s::interval)",
            [key, quota.span],
        )
        attempts, seconds_left = cursor.fetchone()
    return attempts, seconds_left


@contextmanager
def counted_as_failure(guesses: Guesses) -> Iterator[None]:
    """Count a failure before the block checks a password, so that parallel guesses are counted too.

    Give it back after a success. One that was not checked for lack of a place is given back here;
    if the caller's own network has the places, it stays counted for the address: otherwise a
    network that is refused most of the time could go on for ever.
    """
    refuse_guesses(guesses)  # a refusal with another name each time must not leave a row each time
    try:
        refuse_when_full_of_hashes()
    except NetworkBusy:
        for key, quota in list(guesses.quotas.items())[1:]:
            _counted(key, quota)
        raise
    count_failure(guesses)
    try:
        yield
    except NetworkBusy:
        take_back(guesses.keys[0])
        raise
    except PasswordsBusy:
        give_back(guesses)
        raise


def give_back(guesses: Guesses) -> None:
    """Undo a failure that count_failure() counted before the check succeeded."""
    for key in guesses.quotas:
        take_back(key)


def take_back(key: str) -> None:
    """Undo one attempt that did not take place."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE organizations_attempt SET attempts = attempts - 1 "
            "WHERE key = %s AND attempts > 0",
            [key],
        )


def refuse_when_full(key: str, quota: Quota) -> None:
    """Raise TooManyRequests if earlier attempts filled the window. Counts nothing."""
    refuse_any_full({key: quota})


def refuse_guesses(guesses: Guesses) -> bool:
    """Raise TooManyRequests if earlier failures filled a window.

    Call it before checking the secret. Returns whether failures are being counted. If so, call
    refuse_late_guess() even after a correct secret: it may be one of many parallel guesses.
    """
    return refuse_any_full(guesses.quotas)


def refuse_late_guess(guesses: Guesses) -> None:
    """Raise TooManyRequests if parallel failures have filled the window since.

    Waits for failures that are being counted.
    """
    refuse_any_full({guesses.keys[0]: LOGIN_FAILURES}, WINDOWS + "FOR SHARE")


WINDOWS = """
SELECT key, attempts, extract(epoch FROM clock_timestamp() - started_at)
FROM organizations_attempt WHERE key = ANY (%s) AND attempts > 0
"""


def refuse_any_full(quotas: Mapping[str, Quota], statement: str = WINDOWS) -> bool:
    """Raise TooManyRequests if any window is full.

    Returns whether any of them has counted something.
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(quotas)])
        rows = cursor.fetchall()
    is_counting = False
    for key, attempts, age in rows:
        quota = quotas[key]
        seconds = quota.window.total_seconds()
        seconds_left = math.ceil(seconds - float(age))
        if 0 < seconds_left <= 2 * seconds:  # if older, the clock was ahead when it began
            is_counting = True
            if attempts >= quota.limit:
                raise TooManyRequests(retry_after=seconds_left)
    return is_counting


def count_failure(guesses: Guesses) -> None:
    """Count a wrong secret.

    Raise TooManyRequests if it came too late for the caller to learn that it is wrong.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT organizations_count_failure(%s, %s, %s::interval, %s, %s)",
            [
                list(guesses.quotas),
                [quota.limit for quota in guesses.quotas.values()],
                LOGIN_FAILURES.span,
                guesses.room,
                NEW_COUNTERS.limit,
            ],
        )
        retry_after = cursor.fetchone()[0]
    if retry_after is not None:
        raise TooManyRequests(retry_after=retry_after)


def note_failure(guesses: Guesses, known: UUID) -> int | None:
    """The number of failures left out before this one, or None to leave this one out as well.

    `known` identifies the audit log that would record it: the agent or person, or the nil UUID.
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
