"""The memory that bodies of requests take in an ASGI process, while they arrive and while they wait
for a thread: anybody may begin very many large ones and not end them."""

from collections.abc import Iterator
from contextlib import contextmanager

SMALL = 64 * 1024
MAX_BYTES = 128 * 1024**2
"""Of all bodies at once, beyond the first SMALL bytes of each: small ones always find room."""
TOO_MANY = "Too many large bodies arrive at once. Try again later."


class RoomForBodies:
    """The memory that a process lends to large bodies. It belongs to the event loop."""

    def __init__(self) -> None:
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator["BodyPlace"]:
        """Room for one body; it is given back when the body has been used."""
        place = BodyPlace(self)
        try:
            yield place
        finally:
            self.taken -= place.taken


class BodyPlace:
    """The room that one body takes; `is_refused` when there was not enough."""

    def __init__(self, room: RoomForBodies) -> None:
        self._room, self.taken, self.is_refused = room, 0, False

    def grow_to(self, size: int) -> bool:
        """Whether the body may have this size."""
        more = max(0, size - SMALL) - self.taken
        if self._room.taken + more > MAX_BYTES:
            self.is_refused = True
            return False
        self.taken += more
        self._room.taken += more
        return True
