"""Limits the memory that request bodies take in an ASGI process while they arrive and wait for a
thread: a client could otherwise begin many large bodies and never finish them."""

from collections.abc import Iterator
from contextlib import contextmanager

SMALL = 64 * 1024
MAX_BYTES = 128 * 1024**2
"""For all bodies together, beyond the first SMALL bytes of each, so small bodies always fit."""
TOO_MANY = "Too many large bodies arrive at once. Try again later."


class BodyBudget:
    """The memory that a process grants to large bodies.

    Not thread-safe: only the event loop uses it.
    """

    def __init__(self) -> None:
        self.taken = 0

    @contextmanager
    def allowance(self) -> Iterator["BodyAllowance"]:
        """Reserve room for one body, and release it when the block ends."""
        allowance = BodyAllowance(self)
        try:
            yield allowance
        finally:
            self.taken -= allowance.taken


class BodyAllowance:
    """The room reserved for one body; `is_refused` is set when there was not enough."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget, self.taken, self.is_refused = budget, 0, False

    def grow_to(self, size: int) -> bool:
        """Reserve room for `size` bytes in total, and return whether there was enough."""
        more = max(0, size - SMALL) - self.taken
        if self._budget.taken + more > MAX_BYTES:
            self.is_refused = True
            return False
        self.taken += more
        self._budget.taken += more
        return True
