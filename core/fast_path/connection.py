"""One HTTP request over ASGI, and its client."""

import asyncio
import io
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings

from core import metrics
from core.fast_path.arrival import ARRIVED
from core.fast_path.pieces import Rest
from core.fast_path.requests import Headers, Receive, Scope, Send, environ_of
from core.fast_path.responses import WAITED, Live, Wait
from core.sockets import connections

logger = structlog.get_logger(__name__)

LAST_EVENT_SECONDS = 0.5
"""How long a stream that is over waits for its client to read the last event."""
SLICE = 8 * 1024
"""Bytes passed to the server at once. For a client that does not read, the server keeps five of
these, and its own full buffer."""


@dataclass
class Response:
    """The application's response, as far as it has been produced."""

    status: int = 500
    headers: Headers | None = None
    content: bytes = b""
    rest: Rest | None = None
    """The pieces after `content`, if the response is long."""
    live: Live | None = None
    release: Callable[[], None] | None = None
    wait: Wait | None = None
    """An attribute of a response. Waits without a thread; returns True when the same request may
    get another response now, False when this one is to be sent."""


class Connection:
    """One request and its client."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        self._scope, self._receive, self._send, self.body = scope, receive, send, body
        self._gone: asyncio.Future[None] | None = None
        self.has_waited = self.is_lost = False
        self.arrived = time.time()
        """When it began to wait for a thread."""

    @property
    def is_head(self) -> bool:
        return bool(self._scope["method"] == "HEAD")

    def environ(self) -> dict[str, Any]:
        body = io.BytesIO(self.body)
        ours = {"wsgi.input": body, WAITED: self.has_waited, ARRIVED: self.arrived}
        return environ_of(self._scope) | ours

    async def waits(self, wait: Wait) -> bool:
        """Whether to run the request again after `wait`. False if the client has disconnected."""
        gone = asyncio.ensure_future(self.wait_disconnected())
        waiting = asyncio.ensure_future(wait())
        try:
            await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
            self.is_lost = gone.done()
            self.arrived = time.time()
            return not self.is_lost and waiting.result()
        finally:
            gone.cancel()
            waiting.cancel()
            await asyncio.gather(gone, waiting, return_exceptions=True)

    async def leaves_before(self, response: asyncio.Future[Response]) -> bool:
        """Whether the client disconnects before there is a response."""
        gone = asyncio.ensure_future(self.wait_disconnected())
        try:
            both: set[asyncio.Future[Any]] = {gone, response}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return gone.done()
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    async def wait_disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def send_whole(self, response: Response) -> None:
        await self._start(response)
        await self._send({"type": "http.response.body", "body": response.content})

    async def begin(self, response: Response) -> None:
        self._gone = asyncio.ensure_future(self.wait_disconnected())
        await self._start(response)

    def watch_no_more(self) -> None:
        if self._gone:
            self._gone.cancel()

    async def send_chunk(self, chunk: bytes) -> bool:
        """Whether the client took the chunk.

        One that disconnected or reads too slowly gets no more.
        """
        try:
            async with asyncio.timeout(settings.READER_TIMEOUT_SECONDS):
                for start in range(0, len(chunk), SLICE):
                    if self._gone and self._gone.done():
                        return False
                    body = chunk[start : start + SLICE]
                    await self._send(
                        {"type": "http.response.body", "body": body, "more_body": True}
                    )
        except TimeoutError:
            self.cut()
            return False
        return True

    async def send_last(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def stream(self, response: Response) -> None:
        """Send the live body until it ends, the client disconnects, or the client does not read."""
        assert response.live  # noqa: S101 - the caller asked
        over = asyncio.Event()
        gone = asyncio.ensure_future(self.wait_disconnected())
        pump = asyncio.ensure_future(self._pump(response, response.live(over)))
        ending = asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait({gone, pump, ending}, return_when=asyncio.FIRST_COMPLETED)
            done, _ = await asyncio.wait(
                {gone, pump},
                timeout=LAST_EVENT_SECONDS if ending.done() else 0,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done:
                self.cut("over")
        finally:
            for each in (gone, pump, ending):
                each.cancel()
            await asyncio.gather(gone, pump, ending, return_exceptions=True)
            if response.release:
                response.release()
        if not pump.cancelled() and (error := pump.exception()):
            raise error

    async def _pump(self, response: Response, chunks: AsyncGenerator[bytes, None]) -> None:
        try:
            await self._start(response)
            async for chunk in chunks:
                if not await self.send_chunk(chunk):
                    return
            await self.send_last()
        finally:
            await chunks.aclose()

    def cut(self, reason: str = "slow_reader") -> None:
        """Abort the connection of a client that does not read: servers would wait forever."""
        metrics.slow_readers.inc()
        logger.info("connection.cut", reason=reason, path=self._scope["path"])
        client = self._scope.get("client")
        if client:
            connections.abort((client[0], int(client[1])))

    async def _start(self, response: Response) -> None:
        await self._send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": response.headers or [],
            }
        )
