"""An ASGI front for a WSGI application: ordinary requests run in a few threads, as under a WSGI
server; a LiveResponse then streams without any thread.

Why not a2wsgi: docs/decisions/0007-web-server.md.
"""

import asyncio
import io
import json
import sys
import time
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    MutableMapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import Any, cast
from urllib.parse import unquote_to_bytes
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections as database_connections
from django.http import StreamingHttpResponse

from core import metrics
from core.addresses import address_of, caller_network
from core.bodies import TOO_MANY, BodyPlace, RoomForBodies
from core.errors import CODES, MESSAGES, error_body
from core.failures import RightEnded, log_failure
from core.long_answers import PIECE
from core.memory import count_bytes
from core.sockets import connections

logger = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

NO_STORE = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]

SECONDS_FOR_BODY = 30
BROKEN_BODY = "The body ended too early, or its chunks are not spelled as HTTP/1.1 says."
SECONDS_TO_SAY_WHY = 0.5
"""A stream that is over tells its client why, if the client takes it that soon."""
SECONDS_BETWEEN_CHECKS = 0.4
"""Of the right to a long answer: it ends within a second, as a stream does."""
LONG = 64 * 1024
"""A streamed answer of more bytes is long: it is made in pieces of PIECE."""
SLICE = 8 * 1024
"""Bytes that are handed over to the server at once: for a client that takes nothing it keeps five
such, and its own buffer full."""
WAITED = "agentidp.waited"
"""Stands in the environment of a request that is asked again after a wait: it waits no more."""
LONG_ANSWER_THREADS = 2
"""Long answers are made by threads of their own: many of them at once leave the others free."""
MAX_LONG_ANSWERS = 1024
MAX_ANONYMOUS_LONG_ANSWERS = 256
"""In progress in one process."""
WITH_UNDERSCORES = frozenset({"kodosumi_api_key"})
"""Other header names with underscores are dropped: in the environment of WSGI they could pass for
the ones with hyphens that a proxy sets."""


Caller = UUID | str
"""A principal, or the network of somebody without a name."""
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


class LongResponse(StreamingHttpResponse):
    """An answer that is made piece by piece, at the pace at which its client takes it.

    Any thread may make the next piece, so nothing may stay open between two: no transaction, no
    cursor of the database. `caller` is the principal whose answers in progress are counted.
    """

    def __init__(self, pieces: Iterable[bytes | str], *, caller: UUID | None, **kwargs: Any):
        super().__init__(pieces, **kwargs)
        self.caller = caller

    def end_with(self, has_ended: Callable[[], bool]) -> None:
        """Break the answer off once the right to it has ended: asked now and then, as it is made.

        The doors of organizations say so for every long answer that goes through them.
        """
        self.streaming_content = _until(has_ended, cast(Iterator[bytes], self.streaming_content))


def _until(has_ended: Callable[[], bool], pieces: Iterable[bytes]) -> Iterator[bytes]:
    asked_at = time.monotonic()

    def checked(piece: bytes) -> bytes:
        nonlocal asked_at
        count_bytes(len(piece))
        if time.monotonic() - asked_at >= SECONDS_BETWEEN_CHECKS:
            if has_ended():
                raise RightEnded("The right to this answer has ended.")
            asked_at = time.monotonic()
        return piece

    return map(checked, pieces)


@dataclass
class Answer:
    """What the application said, as far as it has been made."""

    status: int = 500
    headers: Headers | None = None
    content: bytes = b""
    rest: "Rest | None" = None
    """What follows `content`, when the answer is long."""
    live: Live | None = None
    release: Callable[[], None] | None = None
    wait: Wait | None = None
    """Comes back when the same request may get another answer, with True, or when this one is to
    be sent. It holds no thread. A response has it as an attribute."""


class Rest:
    """The further pieces of a long answer."""

    def __init__(self, pieces: Iterator[bytes], close: Callable[[], None]) -> None:
        self._pieces, self.close = pieces, close

    def next(self) -> bytes | None:
        """In a thread: the next piece, None after the last."""
        piece = next(self._pieces, None)
        if any(each.in_atomic_block for each in database_connections.all(initialized_only=True)):
            raise RuntimeError("A long answer kept a transaction open after a piece.")
        return piece


class LongAnswers:
    """How many are in progress, for each caller.

    Nobody fills the places of everybody: those of callers without a name, who take static files,
    are counted for the network that they come from.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._callers: Counter[Caller] = Counter()
        self._anonymous = 0

    def begin(self, caller: Caller) -> bool:
        """Count one more; False where that would be too many."""
        is_anonymous = isinstance(caller, str)
        with self._lock:
            if (
                self._callers[caller] >= settings.STREAMS_PER_CALLER
                or self._callers.total() >= MAX_LONG_ANSWERS
                or (is_anonymous and self._anonymous >= MAX_ANONYMOUS_LONG_ANSWERS)
            ):
                return False
            self._callers[caller] += 1
            self._anonymous += is_anonymous
        return True

    def end(self, caller: Caller) -> None:
        with self._lock:
            self._anonymous -= isinstance(caller, str)
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]


class Bridge:
    """Serves a WSGI application over ASGI.

    No thread waits for a client: a body is here before a thread takes the request, and what a
    thread has made is sent by the event loop.
    """

    def __init__(
        self, application: Callable[..., Iterable[bytes]], threads: int, max_body: int
    ) -> None:
        self._application, self._max_body = application, max_body
        self._threads = ThreadPoolExecutor(threads, "web")
        self._long_threads = ThreadPoolExecutor(LONG_ANSWER_THREADS, "web-long")
        self.long_answers = LongAnswers()
        self.bodies = RoomForBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What fails ends here: a server would write it to its own log as it is."""
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._serve(scope, receive, sending)
        except RightEnded:
            if not has_begun:
                await _refuse(send, 401, CODES[401], MESSAGES[401])
        except Exception as error:
            log_failure(error, method=scope["method"])
            if not has_begun:
                await _refuse(send, 500, CODES[500], MESSAGES[500])
            # A body that has begun stays without its end, so that the client knows.

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.bodies.place() as place:
            try:
                async with asyncio.timeout(SECONDS_FOR_BODY):
                    body = await _read_body(scope, receive, self._max_body, place)
            except TimeoutError:
                await _refuse(send, 408, "REQUEST_TIMEOUT", "The body took too long to arrive.")
                return
            if place.is_refused:
                await _refuse(send, 503, CODES[503], TOO_MANY, [(b"retry-after", b"5")])
                return
            if body is None:
                # The client has gone, or what it sent is no body: the server tells the two alike.
                with suppress(Exception):
                    await _refuse(send, 400, CODES[400], BROKEN_BODY)
                return
            connection = _Connection(scope, receive, send, body)
            answer = await self._answer(connection)
            if answer.wait and await connection.waits(answer.wait):
                connection.has_waited = True
                answer = await self._answer(connection)
            del body
            connection.body = b""
        if connection.is_lost:
            return
        if answer.live:
            await connection.stream(answer)
        elif answer.rest:
            await self._send_long(connection, answer, answer.rest)
        else:
            await connection.send_whole(answer)

    async def _answer(self, connection: "_Connection") -> Answer:
        loop = asyncio.get_running_loop()
        with metrics.requests_in_progress.track_inprogress():
            return await loop.run_in_executor(self._threads, self._run, connection)

    async def _send_long(self, connection: "_Connection", answer: Answer, rest: Rest) -> None:
        loop = asyncio.get_running_loop()
        try:
            await connection.begin(answer)
            piece: bytes | None = answer.content
            answer.content = b""
            while piece is not None:
                if not await connection.send_chunk(piece):
                    return
                piece = await loop.run_in_executor(self._long_threads, rest.next)
            await connection.send_last()
        except RightEnded:
            connection.cut("over")
        finally:
            connection.watch_no_more()
            await asyncio.shield(loop.run_in_executor(self._long_threads, rest.close))

    def _run(self, connection: "_Connection") -> Answer:
        """In a thread: the application's answer, whole, or its beginning if it is long."""
        answer = Answer()

        def start_response(status: str, headers: list[tuple[str, str]], *rest: Any) -> None:
            answer.status = int(status[:3])
            answer.headers = [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
            ]

        environ = connection.environ()
        response = self._application(environ, start_response)
        try:
            answer.wait = getattr(response, "wait", None)
            if connection.is_head:
                pass
            elif isinstance(response, LiveResponse):
                answer.live, answer.release = response.live, response.hand_over()
            else:
                self._make_content(response, answer, caller_network(address_of(environ)))
        finally:
            if answer.rest is None and hasattr(response, "close"):
                response.close()
        return answer

    def _make_content(self, response: Iterable[bytes], answer: Answer, network: str) -> None:
        pieces = _in_chunks(response)
        answer.content = next(pieces, b"")
        second = next(pieces, None)
        if second is None:
            return
        caller: Caller = getattr(response, "caller", None) or network
        if not self.long_answers.begin(caller):
            answer.status, answer.headers, answer.content = _too_many_long_answers()
            return

        def close() -> None:
            try:
                if hasattr(response, "close"):
                    response.close()
            finally:
                self.long_answers.end(caller)

        answer.rest = Rest(chain([second], pieces), close)


def _too_many_long_answers() -> tuple[int, Headers, bytes]:
    body = error_body(CODES[503], "Too many long answers are in progress. Try again later.")
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"5"), *NO_STORE]
    return 503, headers, json.dumps(body).encode()


def _in_chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes: the first LONG of them, then pieces of about PIECE."""
    kept: list[bytes] = []
    size, wanted, following = 0, LONG, iter(parts)
    while True:
        try:
            kept.append(next(following))
        except StopIteration:
            break
        size += len(kept[-1])
        if size >= wanted:
            kept, size, wanted = [b"".join(kept)], 0, PIECE
            yield kept.pop()  # nothing of it stays here
    if kept:
        yield b"".join(kept)


class _Connection:
    """One request and the way back to its client."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        self._scope, self._receive, self._send, self.body = scope, receive, send, body
        self._gone: asyncio.Future[None] | None = None
        self.has_waited = self.is_lost = False

    @property
    def is_head(self) -> bool:
        return bool(self._scope["method"] == "HEAD")

    def environ(self) -> dict[str, Any]:
        body = io.BytesIO(self.body)
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

    async def begin(self, answer: Answer) -> None:
        self._gone = asyncio.ensure_future(self.until_gone())
        await self._start(answer)

    def watch_no_more(self) -> None:
        if self._gone:
            self._gone.cancel()

    async def send_chunk(self, chunk: bytes) -> bool:
        """Whether the client took it; one that has gone or is too slow does not get the rest."""
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


async def _read_body(
    scope: Scope, receive: Receive, max_body: int, place: BodyPlace
) -> bytes | None:
    """The body; None when the client went away or `place` cannot hold it. No more is read of one
    that is larger than `max_body`: the application refuses it by its headers and does not look at
    it."""
    if scope["method"] in {"GET", "HEAD"}:
        return b""
    parts, size, is_complete = [], 0, False
    while not is_complete and size <= max_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not place.grow_to(size):
            return None
        is_complete = not message.get("more_body", False)
    return b"".join(parts) if is_complete else b""


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


async def _refuse(
    send: Send, status: int, code: str, message: str, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    content = json.dumps(error_body(code, message)).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *NO_STORE, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
