"""How long responses are cut into pieces, and how many may be in progress."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from uuid import UUID
from weakref import WeakValueDictionary

from django.conf import settings
from django.db import connections as database_connections

from core.errors import CODES, error_body
from core.fast_path.requests import NO_STORE, Headers
from core.long_responses import PIECE

LONG = 64 * 1024
"""A streamed response of more bytes is long: it is produced in pieces of PIECE bytes."""
MAX_LONG_RESPONSES = 1024
MAX_ANONYMOUS_LONG_RESPONSES = 256
"""Both limits are per process."""
Caller = UUID | str
"""The principal, or the network of an anonymous caller. Where threads and places are divided: the
share of organizations (organizations/tenancy/shares.py) that the principal belongs to."""


class Rest:
    """The remaining pieces of a long response."""

    def __init__(
        self, pieces: Iterator[bytes], close: Callable[[], None], whose: "Caller" = ""
    ) -> None:
        self._pieces, self.close, self.whose = pieces, close, whose

    def next(self) -> bytes | None:
        """The next piece, or None after the last. Called in a thread."""
        piece = next(self._pieces, None)
        if any(each.in_atomic_block for each in database_connections.all(initialized_only=True)):
            raise RuntimeError("A long response kept a transaction open after a piece.")
        return piece


class Turns:
    """Who may have a thread for the next piece of a long response: one share of organizations, or
    one network of callers without a name, has so many at most, since a piece may take seconds of
    the database or of the storage. It belongs to the event loop."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._whose: WeakValueDictionary[Caller, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, whose: Caller) -> asyncio.Semaphore:
        """Kept as long as somebody has it."""
        return self._whose.setdefault(whose, asyncio.Semaphore(self._at_once))


class LongResponses:
    """Counts the long responses in progress by caller.

    No caller can use up the places of all: anonymous callers, who fetch static files, are counted
    by network and share a lower limit, and whose agents already have more than are still free get
    no more.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._callers: Counter[Caller] = Counter()
        self._whose: Counter[Caller] = Counter()
        self._anonymous = 0

    def begin(self, caller: Caller, whose: Caller) -> bool:
        """Count one more of the caller, and of `whose` share; False if that exceeds a limit."""
        is_anonymous = isinstance(caller, str)
        with self._lock:
            if (
                self._callers[caller] >= settings.STREAMS_PER_CALLER
                or self._whose[whose] >= MAX_LONG_RESPONSES - self._whose.total()
                or (is_anonymous and self._anonymous >= MAX_ANONYMOUS_LONG_RESPONSES)
            ):
                return False
            self._callers[caller] += 1
            self._whose[whose] += 1
            self._anonymous += is_anonymous
        return True

    def end(self, caller: Caller, whose: Caller) -> None:
        with self._lock:
            self._anonymous -= isinstance(caller, str)
            for counter, key in ((self._callers, caller), (self._whose, whose)):
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]


def too_many_long_responses() -> tuple[int, Headers, bytes]:
    return unavailable("Too many long responses are in progress. Try again later.", retry_after=5)


def unavailable(message: str, *, retry_after: int) -> tuple[int, Headers, bytes]:
    wait = (b"retry-after", str(retry_after).encode())
    headers = [(b"content-type", b"application/json"), wait, *NO_STORE]
    return 503, headers, json.dumps(error_body(CODES[503], message)).encode()


def in_chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Regroup the bytes into a piece of LONG bytes, followed by pieces of about PIECE bytes."""
    kept: list[bytes] = []
    size, wanted, following = 0, LONG, iter(parts)
    while True:
        try:
            kept.append(next(following))
        except StopIteration:
            break
        size += len(kept[-1])
        if size >= wanted:
            kept, size, wanted = [b"".join(kept)], 0, PIECE
            yield kept.pop()  # keep no reference to the piece
    if kept:
        yield b"".join(kept)
