"""Caching for checks that are expensive and whose result may be a few seconds old."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class CachedCheck(Generic[T]):
    """Caches the result of `check` for the given number of seconds.

    Concurrent callers wait for one run of it: up to `patience` seconds from its beginning, then
    they get the result of `overdue`.
    """

    def __init__(
        self,
        check: Callable[[], T],
        seconds: float,
        *,
        patience: float = -1,
        overdue: Callable[[], T] | None = None,
    ) -> None:
        self._check, self._seconds = check, seconds
        self._patience, self._overdue = patience, overdue
        self._lock = Lock()
        self._began = 0.0
        self._found: tuple[T, float] | None = None

    def __call__(self) -> T:
        if self._overdue is None:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            left = self._began + self._patience - time.monotonic()
            if not self._lock.acquire(timeout=max(left, 0)):
                return self._overdue()
        try:
            if self._found is None or time.monotonic() >= self._found[1]:
                self._began = time.monotonic()
                self._found = (self._check(), time.monotonic() + self._seconds)
            return self._found[0]
        finally:
            self._lock.release()

    def forget(self) -> None:
        self._found = None
