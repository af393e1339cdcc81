"""Long responses over the bridge are produced while they are sent, and only for present clients."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction

from core.errors import DomainError
from core.fast_path import asgi_bridge as bridge_module
from core.fast_path.connection import SLICE
from core.fast_path.pieces import LONG, MAX_LONG_RESPONSES, LongResponses
from core.long_responses import PIECE
from core.sockets import connections
from core.tests.asgi_server import App, Environ, Server, serve


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
    """A response of more than one piece, for one caller."""

    caller: UUID | None = uuid4()

    def __init__(self, closed: list[str]) -> None:
        super().__init__([b"x" * LONG] * 100)
        self.closed = closed

    def close(self) -> None:
        self.closed.append(threading.current_thread().name)


def long_and_short(closed: list[str]) -> App:
    """An application whose /long has a long response; all others are short."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Long(closed) if environ["PATH_INFO"] == "/long" else [b"short"]

    return app


class Silent(Server):
    """A server whose clients read nothing of long responses."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "http.response.body" and message.get("more_body"):
            await asyncio.Event().wait()


def test_a_client_that_does_not_read_gets_one_slice_and_no_more_is_produced() -> None:
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
    assert made == LONG // PIECE + 1  # the last one shows that the response is long


def test_clients_that_do_not_read_hold_no_thread(
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
        assert short.bridge.long_responses.begin(Long.caller or "", "")  # all places are free again
        return short

    short = asyncio.run(scene())

    assert short.body == b"short"
    assert len(cut) == len(closed) == 20


def test_long_answers_of_one_caller_are_limited(settings: Any) -> None:
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


def test_anonymous_callers_are_counted_by_network(settings: Any) -> None:
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
    monkeypatch.setattr(bridge_module, "LONG_RESPONSE_THREADS", 1)

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


# Whose places and threads


def test_the_callers_of_one_share_leave_places_to_others() -> None:
    answers, ours, theirs = LongResponses(), uuid4(), uuid4()
    taken = sum(answers.begin(uuid4(), ours) for _ in range(MAX_LONG_RESPONSES))

    assert taken == MAX_LONG_RESPONSES // 2
    assert answers.begin(uuid4(), theirs)


class OfOrganization:
    """Further pieces come when the organization's do."""

    def __init__(self, organization_id: UUID, comes: threading.Event, place: Any) -> None:
        self.caller, self.share = uuid4(), organization_id
        self.comes, self.place = comes, place

    def __iter__(self) -> Iterator[bytes]:
        yield from [b"x" * LONG] * 2
        self.comes.wait(10)
        yield b"x" * LONG


def test_slow_pieces_of_one_organization_leave_threads_to_others() -> None:
    ours, theirs = uuid4(), uuid4()
    comes = {ours: threading.Event(), theirs: threading.Event()}
    comes[theirs].set()

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        whose = ours if environ["PATH_INFO"] == "/slow" else theirs
        return OfOrganization(whose, comes[whose], nullcontext)

    async def scene() -> Server:
        slow = [Server(app, path="/slow") for _ in range(2 * bridge_module.LONG_RESPONSE_THREADS)]
        other = Server(app)
        for each in (*slow, other):
            each.bridge = slow[0].bridge
        waiting = [asyncio.create_task(each.serve()) for each in slow]
        for each in slow:
            while len(each.body) < LONG:
                await each.heard.wait()
                each.heard.clear()
        try:
            await other.serve()
        finally:
            comes[ours].set()
            await asyncio.gather(*waiting)
        assert {len(each.body) for each in slow} == {3 * LONG}
        return other

    other = asyncio.run(scene())

    assert (other.status, len(other.body)) == (200, 3 * LONG)


class Busy(DomainError):
    status = 503
    retry_after = 2


def test_a_long_answer_is_begun_in_a_place_which_may_refuse() -> None:
    """Its first pieces are made by a thread that serves everybody."""
    held: list[str] = []

    @contextmanager
    def room() -> Iterator[None]:
        held.append("taken")
        yield
        held.append("given back")

    @contextmanager
    def no_room() -> Iterator[None]:
        raise Busy("Not now.")
        yield

    def served(place: Any) -> Server:
        def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [])
            return OfOrganization(uuid4(), comes, place)

        comes = threading.Event()
        comes.set()
        return serve(app)

    whole, refused = served(room), served(no_room)

    assert (whole.status, len(whole.body)) == (200, 3 * LONG)
    assert held == ["taken", "given back"]
    assert (refused.status, b"Not now." in refused.body) == (503, True)
    assert (b"retry-after", b"2") in refused.sent[0]["headers"]
