"""Live responses over the bridge end when their client disconnects."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncGenerator, Iterable
from contextlib import ExitStack
from typing import Any

import pytest
from django.test import override_settings

from core.fast_path.responses import WAITED, Live, LiveResponse
from core.sockets import connections
from core.tests.asgi_server import App, Environ, Server, serve


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


def test_under_wsgi_a_live_answer_replays_what_exists() -> None:
    released: list[str] = []

    async def live(over: asyncio.Event) -> AsyncGenerator[bytes, None]:
        yield b"live"

    response = LiveResponse(iter([b"replay"]), live, lambda: released.append("x"))

    assert b"".join(response) == b"replay"
    response.close()
    response.close()
    assert released == ["x"]


class Waiting(list[bytes]):
    """A response that is sent after `wait`."""

    def __init__(self, wait: Any) -> None:
        super().__init__([b"not yet"])
        self.wait = wait


def waiting_app(wait: Any, asked: list[bool]) -> App:
    """An application that answers 404 at first, and 200 when it is asked again."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        asked.append(environ[WAITED])
        start_response("200 OK" if environ[WAITED] else "404 Not Found", [])
        return [b"there"] if environ[WAITED] else Waiting(wait)

    return app


@pytest.mark.parametrize(
    ("comes", "status", "asked"), [(True, 200, [False, True]), (False, 404, [False])]
)
def test_a_waiting_request_runs_again_once_and_only_if_its_answer_changes(
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


def test_a_stream_that_is_over_says_why_or_cuts_a_client_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.fast_path.connection.LAST_EVENT_SECONDS", 0.05)
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


def test_aborted_clients_are_looked_up_together_and_leave_no_open_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If every look left copies of non-socket files open, their number would double each time,
    until the process can open no more."""
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
