"""An ASGI front for a WSGI application: ordinary requests run in a few threads, as under a WSGI
server; a LiveResponse then streams without any thread.

Why not a2wsgi: docs/decisions/0007-web-server.md.
"""

import asyncio
import io
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog
from django.http import StreamingHttpResponse

from agentidp import metrics
from agentidp.errors import CODES, MESSAGES, error_body
from agentidp.failures import log_failure

logger = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

KEPT_BODY = 1024 * 1024
"""So much of a body is read before a thread is needed: slow senders hold none."""
SECONDS_FOR_BODY = 30
SECONDS_FOR_READER = 20
"""How long a client may take nothing before its connection is cut."""
SECONDS_TO_COLLECT = 0.1
"""Connections that are to be shut down within this time are looked for together."""
SECONDS_TO_SAY_WHY = 0.5
"""A stream that is over tells its client why, if the client takes it that soon."""
CHUNK = 64 * 1024
WAITED = "agentidp.waited"
"""Stands in the environment of a request that is asked again after a wait: it waits no more."""
WITH_UNDERSCORES = frozenset({"kodosumi_api_key"})
"""Other header names with underscores are dropped: in the environment of WSGI they could pass for
the ones with hyphens that a proxy sets."""


Live = Callable[[asyncio.Event], AsyncGenerator[bytes, None]]
Wait = Callable[[], Awaitable[bool]]


class LiveResponse(StreamingHttpResponse):
    """A stream. Under ASGI `live` makes its body, which holds no thread and no transaction while
    it waits; under WSGI `replay` gives what there is now. `release` is called once at the end.

    `live` sets the event that it is given when the stream is over: a client that does not read to
    the end then is cut off.
    """

    def __init__(
        self,
        replay: Iterable[bytes],
        live: Live,
        release: Callable[[], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(replay, **kwargs)
        self.live = live
        self.release: Callable[[], None] | None = release

    def hand_over(self) -> Callable[[], None]:
        """Take over the duty to release."""
        release, self.release = self.release, None
        return release or (lambda: None)

    def close(self) -> None:
        super().close()
        self.hand_over()()


@dataclass
class Answer:
    """What the application said. `content` is None when the thread has sent everything itself."""

    status: int = 500
    headers: Headers | None = None
    content: bytes | None = b""
    live: Live | None = None
    release: Callable[[], None] | None = None
    wait: Wait | None = None
    """Comes back when the same request may get another answer, with True, or when this one is to
    be sent. It holds no thread. A response has it as an attribute."""


class Bridge:
    """Serves a WSGI application over ASGI."""

    def __init__(self, application: Callable[..., Iterable[bytes]], threads: int) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, "web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What fails ends here: a server would write it to its own log as it is."""
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._serve(scope, receive, sending)
        except Exception as error:
            log_failure(error, method=scope["method"])
            if not has_begun:
                await _refuse(send, 500, CODES[500], MESSAGES[500])
            # A body that has begun stays without its end, so that the client knows.

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(SECONDS_FOR_BODY):
                body = await _beginning_of_body(scope, receive)
        except TimeoutError:
            await _refuse(send, 408, "REQUEST_TIMEOUT", "The body took too long to arrive.")
            return
        if body is None:
            return  # the client has gone
        connection = _Connection(scope, receive, send, body)
        answer = await self._answer(connection)
        if answer.wait and await connection.waits(answer.wait):
            connection.has_waited = True
            answer = await self._answer(connection)
        if connection.is_lost:
            return
        if answer.live:
            await connection.stream(answer)
        elif answer.content is not None:
            await connection.send_whole(answer)

    async def _answer(self, connection: "_Connection") -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, connection, loop)

    def _run(self, connection: "_Connection", loop: asyncio.AbstractEventLoop) -> Answer:
        """In a thread: the application's answer, whole, or sent on the way if it is long."""
        answer = Answer()

        def start_response(status: str, headers: list[tuple[str, str]], *rest: Any) -> None:
            answer.status = int(status[:3])
            answer.headers = [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
            ]

        response = self._application(connection.environ(loop), start_response)
        try:
            answer.wait = getattr(response, "wait", None)
            if connection.is_head:
                pass
            elif isinstance(response, LiveResponse):
                answer.live, answer.release = response.live, response.hand_over()
            else:
                answer.content = self._content(response, answer, connection, loop)
        finally:
            if hasattr(response, "close"):
                response.close()
        return answer

    def _content(
        self,
        response: Iterable[bytes],
        answer: Answer,
        connection: "_Connection",
        loop: asyncio.AbstractEventLoop,
    ) -> bytes | None:
        chunks = _in_chunks(response)
        first = next(chunks, b"")
        second = next(chunks, None)
        if second is None:
            return first
        begin = asyncio.run_coroutine_threadsafe(connection.begin(answer, first), loop)
        begin.result()
        chunk: bytes | None = second
        while chunk is not None:
            sent = asyncio.run_coroutine_threadsafe(connection.send_chunk(chunk), loop)
            if not sent.result():
                return None
            chunk = next(chunks, None)
        asyncio.run_coroutine_threadsafe(connection.send_last(), loop).result()
        return None


def _in_chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about CHUNK."""
    kept, size = [], 0
    for part in parts:
        kept.append(part)
        size += len(part)
        if size >= CHUNK:
            yield b"".join(kept)
            kept, size = [], 0
    if kept:
        yield b"".join(kept)


class _Connection:
    """One request and the way back to its client."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body: "_Body") -> None:
        self._scope, self._receive, self._send, self._body = scope, receive, send, body
        self._gone: asyncio.Future[None] | None = None
        self.has_waited = self.is_lost = False

    @property
    def is_head(self) -> bool:
        return bool(self._scope["method"] == "HEAD")

    def environ(self, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
        body = self._body.reader(self._receive, loop)
        return _environ(self._scope) | {"wsgi.input": body, WAITED: self.has_waited}

    async def waits(self, wait: Wait) -> bool:
        """Whether the request is to be asked again; not when the client has gone meanwhile."""
        gone = asyncio.ensure_future(self.until_gone())
        waiting = asyncio.ensure_future(wait())
        try:
            await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
            self.is_lost = gone.done()
            return not self.is_lost and waiting.result()
        finally:
            gone.cancel()
            waiting.cancel()
            await asyncio.gather(gone, waiting, return_exceptions=True)

    async def until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def send_whole(self, answer: Answer) -> None:
        await self._start(answer)
        await self._send({"type": "http.response.body", "body": answer.content})

    async def begin(self, answer: Answer, first: bytes) -> None:
        self._gone = asyncio.ensure_future(self.until_gone())
        await self._start(answer)
        await self.send_chunk(first)

    async def send_chunk(self, chunk: bytes) -> bool:
        """Whether the client took it; one that has gone or is too slow does not get the rest."""
        message = {"type": "http.response.body", "body": chunk, "more_body": True}
        if self._gone and self._gone.done():
            return False
        try:
            async with asyncio.timeout(SECONDS_FOR_READER):
                await self._send(message)
        except TimeoutError:
            self.cut()
            return False
        return True

    async def send_last(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})
        if self._gone:
            self._gone.cancel()

    async def stream(self, answer: Answer) -> None:
        """The live body, until it ends, the client goes, or does not read what it asked for."""
        assert answer.live  # noqa: S101 - the caller asked
        over = asyncio.Event()
        gone = asyncio.ensure_future(self.until_gone())
        pump = asyncio.ensure_future(self._pump(answer, answer.live(over)))
        ending = asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait({gone, pump, ending}, return_when=asyncio.FIRST_COMPLETED)
            done, _ = await asyncio.wait(
                {gone, pump},
                timeout=SECONDS_TO_SAY_WHY if ending.done() else 0,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done:
                self.cut("over")
        finally:
            for each in (gone, pump, ending):
                each.cancel()
            await asyncio.gather(gone, pump, ending, return_exceptions=True)
            if answer.release:
                answer.release()
        if not pump.cancelled() and (error := pump.exception()):
            raise error

    async def _pump(self, answer: Answer, chunks: AsyncGenerator[bytes, None]) -> None:
        try:
            await self._start(answer)
            async for chunk in chunks:
                if not await self.send_chunk(chunk):
                    return
            await self.send_last()
        finally:
            await chunks.aclose()

    def cut(self, reason: str = "slow_reader") -> None:
        """End the connection of a client that does not read: servers wait for it without end."""
        metrics.slow_readers.inc()
        logger.info("connection.cut", reason=reason, path=self._scope["path"])
        client = self._scope.get("client")
        if client:
            connections.hang_up((client[0], int(client[1])))

    async def _start(self, answer: Answer) -> None:
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": answer.headers or [],
            }
        )


class Connections:
    """Shuts connections down, which no server offers to its applications: they are found among the
    process's own files, all that are due at once in one look."""

    def __init__(self) -> None:
        self._due: set[tuple[str, int]] = set()

    def hang_up(self, client: tuple[str, int]) -> None:
        """Soon, from the event loop."""
        if not self._due:
            asyncio.get_running_loop().call_later(SECONDS_TO_COLLECT, self._shut_down)
        self._due.add(client)

    def _shut_down(self) -> None:
        due, self._due = self._due, set()
        folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
        for name in os.listdir(folder):
            # Listening sockets, and those of other kinds, have no such peer.
            with suppress(OSError), _socket(int(name)) as found:
                if found.getpeername()[:2] in due:
                    found.shutdown(socket.SHUT_RDWR)


def _socket(number: int) -> socket.socket:
    """A copy of an open file that is a socket, for the caller to close; OSError for any other."""
    copy = os.dup(number)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


connections = Connections()


class _Body:
    """A request's body: its beginning is here, the rest is asked for when it is wanted."""

    def __init__(self, beginning: bytes, is_complete: bool) -> None:
        self._beginning, self._is_complete = beginning, is_complete

    def reader(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> io.BufferedIOBase:
        if self._is_complete:
            return io.BytesIO(self._beginning)
        return io.BufferedReader(_Incoming(self._beginning, receive, loop), CHUNK)


class _Incoming(io.RawIOBase):
    """The body for a thread that reads it while it arrives."""

    def __init__(self, beginning: bytes, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        self._held, self._receive, self._loop = beginning, receive, loop
        self._is_complete = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held and not self._is_complete:
            future = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            self._held = future.result(SECONDS_FOR_BODY)
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size

    async def _next(self) -> bytes:
        message = await self._receive()
        self._is_complete = not message.get("more_body", False)
        found: bytes = message.get("body", b"")
        return found


async def _beginning_of_body(scope: Scope, receive: Receive) -> _Body | None:
    """Up to KEPT_BODY of it; None when the client went away."""
    if scope["method"] in {"GET", "HEAD"}:
        return _Body(b"", is_complete=True)
    parts, size, is_complete = [], 0, False
    while not is_complete and size <= KEPT_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        is_complete = not message.get("more_body", False)
    return _Body(b"".join(parts), is_complete)


def _environ(scope: Scope) -> dict[str, Any]:
    """The request as PEP 3333 spells it."""
    path = scope.get("raw_path") or b""
    decoded = unquote_to_bytes(path) if path else scope["path"].encode()
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": decoded.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": str(client[0]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        _add_header(environ, name.decode("latin-1").lower(), value.decode("latin-1"))
    return environ


def _add_header(environ: dict[str, Any], name: str, value: str) -> None:
    if "_" in name and name not in WITH_UNDERSCORES:
        return
    key = name.upper().replace("-", "_")
    if name not in {"content-type", "content-length"}:
        key = f"HTTP_{key}"
    if key in environ:
        value = f"{environ[key]}{'; ' if name == 'cookie' else ','}{value}"
    environ[key] = value


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    content = json.dumps(error_body(code, message)).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
