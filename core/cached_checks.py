"""Caching for checks that are expensive and whose result may be a few seconds old."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class CachedCheck(Generic[T]):
    """Caches the result of `check` for the given number of seconds.

    Concurrent callers wait for one run of it.
    """

    def __init__(self, check: Callable[[], T], seconds: float) -> None:
        self._check, self._seconds = check, seconds
        self._lock = Lock()
        self._found: tuple[T, float] | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._found is None or time.monotonic() >= self._found[1]:
                self._found = (self._check(), time.monotonic() + self._seconds)
            return self._found[0]

    def forget(self) -> None:
        self._found = None
