"""Limits on the streams of a process, for each caller and organization."""

from contextlib import suppress
from uuid import uuid4

from core.errors import TooManyRequests
from live.attendance import MAX_STREAMS, StreamSlots
from organizations.stream_access import Viewer


def test_organizations_with_many_streams_leave_some_to_the_others() -> None:
    """A server takes 4,096 requests at once, of whatever kind."""
    slots = StreamSlots()

    def open_all() -> int:
        organization, number = uuid4(), 0
        with suppress(TooManyRequests):
            while True:  # each by a different agent
                slots.acquire(Viewer("agent", organization, uuid4()))
                number += 1
        return number

    opened = [open_all() for _ in range(6)]
    held = Viewer("agent", uuid4(), uuid4())
    slots.acquire(held)

    assert opened[0] == 1000
    assert all(number > 20 for number in opened), "whoever comes later still finds some"
    assert sum(opened) < MAX_STREAMS
    for _ in range(1000):
        slots.release(held)
        slots.acquire(held)


def test_the_organizations_of_one_person_count_together() -> None:
    slots, founder = StreamSlots(), uuid4()

    def open_all() -> int:
        number = 0
        with suppress(TooManyRequests):
            while True:
                slots.acquire(Viewer("agent", uuid4(), uuid4(), shared=founder))
                number += 1
        return number

    assert [open_all(), open_all()] == [1000, 0]
    slots.acquire(Viewer("agent", uuid4(), uuid4()))
