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
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from core.addresses import address_of, caller_network
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


class _Turn:
    """A thread that waits for a place."""

    def __init__(self, network: str) -> None:
        self.network = network
        self.is_given = False
        self.is_settled = threading.Event()


class HashingSlots:
    """Limits how many hashes run at once and how many more wait, and divides both by network.

    A network that is alone may have all places. Once others want some, their requests take the
    place of its newest waiting ones, and each freed slot goes to the network that has the fewest,
    then to the one whose last turn is the longest ago. So nobody waits for more than one hash of
    another network per turn, however many requests that one sends.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._waiting: list[_Turn] = []
        """In the order of arrival. Empty while a slot is free."""
        self._turns = 0
        self._last_turn: dict[str, int] = {}
        """Of networks that are running or waiting."""

    @contextmanager
    def hold(self, network: str = "") -> Iterator[None]:
        """Hold a place for the network during the block.

        Raise PasswordsBusy if there is none, and NetworkBusy if that is due to the network itself.
        """
        self._acquire(network)
        try:
            yield
        finally:
            self._release(network)

    def refuse_when_full(self, network: str) -> None:
        """Raise as hold() does if there is no room even to wait.

        Call this before any other work, so that a refusal is cheap.
        """
        with self._lock:
            if not self._free:
                self._ensure_room(network)

    def _acquire(self, network: str) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                self._begin(network)
                return
            displaced = self._ensure_room(network)
            if displaced is not None:
                self._waiting.remove(displaced)
                displaced.is_settled.set()
            turn = _Turn(network)
            self._waiting.append(turn)
        turn.is_settled.wait(MAX_WAIT)
        with self._lock:
            if turn.is_given:
                return
            if turn in self._waiting:
                self._waiting.remove(turn)
            refusal = self._refusal(network)
            self._forget(network)
        raise refusal

    def _release(self, network: str) -> None:
        with self._lock:
            self._running[network] -= 1
            if self._waiting:
                turn = min(self._waiting, key=self._precedence)
                self._waiting.remove(turn)
                self._begin(turn.network)
                turn.is_given = True
                turn.is_settled.set()
            else:
                self._free += 1
            self._forget(network)

    def _precedence(self, turn: _Turn) -> tuple[int, int]:
        return self._running[turn.network], self._last_turn.get(turn.network, 0)

    def _begin(self, network: str) -> None:
        self._running[network] += 1
        self._turns += 1
        self._last_turn[network] = self._turns

    def _forget(self, network: str) -> None:
        if not self._share(network):
            self._last_turn.pop(network, None)
            del self._running[network]

    def _ensure_room(self, network: str) -> _Turn | None:
        """The waiting turn that one of this network would displace; None if there is room."""
        if len(self._waiting) < MAX_WAITERS:
            return None
        newest = max(reversed(self._waiting), key=lambda turn: self._share(turn.network))
        if self._share(newest.network) < self._share(network) + 2:
            raise self._refusal(network)
        return newest

    def _refusal(self, network: str) -> PasswordsBusy:
        refusal = NetworkBusy if self._share(network) else PasswordsBusy
        return refusal(retry_after=RETRY_AFTER)

    def _share(self, network: str) -> int:
        waiting = sum(turn.network == network for turn in self._waiting)
        return self._running[network] + waiting


slots = HashingSlots(settings.PASSWORD_HASHES_AT_ONCE)

_line: ContextVar[Callable[[], str]] = ContextVar("hashing_line", default=str)


@contextmanager
def hashing_for(line: Callable[[], str]) -> Iterator[None]:
    """Let hashes during the block wait in this line. It is asked for only when one is hashed."""
    previous = _line.set(line)
    try:
        yield
    finally:
        _line.reset(previous)


def network_of(environ: Mapping[str, Any]) -> str:
    """The line of a request: the network that sent it."""
    return caller_network(address_of(environ))


def hashing_network() -> str:
    """The network, or other line, that the hashes of this thread are for. Empty outside of
    requests."""
    return _line.get()()


def refuse_when_full() -> None:
    """Raise PasswordsBusy or NetworkBusy if this request could not even wait for a place."""
    slots.refuse_when_full(hashing_network())


class LimitedArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's Argon2 hasher with its memory and time cost, run in one of the slots.

    One lane, as OWASP recommends: more would take the cores that the limit leaves to others.
    """

    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with slots.hold(hashing_network()):
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with slots.hold(hashing_network()):
            return super().verify(password, encoded)
