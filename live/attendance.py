"""Viewers of executions and requests that wait for one, and limits on their number."""

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
"""In one process; an organization may have at most half of them."""


@dataclass(eq=False)
class Attendance:
    """An open stream, or a request that waits for its execution."""

    viewer: Viewer
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the stream must end, whatever it is doing."""
    reason: str = ""
    """The reason for the viewer."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.over.set()
        self.woken.set()

    async def is_woken(self, *, within: float) -> bool:
        """Wait for news for at most this many seconds; return whether there was any."""
        try:
            async with asyncio.timeout(within):
                await self.woken.wait()
        except TimeoutError:
            return False
        return True


@dataclass(eq=False)
class Channel:
    """The hub's state of one watched execution."""

    watched: Watched
    head: Head
    streams: set[Attendance] = field(default_factory=set)

    def move_to(self, head: Head) -> bool:
        """Record the new head and wake the viewers; return whether it was news."""
        if head == self.head:
            return False
        self.head = head
        for each in self.streams:
            each.woken.set()
        return True


class StreamSlots:
    """Counts open streams for each caller and each share of organizations.

    A server takes a limited number of requests at once (core/server_options.py), and streams must
    leave room for others. A share that already has more streams than are still free gets no
    more, so that neither a few organizations nor one person in several can take all of them.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: Counter[UUID] = Counter()
        self._open = 0

    def require(self, viewer: Viewer) -> None:
        """Raise TooManyRequests if one more stream would exceed a limit."""
        free = max(MAX_STREAMS, 2 * settings.STREAMS_PER_ORGANIZATION) - self._open
        if self._taken[viewer.share] >= free:
            raise TooManyRequests(
                "This server has hardly any streams left. Try again later.", retry_after=5
            )
        limits = {
            viewer.principal: settings.STREAMS_PER_CALLER,
            viewer.share: settings.STREAMS_PER_ORGANIZATION,
        }
        for key, limit in limits.items():
            if self._taken[key] >= limit:
                raise TooManyRequests(
                    f"{limit} streams are already open or being waited for. Close one of them.",
                    retry_after=5,
                )

    def acquire(self, viewer: Viewer) -> None:
        """Count one more stream; raises TooManyRequests if it would exceed a limit."""
        with self._lock:
            self.require(viewer)
            self._taken.update((viewer.principal, viewer.share))
            self._open += 1
        metrics.open_streams.inc()

    def release(self, viewer: Viewer) -> None:
        with self._lock:
            self._open -= 1
            for key in (viewer.principal, viewer.share):
                self._taken[key] -= 1
                if not self._taken[key]:
                    del self._taken[key]
        metrics.open_streams.dec()
