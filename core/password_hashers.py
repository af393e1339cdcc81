"""Argon2 for people's passwords, a few hashes at a time.

Each takes 100 MB and a core, which makes guessing slow; many at once would slow down everything
else as well. All hashing goes through this hasher: signing in, password changes and accepted
invitations.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from core.addresses import address_of, caller_network, wider_network
from core.errors import CODES, TooManyRequests

MAX_WAITERS = 3
"""Threads that may wait for a place; the others keep answering requests."""
MAX_WAIT = 5.0
"""Seconds, some hashes on a slow machine. After that the client has to retry, instead of a thread
that keeps waiting."""
RETRY_AFTER = 2


class PasswordsBusy(TooManyRequests):
    """Others have all places. The password was not checked, so it must not count as a failure."""

    code = "SERVICE_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Too many people are signing in right now. Try again in a few seconds."


class NetworkBusy(PasswordsBusy):
    """The caller's own network has places already. The password was not checked."""

    code = CODES[429]
    status = HTTPStatus.TOO_MANY_REQUESTS
    message = "Your network is signing in too often at once. Try again in a few seconds."


class Line(NamedTuple):
    """Whose hashes wait together, and whose share they take."""

    network: str = ""
    browser: str = ""
    """A browser in which this person signed in before (known_browsers.py), or empty: those have
    lines of their own, but within the share of their network."""

    @property
    def owner(self) -> str:
        """The network that one customer may hold: a /48 of IPv6 has 65,536 networks."""
        return _owner_of(self.network)


@lru_cache(maxsize=1024)
def _owner_of(network: str) -> str:
    return wider_network(network.partition("/")[0]) or network


class _Turn:
    """A thread that waits for a place."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.is_given = False
        self.is_settled = threading.Event()


class HashingSlots:
    """Limits how many hashes run at once and how many more wait, and divides both by network, all
    those of one /48 together.

    A network that is alone may have all places. Once others want some, their requests take the
    place of its newest waiting ones, and each freed slot goes to the network that has the fewest,
    then to the one whose last turn is the longest ago. So nobody waits for more than one hash of
    another network per turn, however many requests that one sends.

    What a network has is divided by line in the same way. A line is never compared with those of
    other networks: whoever has many accounts, and a known browser for each, has one share for all.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._running: Counter[Line] = Counter()
        self._waiting: list[_Turn] = []
        """In the order of arrival. Empty while a slot is free."""
        self._turns = 0
        self._last_turn: dict[Line | str, int] = {}
        """Of networks, and of their lines, that are running or waiting."""

    @contextmanager
    def hold(self, network: str = "", browser: str = "") -> Iterator[None]:
        """Hold a place for the network, or a line of it, during the block.

        Raise PasswordsBusy if there is none, and NetworkBusy if that is due to the network itself.
        """
        line = Line(network, browser)
        self._acquire(line)
        try:
            yield
        finally:
            self._release(line)

    def refuse_when_full(self, line: Line) -> None:
        """Raise as hold() does if there is no room even to wait.

        Call this before any other work, so that a refusal is cheap.
        """
        with self._lock:
            if not self._free:
                self._ensure_room(line)

    def _acquire(self, line: Line) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                self._begin(line)
                return
            displaced = self._ensure_room(line)
            if displaced is not None:
                self._waiting.remove(displaced)
                displaced.is_settled.set()
            turn = _Turn(line)
            self._waiting.append(turn)
        turn.is_settled.wait(MAX_WAIT)
        with self._lock:
            if turn.is_given:
                return
            if turn in self._waiting:
                self._waiting.remove(turn)
            refusal = self._refusal(line)
            self._forget(line)
        raise refusal

    def _release(self, line: Line) -> None:
        with self._lock:
            self._running[line] -= 1
            if self._waiting:
                turn = min(self._waiting, key=self._precedence)
                self._waiting.remove(turn)
                self._begin(turn.line)
                turn.is_given = True
                turn.is_settled.set()
            else:
                self._free += 1
            self._forget(line)

    def _precedence(self, turn: _Turn) -> tuple[int, ...]:
        """Of the network first, then of the line within it."""
        network = turn.line.owner
        running = sum(count for line, count in self._running.items() if line.owner == network)
        return (
            running,
            self._last_turn.get(network, 0),
            self._running[turn.line],
            self._last_turn.get(turn.line, 0),
        )

    def _begin(self, line: Line) -> None:
        self._running[line] += 1
        self._turns += 1
        self._last_turn[line] = self._last_turn[line.owner] = self._turns

    def _forget(self, line: Line) -> None:
        if not self._share_of_line(line):
            self._last_turn.pop(line, None)
            del self._running[line]
        if not self._share(line.owner):
            self._last_turn.pop(line.owner, None)

    def _ensure_room(self, line: Line) -> _Turn | None:
        """The waiting turn that one of this line would displace; None if there is room.

        It belongs to the network that has the most, and there to the line that has the most. Within
        its own network a line displaces only what another line has too many of.
        """
        if len(self._waiting) < MAX_WAITERS:
            return None
        most = max(self._share(turn.line.owner) for turn in self._waiting)
        if most < self._share(line.owner) + 2:
            newest = self._newest_of_longest_line(line.owner)
            if newest and self._share_of_line(newest.line) >= self._share_of_line(line) + 2:
                return newest
            raise self._refusal(line)
        latest = next(
            turn for turn in reversed(self._waiting) if self._share(turn.line.owner) == most
        )
        return self._newest_of_longest_line(latest.line.owner)

    def _newest_of_longest_line(self, network: str) -> _Turn | None:
        waiting = [turn for turn in reversed(self._waiting) if turn.line.owner == network]
        return max(waiting, key=lambda turn: self._share_of_line(turn.line), default=None)

    def _refusal(self, line: Line) -> PasswordsBusy:
        refusal = NetworkBusy if self._share(line.owner) else PasswordsBusy
        return refusal(retry_after=RETRY_AFTER)

    def _share(self, network: str) -> int:
        lines = (*self._running.elements(), *(turn.line for turn in self._waiting))
        return sum(line.owner == network for line in lines)

    def _share_of_line(self, line: Line) -> int:
        return self._running[line] + sum(turn.line == line for turn in self._waiting)


slots = HashingSlots(settings.PASSWORD_HASHES_AT_ONCE)

_line: ContextVar[Callable[[], Line]] = ContextVar("hashing_line", default=Line)


@contextmanager
def hashing_for(line: Callable[[], Line]) -> Iterator[None]:
    """Let hashes during the block wait in this line. It is asked for only when one is hashed."""
    previous = _line.set(line)
    try:
        yield
    finally:
        _line.reset(previous)


def line_of(environ: Mapping[str, Any]) -> Line:
    """The line of a request: the one that a network's requests share."""
    return Line(caller_network(address_of(environ)))


def hashing_line() -> Line:
    """The line that the hashes of this thread are for. Empty outside of requests."""
    return _line.get()()


def refuse_when_full() -> None:
    """Raise PasswordsBusy or NetworkBusy if this request could not even wait for a place."""
    slots.refuse_when_full(hashing_line())


class LimitedArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's Argon2 hasher with its memory and time cost, run in one of the slots.

    One lane, as OWASP recommends: more would take the cores that the limit leaves to others.
    """

    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with slots.hold(*hashing_line()):
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with slots.hold(*hashing_line()):
            return super().verify(password, encoded)
