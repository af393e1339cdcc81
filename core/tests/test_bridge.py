"""The bridge passes requests to the WSGI application and responses to the client unchanged."""

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from core.fast_path import asgi_bridge as bridge_module
from core.tests.asgi_server import MAX_BODY, Environ, Server, answering, serve


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


def test_a_header_with_an_underscore_cannot_pass_for_one_with_a_hyphen() -> None:
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
    monkeypatch.setattr(bridge_module, "BODY_TIMEOUT_SECONDS", 0.01)
    seen: list[Environ] = []

    async def scene() -> Server:
        server = Server(answering(seen=seen), method="POST")
        await server.serve()
        return server

    server = asyncio.run(scene())

    assert server.status == 408
    assert b"REQUEST_TIMEOUT" in server.body
    assert seen == []


def test_the_application_sees_only_the_headers_of_a_body_that_is_too_large() -> None:
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
    assert server.incoming.qsize() == 1  # nothing after the limit was read


def test_head_has_the_headers_only() -> None:
    server = serve(answering(b"much"), method="HEAD")

    assert server.status == 200
    assert server.body == b""


def test_a_request_that_waits_for_a_thread_is_not_run_once_its_client_has_gone() -> None:
    begun: asyncio.Queue[str] = asyncio.Queue()
    may_end = threading.Event()

    async def scene() -> list[Server]:
        loop = asyncio.get_running_loop()

        def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
            loop.call_soon_threadsafe(begun.put_nowait, environ["PATH_INFO"])
            may_end.wait(10)
            start_response("200 OK", [])
            return [b"done"]

        servers = [Server(app, path=path) for path in ("/1", "/2", "/3", "/4")]
        for server in servers:
            server.bridge = servers[0].bridge  # which has two threads
            server.receives(b"")
        serving = [asyncio.ensure_future(server.serve()) for server in servers]
        running = {await begun.get(), await begun.get()}
        servers[2].loses_the_client()
        await serving[2]
        may_end.set()
        await asyncio.gather(*serving)
        assert running | {begun.get_nowait()} == {"/1", "/2", "/4"}
        assert begun.empty()
        return servers

    servers = asyncio.run(scene())

    gone = servers.pop(2)
    assert gone.sent == []
    assert [server.body for server in servers] == [b"done"] * 3
