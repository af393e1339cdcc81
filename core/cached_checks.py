"""What costs something to find out and may be a moment old."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class CachedCheck(Generic[T]):
    """The result of `check`, made again after so many seconds, and by one caller, however many
    ask at once."""

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
