"""Argon2 for people's passwords, a few hashes at a time.

Each takes 100 MB and a core, which makes guessing slow; many at once would slow down everything
else as well. All hashing goes through this hasher: signing in, password changes and accepted
invitations.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from core.errors import TooManyRequests

MAX_WAITERS = 3
"""Threads that may wait for a place; the others keep answering requests."""
MAX_WAIT = 1.0
"""Seconds. After that the client has to retry, instead of a thread that keeps waiting."""
RETRY_AFTER = 2


class PasswordsBusy(TooManyRequests):
    """All slots are taken. The password was not checked, so it must not count as a failure."""

    code = "SERVICE_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Too many people are signing in right now. Try again in a few seconds."


class HashingSlots:
    """Limits how many hashes run at once, and how many more wait for a moment."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a place during the block. Raise PasswordsBusy if there is none."""
        self._take()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify()

    def refuse_when_full(self) -> None:
        """Raise PasswordsBusy if there is no room even to wait.

        Call this before any other work, so that a refusal is cheap.
        """
        if self._free == 0 and self._waiting >= MAX_WAITERS:
            raise PasswordsBusy(retry_after=RETRY_AFTER)

    def _take(self) -> None:
        with self._changed:
            if self._free == 0:
                self.refuse_when_full()
                self._waiting += 1
                try:
                    if not self._changed.wait_for(lambda: self._free > 0, timeout=MAX_WAIT):
                        raise PasswordsBusy(retry_after=RETRY_AFTER)
                finally:
                    self._waiting -= 1
            self._free -= 1


slots = HashingSlots(settings.PASSWORD_HASHES_AT_ONCE)


class LimitedArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's Argon2 hasher with its memory and time cost, run in one of the slots.

    One lane, as OWASP recommends: more would take the cores that the limit leaves to others.
    """

    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with slots.hold():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with slots.hold():
            return super().verify(password, encoded)
