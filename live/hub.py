"""One poller for all viewers of a web process: it asks how far the watched executions have come,
which awaited ones are there now, and who may no longer look, once for everybody. Each viewer then
takes what is new at its own pace.

Nobody has a queue. A viewer that does not read holds nothing but its place: batches are kept for
all together, and read again by who comes late. Streams and WebSockets use the same `subscribe`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from core import memory, metrics
from core.errors import DomainError, TooManyRequests
from core.failures import log_failure
from core.outages import is_database_outage
from executions.wakeup import channel_name, listen
from live.batches import Batches
from live.reading import Awaited, Batch, Head, Watched, read_events, read_news
from organizations.stream_access import Viewer

logger = structlog.get_logger(__name__)

T = TypeVar("T")

FAST_TICK, SLOW_TICK = 0.25, 0.5
"""Also how soon a stream ends whose right has ended: within a second, so the slow one is no longer
than half of that."""
SECONDS_OF_LIVELINESS = 10.0
"""So long after the last change, or the last new viewer, the poller keeps its fast tick."""
SECONDS_BETWEEN_VIEWER_CHECKS = 0.4
SECONDS_AFTER_OUTAGE = 1.0
MIN_PAUSE = 0.05
"""Between two ticks, however many wake-ups come."""
HEARTBEAT = 15.0
READERS = 2


class Closed(Exception):
    """The stream ends before its execution does; `reason` is for the viewer."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Stopping(DomainError):
    """No more waiting here: another process, or the next one, answers."""

    code = "SERVICE_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE


RIGHT_ENDED = "The token or the session has ended, or its rights changed."
DELETED = "The execution was deleted."


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


MAX_STREAMS = 2_900
"""In one process, where no organization may have more than half of it."""


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


class Hub:
    """The streams of one process. It belongs to the event loop that first subscribes."""

    def __init__(self) -> None:
        self.slots = StreamSlots()
        self.queries = 0
        """How often the poller has asked."""
        self._channels: dict[Watched, Channel] = {}
        self._awaited: dict[Awaited, set[Attendance]] = {}
        self._batches = Batches(self._read)
        self._present: dict[Viewer, set[Attendance]] = {}
        """Who looks or waits, to end what is theirs."""
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
        over: asyncio.Event | None = None,
        heartbeat: float = HEARTBEAT,
    ) -> AsyncGenerator[Batch | None, None]:
        """The execution's events after the sequence number `after`, in batches, as they come.

        None says that nothing came for `heartbeat` seconds. It ends when all events of
        an ended execution were given; Closed when it must end earlier, and `over` is set then,
        even while nobody takes the next batch. `head` is what the caller has just read.
        """
        position = after
        with (
            self._attending(viewer, over) as attendance,
            self._watching(watched, head, attendance) as channel,
        ):
            while True:
                attendance.woken.clear()
                if attendance.reason:
                    raise Closed(attendance.reason)
                if position < channel.head.last_sequence:
                    batch = await self.batch(watched, position)
                    if batch:
                        position = batch.last_sequence
                        given = [batch]
                        del batch
                        yield given.pop()  # nothing of it stays here
                    else:  # the database is away, or the execution was just deleted
                        await attendance.is_woken(within=SLOW_TICK)
                elif channel.head.has_ended:
                    return
                elif not await attendance.is_woken(within=heartbeat):
                    yield None

    @property
    def kept_bytes(self) -> int:
        """About how much of all executions is kept for viewers."""
        return self._batches.kept_bytes

    async def batch(self, watched: Watched, after: int) -> Batch | None:
        """The batch that begins after the sequence number `after`, read once for all viewers that
        are there; None when there is none, and a moment later when the database is away."""
        try:
            return await self._batches.get(watched, after)
        except (DatabaseError, InterfaceError) as error:
            _tell(error)
            await asyncio.sleep(SECONDS_AFTER_OUTAGE)
            return None

    async def wait_for(self, awaited: Awaited, *, viewer: Viewer, seconds: float) -> bool:
        """Wait until the execution is there for the viewer, or the viewer's right has ended:
        whether there is another answer now than `seconds` before."""
        try:
            self.slots.acquire(viewer)
        except TooManyRequests:
            return True  # the answer says so
        try:
            with self._attending(viewer) as attendance, self._awaiting(awaited, attendance):
                return await attendance.is_woken(within=seconds)
        finally:
            self.slots.release(viewer)

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """Do what takes time, such as rendering, where it holds up nobody's stream for long."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *arguments)

    def require_place(self, viewer: Viewer) -> None:
        """TooManyRequests when the viewer has no place left, Stopping when nobody has."""
        if self._stopping:
            raise Stopping(self._stopping)
        self.slots.require(viewer)

    def wake(self) -> None:
        """Let the poller ask now."""
        self._wake.set()

    def stop(self, reason: str = "The server is about to stop. Connect again.") -> None:
        """End every stream, now and from now on."""
        self._stopping = reason
        for attendances in self._present.values():
            for each in attendances:
                each.end(reason)

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

    @contextmanager
    def _attending(self, viewer: Viewer, over: asyncio.Event | None = None) -> Iterator[Attendance]:
        """The viewer looks or waits meanwhile, until its right ends: exactly then, if its token
        says when."""
        attendance = Attendance(viewer, over or asyncio.Event())
        together = self._present.setdefault(viewer, set())
        together.add(attendance)
        loop, timer = asyncio.get_running_loop(), None
        if self._stopping:
            attendance.end(self._stopping)
        elif viewer.expires_at is not None:
            timer = loop.call_later(viewer.seconds_left, attendance.end, RIGHT_ENDED)
        self._changed_at = time.monotonic()
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            yield attendance
        finally:
            if timer:
                timer.cancel()
            together.discard(attendance)
            if not together and self._present.get(viewer) is together:
                del self._present[viewer]

    @contextmanager
    def _watching(self, watched: Watched, head: Head, stream: Attendance) -> Iterator[Channel]:
        """The stream belongs to the execution's channel meanwhile."""
        channel = self._channels.get(watched)
        if channel is None:
            channel = self._channels[watched] = Channel(watched, head)
        elif head.last_sequence > channel.head.last_sequence:
            channel.move_to(head)
        channel.streams.add(stream)
        try:
            yield channel
        finally:
            channel.streams.discard(stream)
            if not channel.streams and self._channels.get(watched) is channel:
                del self._channels[watched]

    @contextmanager
    def _awaiting(self, awaited: Awaited, attendance: Attendance) -> Iterator[None]:
        """The poller looks for the execution meanwhile."""
        waiting = self._awaited.setdefault(awaited, set())
        waiting.add(attendance)
        try:
            yield
        finally:
            waiting.discard(attendance)
            if not waiting and self._awaited.get(awaited) is waiting:
                del self._awaited[awaited]

    async def _read(self, watched: Watched, after: int) -> Batch | None:
        reader = self._readers[hash(watched) % len(self._readers)]
        return await self._run(reader, read_events, watched, after)

    async def _poll(self) -> None:
        """Tick while anybody looks or waits."""
        url = settings.REDIS_URL
        listener = asyncio.create_task(listen(url, channel_name(), self.wake)) if url else None
        try:
            while self._present:
                await self._tick_safely()
                await asyncio.sleep(MIN_PAUSE)
                pause = FAST_TICK if self._is_lively() and not url else SLOW_TICK
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause - MIN_PAUSE):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            if listener:
                listener.cancel()
            self._batches.clear()
            memory.give_back()

    async def _tick_safely(self) -> None:
        """Whatever fails once must not end the streams of everybody."""
        try:
            await self._tick()
        except Exception as error:
            _tell(error)

    async def _tick(self) -> None:
        """One statement for everybody."""
        channels = list(self._channels.values())
        viewers, awaited = self._viewers_to_check(), list(self._awaited)
        if not (channels or viewers or awaited):
            return
        self.queries += 1
        news = await self._run(
            self._poller, read_news, [each.watched for each in channels], viewers, awaited
        )
        for channel in channels:
            self._tell(channel, news.heads.get(channel.watched.execution_id))
        if not self._is_lively():
            self._batches.clear()
        for each in news.appeared:
            for attendance in self._awaited.get(each, ()):
                attendance.woken.set()
        # A clock that was set leaves the timers of tokens behind.
        ended = news.ended | {each for each in viewers if each.seconds_left <= 0}
        for viewer in ended:
            for attendance in self._present.get(viewer, ()):
                attendance.end(RIGHT_ENDED)

    def _tell(self, channel: Channel, head: Head | None) -> None:
        if head is None:
            for stream in channel.streams:
                stream.end(DELETED)
        elif channel.move_to(head):
            self._changed_at = time.monotonic()

    def _viewers_to_check(self) -> list[Viewer]:
        if time.monotonic() < self._viewers_checked_at + SECONDS_BETWEEN_VIEWER_CHECKS:
            return []
        self._viewers_checked_at = time.monotonic()
        return list(self._present)

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


hub = Hub()
"""The process's own."""
