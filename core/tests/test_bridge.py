"""An ASGI server's requests reach the WSGI application as they are, and its answers the client."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test import override_settings

from core.fast_path import asgi_bridge as bridge_module
from core.fast_path.connection import SLICE
from core.fast_path.pieces import LONG
from core.fast_path.responses import WAITED, Live, LiveResponse
from core.long_answers import PIECE
from core.sockets import connections
from core.tests.server import MAX_BODY, App, Environ, Server, answering, serve


def test_an_answer_comes_whole() -> None:
    server = serve(answering(b"a", b"b"))

    assert server.status == 200
    assert server.sent[0]["headers"] == [(b"content-type", b"text/plain"), (b"x-part", b"\xe9")]
    assert server.sent[1:] == [{"type": "http.response.body", "body": b"ab"}]


def test_path_query_and_headers_arrive_as_they_were_sent() -> None:
    seen: list[Environ] = []
    headers = [(b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"x=1"), (b"cookie", b"y=2")]

    serve(
        answering(seen=seen),
        path="/files/Größe",
        raw_path=b"/files/Gr%C3%B6%C3%9Fe%FF",
        query_string=b"q=%FF",
        headers=[*headers, (b"content-type", b"text/plain"), (b"content-length", b"0")],
    )

    (environ,) = seen
    assert environ["PATH_INFO"].encode("latin-1") == "/files/Größe".encode() + b"\xff"
    assert environ["QUERY_STRING"] == "q=%FF"
    assert environ["HTTP_ACCEPT"] == "a,b"
    assert environ["HTTP_COOKIE"] == "x=1; y=2"
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/plain", "0")
    assert environ["REMOTE_ADDR"] == "192.0.2.1"


def test_a_header_with_an_underscore_cannot_pass_for_the_one_with_a_hyphen() -> None:
    seen: list[Environ] = []
    forged = [(b"x_forwarded_for", b"6.6.6.6"), (b"kodosumi_api_key", b"token")]

    serve(answering(seen=seen), headers=[(b"x-forwarded-for", b"192.0.2.7"), *forged])

    assert seen[0]["HTTP_X_FORWARDED_FOR"] == "192.0.2.7"
    assert seen[0]["HTTP_KODOSUMI_API_KEY"] == "token"


def test_a_body_arrives_whole() -> None:
    def echo(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        stream = environ["wsgi.input"]
        return [stream.read(2), stream.readline(), stream.read()]

    server = serve(echo, b"first ", b"line\nsec", b"ond", b" line", method="POST")

    assert server.body == b"first line\nsecond line"


def test_a_body_that_takes_too_long_is_refused_without_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge_module, "SECONDS_FOR_BODY", 0.01)
    seen: list[Environ] = []

    async def scene() -> Server:
        server = Server(answering(seen=seen), method="POST")
        await server.serve()
        return server

    server = asyncio.run(scene())

    assert server.status == 408
    assert b"REQUEST_TIMEOUT" in server.body
    assert seen == []


def test_of_a_body_that_is_too_large_the_application_sees_the_headers_only() -> None:
    part, seen = b"x" * MAX_BODY, []

    def read(environ: Environ, start_response: Any) -> Iterable[bytes]:
        seen.append((environ["CONTENT_LENGTH"], environ["wsgi.input"].read()))
        start_response("413 Content Too Large", [])
        return [b""]

    async def scene() -> Server:
        length = str(3 * MAX_BODY).encode()
        server = Server(read, method="POST", headers=[(b"content-length", length)])
        server.receives(part, part, part)
        await server.serve()
        return server

    server = asyncio.run(scene())

    assert server.status == 413
    assert seen == [(str(3 * MAX_BODY), b"")]
    assert server.incoming.qsize() == 1  # what came after the limit was not even read


def test_head_has_the_headers_only() -> None:
    server = serve(answering(b"much"), method="HEAD")

    assert server.status == 200
    assert server.body == b""


def test_a_long_answer_is_sent_while_it_is_made() -> None:
    made = []

    def long(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for number in range(40):
            made.append(number)
            yield bytes([number]) * 10_000

    server = serve(long)

    assert server.body == b"".join(bytes([number]) * 10_000 for number in range(40))
    assert len(server.sent) > 4
    assert max(len(message.get("body", b"")) for message in server.sent) < 100_000


def test_a_long_answer_is_not_made_for_a_client_that_has_gone() -> None:
    made: list[int] = []

    def endless(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        while True:
            made.append(1)
            yield b"x" * 70_000

    async def scene() -> None:
        server = Server(endless)
        serving = asyncio.create_task(server.serve())
        await server.heard.wait()
        server.loses_the_client()
        await serving

    asyncio.run(scene())

    assert made


class Long(list[bytes]):
    """More than one piece, for one caller."""

    caller: UUID | None = uuid4()

    def __init__(self, closed: list[str]) -> None:
        super().__init__([b"x" * LONG] * 100)
        self.closed = closed

    def close(self) -> None:
        self.closed.append(threading.current_thread().name)


def long_and_short(closed: list[str]) -> App:
    """/long has a long answer, everything else a short one."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Long(closed) if environ["PATH_INFO"] == "/long" else [b"short"]

    return app


class Silent(Server):
    """A server whose clients take nothing of long answers."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "http.response.body" and message.get("more_body"):
            await asyncio.Event().wait()


def test_a_client_that_takes_nothing_is_handed_one_slice_and_no_more_is_made() -> None:
    made = 0

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        nonlocal made
        start_response("200 OK", [])
        for _ in range(100):
            made += 1
            yield b"x" * PIECE

    async def scene() -> Server:
        server = Silent(app)
        server.receives(b"")
        serving = asyncio.create_task(server.serve())
        while len(server.sent) < 2:
            await asyncio.sleep(0)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return server

    server = asyncio.run(scene())

    assert len(server.body) == SLICE
    assert made == LONG // PIECE + 1  # the last one says that the answer is long


def test_clients_that_take_nothing_hold_no_thread(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.READER_TIMEOUT_SECONDS = 1
    cut: list[tuple[str, int]] = []
    monkeypatch.setattr(connections, "abort", cut.append)
    closed: list[str] = []

    async def scene() -> Server:
        silent = [Silent(long_and_short(closed), path="/long") for _ in range(20)]
        short = Server(long_and_short(closed))
        for each in (*silent, short):
            each.bridge = silent[0].bridge
        waiting = [asyncio.create_task(each.serve()) for each in silent]
        for each in silent:
            while len(each.sent) < 2:
                await each.heard.wait()
                each.heard.clear()
        await short.serve()
        assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
        assert short.bridge.long_answers.begin(Long.caller or "")  # none is counted any more
        return short

    short = asyncio.run(scene())

    assert short.body == b"short"
    assert len(cut) == len(closed) == 20


def test_a_caller_has_so_many_long_answers_at_once(settings: Any) -> None:
    settings.STREAMS_PER_CALLER = 2
    closed: list[str] = []

    async def scene() -> tuple[Server, Server]:
        first, second = (Silent(long_and_short(closed), path="/long") for _ in range(2))
        third, other = (Server(long_and_short(closed), path=path) for path in ("/long", "/"))
        for each in (second, third, other):
            each.bridge = first.bridge
        waiting = [asyncio.create_task(each.serve()) for each in (first, second)]
        for each in (first, second):
            while len(each.sent) < 2:
                await each.heard.wait()
                each.heard.clear()
        await third.serve()
        await other.serve()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return third, other

    third, other = asyncio.run(scene())

    assert third.status == 503
    assert (b"retry-after", b"5") in third.sent[0]["headers"]
    assert b"SERVICE_UNAVAILABLE" in third.body
    assert other.body == b"short"


def test_those_without_a_name_are_counted_for_their_network(settings: Any) -> None:
    settings.STREAMS_PER_CALLER = 2
    settings.TRUSTED_PROXY_HOPS = 1
    closed: list[str] = []

    def nameless(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        parts = Long(closed)
        parts.caller = None
        return parts

    def asked_from(address: str, kind: type[Server]) -> Server:
        return kind(nameless, headers=[(b"x-forwarded-for", f"8.8.8.8, {address}".encode())])

    async def scene() -> list[int]:
        waiting = []
        bridge = asked_from("2001:db8::1", Silent).bridge
        for address in ("2001:db8::1", "2001:db8::2"):
            silent = asked_from(address, Silent)
            silent.bridge = bridge
            waiting.append(asyncio.create_task(silent.serve()))
            while len(silent.sent) < 2:
                await silent.heard.wait()
                silent.heard.clear()
        found = []
        for address in ("2001:db8::3", "2001:db8:0:1::3", "198.51.100.7"):
            server = asked_from(address, Server)
            server.bridge = bridge
            await server.serve()
            found.append(server.status)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return found

    assert asyncio.run(scene()) == [503, 200, 200]


@pytest.mark.django_db(transaction=True)
def test_a_long_answer_that_keeps_a_transaction_open_is_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge_module, "LONG_ANSWER_THREADS", 1)

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"x" * LONG
        yield b"x" * LONG
        try:
            with transaction.atomic():
                yield b"x" * LONG
        finally:
            connection.close()

    server = serve(app)

    assert server.body == b"x" * LONG * 2
    assert server.sent[-1]["more_body"]


def live_app(chunks: Live, released: list[str], threads: list[str]) -> App:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        threads.append(threading.current_thread().name)
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return LiveResponse(iter([b"replay"]), chunks, lambda: released.append("released"))

    return app


def test_a_live_answer_streams_and_is_released_once() -> None:
    released: list[str] = []
    threads: list[str] = []

    async def chunks(over: asyncio.Event) -> AsyncGenerator[bytes, None]:
        yield b"one "
        threads.append(threading.current_thread().name)
        yield b"two"

    with override_settings():
        server = serve(live_app(chunks, released, threads))

    assert server.body == b"one two"
    assert released == ["released"]
    assert threads[0].startswith("web")
    assert threads[1] == threading.main_thread().name


def test_a_live_answer_ends_when_its_client_goes() -> None:
    released: list[str] = []
    ended: list[str] = []

    async def chunks(over: asyncio.Event) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def scene() -> None:
        server = Server(live_app(chunks, released, []))
        serving = asyncio.create_task(server.serve())
        while len(server.sent) < 2:
            await server.heard.wait()
            server.heard.clear()
        server.loses_the_client()
        await serving

    asyncio.run(scene())

    assert ended == ["ended"]
    assert released == ["released"]


def test_a_client_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.READER_TIMEOUT_SECONDS = 0.01
    cut: list[tuple[str, int]] = []
    monkeypatch.setattr(connections, "abort", cut.append)
    released: list[str] = []

    async def chunks(over: asyncio.Event) -> AsyncGenerator[bytes, None]:
        while True:
            yield b"x"

    async def scene() -> None:
        server = Server(live_app(chunks, released, []))

        async def stuck(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        server.send = stuck  # type: ignore[method-assign]
        await server.serve()

    asyncio.run(scene())

    assert cut == [("192.0.2.1", 4711)]
    assert released == ["released"]


def test_under_wsgi_a_live_answer_is_what_there_is_now() -> None:
    released: list[str] = []

    async def live(over: asyncio.Event) -> AsyncGenerator[bytes, None]:
        yield b"live"

    response = LiveResponse(iter([b"replay"]), live, lambda: released.append("x"))

    assert b"".join(response) == b"replay"
    response.close()
    response.close()
    assert released == ["x"]


class Waiting(list[bytes]):
    """A 404 that waits for `wait`."""

    def __init__(self, wait: Any) -> None:
        super().__init__([b"not yet"])
        self.wait = wait


def waiting_app(wait: Any, asked: list[bool]) -> App:
    """Not there at first; there when it is asked again."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        asked.append(environ[WAITED])
        start_response("200 OK" if environ[WAITED] else "404 Not Found", [])
        return [b"there"] if environ[WAITED] else Waiting(wait)

    return app


@pytest.mark.parametrize(
    ("comes", "status", "asked"), [(True, 200, [False, True]), (False, 404, [False])]
)
def test_an_answer_that_waits_is_asked_for_again_once_and_only_when_there_is_another(
    comes: bool, status: int, asked: list[bool]
) -> None:
    threads: list[str] = []
    tries: list[bool] = []

    async def wait() -> bool:
        threads.append(threading.current_thread().name)
        return comes

    server = serve(waiting_app(wait, tries))

    assert (server.status, tries) == (status, asked)
    assert threads == [threading.main_thread().name]


def test_a_client_that_goes_ends_its_wait_and_asks_nothing_more() -> None:
    tries: list[bool] = []
    ended: list[str] = []

    async def wait() -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")
        return True

    async def scene() -> Server:
        server = Server(waiting_app(wait, tries))
        server.loses_the_client()
        await server.serve()
        return server

    assert asyncio.run(scene()).sent == []
    assert (tries, ended) == ([False], ["ended"])


def test_a_stream_that_is_over_tells_why_or_cuts_who_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.fast_path.connection.SECONDS_TO_SAY_WHY", 0.05)
    cut: list[tuple[str, int]] = []
    monkeypatch.setattr(connections, "abort", cut.append)
    released: list[str] = []

    async def chunks(over: asyncio.Event) -> AsyncGenerator[bytes, None]:
        yield b"news"
        over.set()
        yield b"good-bye"

    async def scene(reads: bool) -> Server:
        server = Server(live_app(chunks, released, []))

        async def stuck(message: Any) -> None:
            if message.get("body") == b"good-bye":
                await asyncio.Event().wait()
            server.sent.append(message)

        if not reads:
            server.send = stuck  # type: ignore[method-assign]
        await server.serve()
        return server

    assert asyncio.run(scene(reads=True)).body == b"newsgood-bye"
    assert cut == []
    assert asyncio.run(scene(reads=False)).body == b"news"
    assert cut == [("192.0.2.1", 4711)]
    assert released == ["released"] * 2


def test_clients_that_are_hung_up_on_are_found_together_and_leave_no_open_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A copy of every file that is no socket, left open at each look, would double their number
    each time, until the process can open no more."""
    looks: list[str] = []
    list_files = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: looks.append(path) or list_files(path))

    async def scene(clients: list[socket.socket]) -> list[bytes]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            for each in clients:
                each.setblocking(False)
                connections.abort(each.getsockname())
            return [await loop.sock_recv(each, 1) for each in clients]

    with ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        clients = [
            opened.enter_context(socket.create_connection(listener.getsockname()))
            for _ in range(20)
        ]
        for _ in clients:
            opened.enter_context(listener.accept()[0])
        before = len(list_files("/dev/fd"))

        assert asyncio.run(scene(clients)) == [b""] * 20

        assert len(list_files("/dev/fd")) == before
    assert len(looks) <= 2
