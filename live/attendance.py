"""Who looks at an execution or waits for one, and how many may at once."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID

from django.conf import settings

from core import metrics
from core.errors import TooManyRequests
from live.reading import Head, Watched
from organizations.stream_access import Viewer

MAX_STREAMS = 2_900
"""In one process, where no organization may have more than half of it."""


@dataclass(eq=False)
class Attendance:
    """One open stream, or one request that waits for its execution."""

    viewer: Viewer
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it must end, whatever it does at the moment."""
    reason: str = ""
    """Why, for the viewer."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.over.set()
        self.woken.set()

    async def is_woken(self, *, within: float) -> bool:
        """Wait for the next news, but only so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self.woken.wait()
        except TimeoutError:
            return False
        return True


@dataclass(eq=False)
class Channel:
    """What the hub knows about one watched execution."""

    watched: Watched
    head: Head
    streams: set[Attendance] = field(default_factory=set)

    def move_to(self, head: Head) -> bool:
        """Whether that was news; it wakes the viewers."""
        if head == self.head:
            return False
        self.head = head
        for each in self.streams:
            each.woken.set()
        return True


class StreamSlots:
    """How many streams are open, for each caller and for each organization.

    A server takes so many requests at once (core/server_options.py), and streams leave some of them
    to the others. An organization that has more than are still free gets no more: a few of them, or
    one person with a few, do not take them all.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: Counter[UUID] = Counter()
        self._open = 0

    def require(self, viewer: Viewer) -> None:
        """TooManyRequests where one more would be too many."""
        free = max(MAX_STREAMS, 2 * settings.STREAMS_PER_ORGANIZATION) - self._open
        if self._taken[viewer.organization] >= free:
            raise TooManyRequests("This server has hardly any streams left.", retry_after=5)
        limits = {
            viewer.principal: settings.STREAMS_PER_CALLER,
            viewer.organization: settings.STREAMS_PER_ORGANIZATION,
        }
        for key, limit in limits.items():
            if self._taken[key] >= limit:
                raise TooManyRequests(
                    f"{limit} streams are open or waited for already. Close one of them.",
                    retry_after=5,
                )

    def acquire(self, viewer: Viewer) -> None:
        """Count one more; TooManyRequests where that would be too many."""
        with self._lock:
            self.require(viewer)
            self._taken.update((viewer.principal, viewer.organization))
            self._open += 1
        metrics.open_streams.inc()

    def release(self, viewer: Viewer) -> None:
        with self._lock:
            self._open -= 1
            for key in (viewer.principal, viewer.organization):
                self._taken[key] -= 1
                if not self._taken[key]:
                    del self._taken[key]
        metrics.open_streams.dec()
