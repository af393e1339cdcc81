"""One poller for all viewers of a web process.

It asks once for everybody how far the watched executions have come, which awaited ones exist by
now, and whose access has ended. Each viewer then reads what is new at its own pace.

There are no queues for each viewer: one that does not read costs only its position. Batches are
cached for all together, and read again for those that come late. Streams and WebSockets both use
`subscribe`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from core import memory
from core.errors import DomainError, TooManyRequests
from core.failures import log_failure
from core.outages import is_database_outage
from executions.wakeup import channel_name, listen
from live.attendance import Attendance, Channel, StreamSlots
from live.batches import Batches
from live.reading import Awaited, Batch, Head, Watched, read_events, read_news
from live.render_turns import Render, RenderTurns
from organizations.stream_access import Viewer

logger = structlog.get_logger(__name__)

T = TypeVar("T")

FAST_TICK, SLOW_TICK = 0.25, 0.5
"""Also the delay with which a stream ends after its viewer lost access. That must take at most a
second, so the slow tick may be no longer than half a second.
"""
FAST_TICK_SECONDS = 10.0
"""Seconds for which the poller keeps its fast tick after the last change or new viewer."""
VIEWER_CHECK_INTERVAL_SECONDS = 0.4
OUTAGE_PAUSE_SECONDS = 1.0
MIN_PAUSE = 0.05
"""The minimum pause between two ticks, however many wake-ups arrive."""
HEARTBEAT = 15.0
READERS = 2


class Closed(Exception):
    """The stream ends before its execution does; `reason` is meant for the viewer."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Stopping(DomainError):
    """This process accepts no more waiting requests; another or the next one answers."""

    code = "SERVICE_UNAVAILABLE"
    status = HTTPStatus.SERVICE_UNAVAILABLE


RIGHT_ENDED = "The token or the session has ended, or its rights changed."
DELETED = "The execution was deleted."


class Hub:
    """The streams of one process. A hub belongs to the event loop that first subscribes."""

    def __init__(self) -> None:
        self.slots = StreamSlots()
        self.queries = 0
        """The number of polls so far."""
        self._channels: dict[Watched, Channel] = {}
        self._awaited: dict[Awaited, set[Attendance]] = {}
        self._batches = Batches(self._read)
        self._present: dict[Viewer, set[Attendance]] = {}
        """Viewers with open streams or waiting requests, so that these can be ended."""
        self._polling: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = ""
        self._changed_at = float("-inf")
        self._viewers_checked_at = float("-inf")
        # Each thread has its own database connection, so a few threads serve all viewers.
        self._poller = ThreadPoolExecutor(1, "hub-poller")
        self._readers = [ThreadPoolExecutor(1, "hub-reader") for _ in range(READERS)]
        self._render_turns = RenderTurns()

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
        """Yield the execution's events after the sequence number `after` in batches as they arrive.

        Yields None when nothing has arrived for `heartbeat` seconds. Ends after all events of an
        ended execution, or raises Closed when it must end earlier; `over` is then set even while
        nobody takes the next batch. `head` is the position that the caller has just read.
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
                        yield given.pop()  # do not keep a reference to it here
                    else:  # the database is unavailable, or the execution was just deleted
                        await attendance.is_woken(within=SLOW_TICK)
                elif channel.head.has_ended:
                    return
                elif not await attendance.is_woken(within=heartbeat):
                    yield None

    @property
    def kept_bytes(self) -> int:
        """The approximate size of all cached batches in bytes."""
        return self._batches.kept_bytes

    async def batch(self, watched: Watched, after: int) -> Batch | None:
        """The batch after the sequence number `after`, read once for all viewers present.

        None when there are no more events, or after a short pause when the database is unavailable.
        """
        try:
            return await self._batches.get(watched, after)
        except (DatabaseError, InterfaceError) as error:
            _log_poll_error(error)
            await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
            return None

    async def wait_for(self, awaited: Awaited, *, viewer: Viewer, seconds: float) -> bool:
        """Wait until the viewer can see the execution or has lost access.

        Returns whether that happened within `seconds`, so that the request would now get another
        answer.
        """
        try:
            self.slots.acquire(viewer)
        except TooManyRequests:
            return True  # the response reports it
        try:
            with self._attending(viewer) as attendance, self._awaiting(awaited, attendance):
                return await attendance.is_woken(within=seconds)
        finally:
            self.slots.release(viewer)

    async def render(self, viewer: Viewer, render: Render) -> bytes:
        """Render a batch for the viewer when it is their organizations' turn."""
        return await self._render_turns.run(viewer.share, render)

    def require_place(self, viewer: Viewer) -> None:
        """Raise TooManyRequests when the viewer has reached a limit, Stopping when the hub is
        stopping.
        """
        if self._stopping:
            raise Stopping(self._stopping)
        self.slots.require(viewer)

    def wake(self) -> None:
        """Make the poller ask immediately."""
        self._wake.set()

    def stop(self, reason: str = "The server is about to stop. Connect again.") -> None:
        """End every stream, and refuse new ones."""
        self._stopping = reason
        for attendances in self._present.values():
            for each in attendances:
                each.end(reason)

    async def close(self) -> None:
        """Stop, and release the threads and their database connections."""
        self.stop()
        if self._polling:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        for executor in (self._poller, *self._readers):
            await self._run(executor, connections.close_all)
            executor.shutdown()
        self._render_turns.close()

    @contextmanager
    def _attending(self, viewer: Viewer, over: asyncio.Event | None = None) -> Iterator[Attendance]:
        """Register the viewer's stream or request until its access ends.

        A token's expiry, where known, ends it at exactly that time.
        """
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
        """Attach the stream to the execution's channel."""
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
        """Make the poller look for the execution."""
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
        """Poll while there are streams or waiting requests."""
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
        """Tick, but log any error instead of ending everybody's streams."""
        try:
            await self._tick()
        except Exception as error:
            _log_poll_error(error)

    async def _tick(self) -> None:
        """Poll for all viewers with a single statement."""
        channels = list(self._channels.values())
        viewers, awaited = self._viewers_to_check(), list(self._awaited)
        if not (channels or viewers or awaited):
            return
        self.queries += 1
        news = await self._run(
            self._poller, read_news, [each.watched for each in channels], viewers, awaited
        )
        for channel in channels:
            self._update(channel, news.heads.get(channel.watched.execution_id))
        if not self._is_lively():
            self._batches.clear()
        for each in news.appeared:
            for attendance in self._awaited.get(each, ()):
                attendance.woken.set()
        # The timers of tokens do not follow a clock that was adjusted.
        ended = news.ended | {each for each in viewers if each.seconds_left <= 0}
        for viewer in ended:
            for attendance in self._present.get(viewer, ()):
                attendance.end(RIGHT_ENDED)

    def _update(self, channel: Channel, head: Head | None) -> None:
        """Wake the channel's streams if its head moved; end them if the execution is gone."""
        if head is None:
            for stream in channel.streams:
                stream.end(DELETED)
        elif channel.move_to(head):
            self._changed_at = time.monotonic()

    def _viewers_to_check(self) -> list[Viewer]:
        if time.monotonic() < self._viewers_checked_at + VIEWER_CHECK_INTERVAL_SECONDS:
            return []
        self._viewers_checked_at = time.monotonic()
        return list(self._present)

    def _is_lively(self) -> bool:
        return time.monotonic() < self._changed_at + FAST_TICK_SECONDS

    async def _run(self, executor: Executor, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, _with_connection, function, *arguments)


def _with_connection(function: Callable[..., T], *arguments: Any) -> T:
    """Run the function with database connections managed as in a request: broken ones are
    replaced.
    """
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()


def _log_poll_error(error: Exception) -> None:
    """Log an outage in one line, and any other error with its traceback."""
    if is_database_outage(error):
        logger.warning("hub.database_unavailable", error=type(error).__name__)
    else:
        log_failure(error)


hub = Hub()
"""The hub of this process."""
