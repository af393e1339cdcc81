"""What costs something to find out and may be a moment old."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Look(Generic[T]):
    """What `look` finds: looked at again after so many seconds, and by one caller, however many
    ask at once."""

    def __init__(self, look: Callable[[], T], seconds: float) -> None:
        self._look, self._seconds = look, seconds
        self._lock = Lock()
        self._found: tuple[T, float] | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._found is None or time.monotonic() >= self._found[1]:
                self._found = (self._look(), time.monotonic() + self._seconds)
            return self._found[0]

    def forget(self) -> None:
        self._found = None
