"""One poller for all viewers of a web process: it asks how far the watched executions have come,
once for everybody, and each viewer then takes what is new at its own pace.

Nobody has a queue. A viewer that does not read takes nothing and holds at most one batch, which
it shares with the others at the same place. Streams and WebSockets use the same `subscribe`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from agentidp import metrics
from agentidp.errors import TooManyRequests
from agentidp.failures import log_failure
from agentidp.handlers import is_database_outage
from executions.live.reading import Batch, Head, Watched, read_events, read_heads
from executions.live.wakeup import channel_name, listen
from tokens.viewers import Viewer

logger = structlog.get_logger(__name__)

T = TypeVar("T")

FAST_TICK, SLOW_TICK = 0.25, 1.0
SECONDS_OF_LIVELINESS = 10.0
"""So long after the last change, or the last new viewer, the poller keeps its fast tick."""
SECONDS_BETWEEN_VIEWER_CHECKS = 2.0
SECONDS_AFTER_OUTAGE = 1.0
SHORTEST_PAUSE = 0.05
"""Between two ticks, however many wake-ups come."""
HEARTBEAT = 15.0
KEPT_BATCHES = 4
READERS = 2


class Closed(Exception):
    """The stream ends before its execution does; `reason` is for the viewer."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(eq=False)
class Subscription:
    """One open stream."""

    viewer: Viewer
    closed: str = ""
    """Why it must end, once it must."""


@dataclass(eq=False)
class Channel:
    """What the hub knows about one watched execution."""

    watched: Watched
    head: Head
    is_deleted: bool = False
    subscriptions: set[Subscription] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    batches: dict[int, "asyncio.Future[Batch | None]"] = field(default_factory=dict)
    """The last reads, by the sequence number after which they begin."""

    def move_to(self, head: Head | None) -> bool:
        """Whether that was news; it wakes the viewers."""
        if head == self.head:
            return False
        if head is None:
            self.is_deleted = True
        else:
            self.head = head
        self.wake()
        return True

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def has_changed(self, *, within: float) -> bool:
        """Wait for the next news, but only so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self.changed.wait()
        except TimeoutError:
            return False
        return True


class Places:
    """How many streams are open, for each caller and for each organization."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: Counter[UUID] = Counter()

    def take(self, viewer: Viewer) -> None:
        """Count one more; TooManyRequests where that would be too many."""
        limits = {
            viewer.principal: settings.STREAMS_PER_CALLER,
            viewer.organization: settings.STREAMS_PER_ORGANIZATION,
        }
        with self._lock:
            for key, limit in limits.items():
                if self._taken[key] >= limit:
                    raise TooManyRequests(
                        f"{limit} streams are open already. Close one of them.", retry_after=5
                    )
            self._taken.update(limits.keys())
        metrics.open_streams.inc()

    def give_back(self, viewer: Viewer) -> None:
        with self._lock:
            for key in (viewer.principal, viewer.organization):
                self._taken[key] -= 1
                if not self._taken[key]:
                    del self._taken[key]
        metrics.open_streams.dec()


class Hub:
    """The streams of one process. It belongs to the event loop that first subscribes."""

    def __init__(self) -> None:
        self.places = Places()
        self.queries = 0
        """How often the poller has asked."""
        self._channels: dict[Watched, Channel] = {}
        self._polling: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = ""
        self._changed_at = float("-inf")
        self._viewers_checked_at = float("-inf")
        # A thread has a database connection of its own; these few serve everybody.
        self._poller = ThreadPoolExecutor(1, "hub-poller")
        self._readers = [ThreadPoolExecutor(1, "hub-reader") for _ in range(READERS)]
        self._writer = ThreadPoolExecutor(1, "hub-writer")

    async def subscribe(
        self,
        watched: Watched,
        head: Head,
        *,
        after: int,
        viewer: Viewer,
        heartbeat: float = HEARTBEAT,
    ) -> AsyncGenerator[Batch | None, None]:
        """The execution's events after the sequence number `after`, in batches, as they come.

        None says that nothing came for `heartbeat` seconds. It ends when all events of
        an ended execution were given; Closed when it must end earlier. `head` is what the caller
        has just read.
        """
        subscription = Subscription(viewer, closed=self._stopping)
        channel = self._enter(watched, head, subscription)
        position = after
        try:
            while True:
                if channel.is_deleted:
                    raise Closed("The execution was deleted.")
                if subscription.closed:
                    raise Closed(subscription.closed)
                if position < channel.head.last_sequence:
                    if batch := await self._read(channel, position):
                        position = batch.last_sequence
                        yield batch
                    else:  # the database is away, or the execution was just deleted
                        await channel.has_changed(within=SLOW_TICK)
                elif channel.head.has_ended:
                    return
                elif not await channel.has_changed(within=heartbeat):
                    yield None
        finally:
            self._leave(channel, subscription)

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """Do what takes time, such as rendering, where it holds up nobody's stream for long."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *arguments)

    def wake(self) -> None:
        """Let the poller ask now."""
        self._wake.set()

    def stop(self, reason: str = "The server is about to stop. Connect again.") -> None:
        """End every stream, now and from now on."""
        self._stopping = reason
        for channel in self._channels.values():
            for subscription in channel.subscriptions:
                subscription.closed = reason
            channel.wake()

    async def close(self) -> None:
        """Stop, and give the threads and their database connections back."""
        self.stop()
        if self._polling:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        for executor in (self._poller, *self._readers):
            await self._run(executor, connections.close_all)
            executor.shutdown()
        self._writer.shutdown()

    def _enter(self, watched: Watched, head: Head, subscription: Subscription) -> Channel:
        channel = self._channels.get(watched)
        if channel is None:
            channel = self._channels[watched] = Channel(watched, head)
        elif head.last_sequence > channel.head.last_sequence:
            channel.move_to(head)
        channel.subscriptions.add(subscription)
        self._changed_at = time.monotonic()
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        return channel

    def _leave(self, channel: Channel, subscription: Subscription) -> None:
        channel.subscriptions.discard(subscription)
        if not channel.subscriptions and self._channels.get(channel.watched) is channel:
            del self._channels[channel.watched]

    async def _read(self, channel: Channel, after: int) -> Batch | None:
        """The next batch, read once for all viewers that are at the same place."""
        reading = channel.batches.get(after)
        if reading is None or (reading.done() and not _gave_something(reading)):
            reader = self._readers[hash(channel.watched) % len(self._readers)]
            reading = asyncio.ensure_future(self._run(reader, read_events, channel.watched, after))
            channel.batches[after] = reading
            while len(channel.batches) > KEPT_BATCHES:
                del channel.batches[next(iter(channel.batches))]
        try:
            return await asyncio.shield(reading)
        except (DatabaseError, InterfaceError) as error:
            _tell(error)
            await asyncio.sleep(SECONDS_AFTER_OUTAGE)
            return None

    async def _poll(self) -> None:
        """Tick while anybody looks."""
        url = settings.REDIS_URL
        listener = asyncio.create_task(listen(url, channel_name(), self.wake)) if url else None
        try:
            while self._channels:
                await self._tick_safely()
                await asyncio.sleep(SHORTEST_PAUSE)
                pause = FAST_TICK if self._is_lively() and not url else SLOW_TICK
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause - SHORTEST_PAUSE):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            if listener:
                listener.cancel()

    async def _tick_safely(self) -> None:
        """Whatever fails once must not end the streams of everybody."""
        try:
            await self._tick()
        except Exception as error:
            _tell(error)

    async def _tick(self) -> None:
        """One statement for everybody."""
        channels = list(self._channels.values())
        viewers = self._viewers_to_check()
        self.queries += 1
        heads, ended = await self._run(
            self._poller, read_heads, [each.watched for each in channels], viewers
        )
        for channel in channels:
            if channel.move_to(heads.get(channel.watched.execution_id)):
                self._changed_at = time.monotonic()
            elif channel.batches and not self._is_lively():
                channel.batches.clear()
        if viewers:
            self._end(ended | {viewer for viewer in viewers if viewer.is_expired()})

    def _viewers_to_check(self) -> list[Viewer]:
        if time.monotonic() < self._viewers_checked_at + SECONDS_BETWEEN_VIEWER_CHECKS:
            return []
        self._viewers_checked_at = time.monotonic()
        channels = self._channels.values()
        return list({each.viewer for channel in channels for each in channel.subscriptions})

    def _end(self, viewers: set[Viewer]) -> None:
        if not viewers:
            return
        for channel in self._channels.values():
            ended = [each for each in channel.subscriptions if each.viewer in viewers]
            for subscription in ended:
                subscription.closed = "The token or the session has ended, or its rights changed."
            if ended:
                channel.wake()

    def _is_lively(self) -> bool:
        return time.monotonic() < self._changed_at + SECONDS_OF_LIVELINESS

    async def _run(self, executor: Executor, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, _with_connection, function, *arguments)


def _with_connection(function: Callable[..., T], *arguments: Any) -> T:
    """Run it as a request would: a connection that broke meanwhile is made anew."""
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()


def _tell(error: Exception) -> None:
    """An outage in one line; anything else is a fault of ours."""
    if is_database_outage(error):
        logger.warning("hub.database_unavailable", error=type(error).__name__)
    else:
        log_failure(error)


def _gave_something(reading: "asyncio.Future[Batch | None]") -> bool:
    return not reading.cancelled() and reading.exception() is None and bool(reading.result())


hub = Hub()
"""The process's own."""
