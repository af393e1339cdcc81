"""An ASGI server for a WSGI application.

Ordinary requests run in a few threads, as under a WSGI server; a LiveResponse then streams without
a thread. Why not a2wsgi: docs/decisions/0007-web-server.md.
"""

import asyncio
import json
from collections.abc import (
    Callable,
    Iterable,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from http import HTTPStatus
from itertools import chain
from typing import Any

from core import metrics
from core.addresses import address_of, caller_network
from core.bodies import TOO_MANY, BodyBudget
from core.errors import CODES, MESSAGES, DomainError, error_body
from core.failures import RightEnded, log_failure
from core.fast_path.connection import Connection, Response
from core.fast_path.pieces import (
    Caller,
    LongResponses,
    Rest,
    Turns,
    in_chunks,
    too_many_long_responses,
    unavailable,
)
from core.fast_path.requests import NO_STORE, Message, Receive, Scope, Send, read_body
from core.fast_path.responses import LiveResponse, Place

BODY_TIMEOUT_SECONDS = 30
BROKEN_BODY = "The body ended too early, or its chunks are malformed."
LONG_RESPONSE_THREADS = 4
"""Threads for long responses only, so that many of them leave the other threads free."""
LONG_THREADS_PER_CALLER = 2
"""How many of them one organization may use."""


class Bridge:
    """Serves a WSGI application over ASGI.

    No thread waits for a client: the whole body is read before a thread takes the request, and the
    event loop sends what a thread has produced.
    """

    def __init__(
        self, application: Callable[..., Iterable[bytes]], threads: int, max_body: int
    ) -> None:
        self._application, self._max_body = application, max_body
        self._threads = ThreadPoolExecutor(threads, "web")
        self._thread_count, self._requests = threads, 0
        self._long_threads = ThreadPoolExecutor(LONG_RESPONSE_THREADS, "web-long")
        self._turns = Turns(LONG_THREADS_PER_CALLER)
        self.long_responses = LongResponses()
        self.bodies = BodyBudget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Errors end here, since a server would write them unmasked to its own log.
        """
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
            # A body that has begun is left incomplete, so that the client notices.

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.bodies.allowance() as allowance:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                    body = await read_body(scope, receive, self._max_body, allowance)
            except TimeoutError:
                await _refuse(send, 408, "REQUEST_TIMEOUT", "The body took too long to arrive.")
                return
            if allowance.is_refused:
                await _refuse(send, 503, CODES[503], TOO_MANY, [(b"retry-after", b"5")])
                return
            if body is None:
                # The client disconnected or sent an invalid body; the server reports both in the
                # same way.
                with suppress(Exception):
                    await _refuse(send, 400, CODES[400], BROKEN_BODY)
                return
            connection = Connection(scope, receive, send, body)
            response = await self._respond(connection)
            if response.wait and await connection.waits(response.wait):
                connection.has_waited = True
                response = await self._respond(connection)
            del body
            connection.body = b""
        if connection.is_lost:
            return
        if response.live:
            await connection.stream(response)
        elif response.rest:
            await self._send_long(connection, response, response.rest)
        else:
            await connection.send_whole(response)

    async def _respond(self, connection: Connection) -> Response:
        """The response. A request that still waits for a thread when its client disconnects is not
        run; otherwise a client that sends requests and leaves could fill the queue.
        """
        work = self._threads.submit(self._run, connection)
        self._requests += 1
        try:
            with metrics.requests_in_progress.track_inprogress():
                response = asyncio.wrap_future(work)
                is_waiting = self._requests > self._thread_count
                if is_waiting and await connection.leaves_before(response) and work.cancel():
                    connection.is_lost = True
                    return Response()
                return await response
        finally:
            self._requests -= 1

    async def _send_long(self, connection: Connection, response: Response, rest: Rest) -> None:
        loop = asyncio.get_running_loop()
        turn = self._turns.of(rest.whose)
        try:
            await connection.begin(response)
            piece: bytes | None = response.content
            response.content = b""
            while piece is not None:
                if not await connection.send_chunk(piece):
                    return
                async with turn:
                    piece = await loop.run_in_executor(self._long_threads, rest.next)
            await connection.send_last()
        except RightEnded:
            connection.cut("over")
        finally:
            connection.watch_no_more()
            await asyncio.shield(loop.run_in_executor(self._long_threads, rest.close))

    def _run(self, connection: Connection) -> Response:
        """Run the application in a thread. Returns its response, or the start of a long one."""
        response = Response()

        def start_response(status: str, headers: list[tuple[str, str]], *rest: Any) -> None:
            response.status = int(status[:3])
            response.headers = [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
            ]

        environ = connection.environ()
        produced = self._application(environ, start_response)
        try:
            response.wait = getattr(produced, "wait", None)
            if connection.is_head:
                pass
            elif isinstance(produced, LiveResponse):
                response.live, response.release = produced.live, produced.hand_over()
            else:
                self._make_content(produced, response, caller_network(address_of(environ)))
        finally:
            if response.rest is None and hasattr(produced, "close"):
                produced.close()
        return response

    def _make_content(self, produced: Iterable[bytes], response: Response, network: str) -> None:
        pieces = in_chunks(produced)
        place: Place = getattr(produced, "place", nullcontext)
        try:
            with place():
                response.content = next(pieces, b"")
                second = next(pieces, None)
        except DomainError as refused:
            if refused.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            response.status, response.headers, response.content = unavailable(
                refused.message, retry_after=getattr(refused, "retry_after", 1)
            )
            return
        if second is None:
            return
        caller: Caller = getattr(produced, "caller", None) or network
        whose: Caller = getattr(produced, "share", None) or caller
        if not self.long_responses.begin(caller, whose):
            response.status, response.headers, response.content = too_many_long_responses()
            return

        def close() -> None:
            try:
                if hasattr(produced, "close"):
                    produced.close()
            finally:
                self.long_responses.end(caller, whose)

        response.rest = Rest(chain([second], pieces), close, whose)


async def _refuse(
    send: Send, status: int, code: str, message: str, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    content = json.dumps(error_body(code, message)).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *NO_STORE, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
