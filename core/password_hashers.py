"""Argon2 for people's passwords, a few at a time: each takes 100 MB and a core, so that guessing is
slow, and many at once would make everything else slow, too.

All hashing goes through the hasher: signing in, the change of a password, an accepted invitation.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from core.errors import TooManyRequests

MAX_WAITERS = 3
"""Threads of the server that wait for a place; the others have requests to answer."""
MAX_WAIT = 1.0
"""Seconds. Then the client tries again, instead of a thread that waits."""
RETRY_AFTER = 2


class PasswordsBusy(TooManyRequests):
    """No place to hash a password: nothing was checked, and no failure is to be counted."""

    code = "SERVICE_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "Too many people sign in at the moment. Try again in a few seconds."


class Places:
    """So many may hash at once, and a few more wait, for a moment only."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place while the block runs; PasswordsBusy when there is none."""
        self._take()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify()

    def refuse_when_full(self) -> None:
        """PasswordsBusy where one more could not even wait. Asked before any other work, so that
        refusing costs next to nothing."""
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


places = Places(settings.PASSWORD_HASHES_AT_ONCE)
"""Those of this process."""


class LimitedArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's Argon2, with its memory and passes, in one of the places.

    One lane, as OWASP has it: more would take the cores that the places leave to others.
    """

    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with places.one():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with places.one():
            return super().verify(password, encoded)
