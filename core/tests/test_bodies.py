"""An ASGI process bounds the memory of request bodies, however many large ones arrive at once."""

import asyncio
from typing import Any

import pytest

from core import bodies
from core.tests.asgi_server import Server, answering

PART = b"x" * bodies.SMALL


async def begun(first: Server, number: int) -> list[tuple[Server, asyncio.Task[None]]]:
    """This many requests, each with two of its three parts received."""
    found = []
    for _ in range(number):
        server = Server(answering(b"done"), method="POST")
        server.bridge = first.bridge
        for part in (PART, PART):
            server.incoming.put_nowait({"type": "http.request", "body": part, "more_body": True})
        found.append((server, asyncio.create_task(server.serve())))
    while any(server.incoming.qsize() for server, _ in found):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    return found


def test_large_bodies_without_room_are_refused_and_small_ones_always_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "MAX_BYTES", 3 * bodies.SMALL)

    async def scene() -> tuple[list[Server], list[Server], Server, int]:
        first = Server(answering(b"done"))
        waiting = await begun(first, 3)
        [(refused, task)] = await begun(first, 1)
        await task
        small = Server(answering(b"done"), method="POST")
        small.bridge = first.bridge
        small.receives(PART)
        await small.serve()
        for server, each in waiting:
            server.receives(b"")
            await each
        [(again, task)] = await begun(first, 1)
        again.receives(b"")
        await task
        gone = await begun(first, 3)
        for server, each in gone:
            server.loses_the_client()
            await each
        served = [server for server, _ in waiting]
        return [*served, again], [small], refused, first.bridge.bodies.taken

    served, small, refused, taken = asyncio.run(scene())

    statuses: Any = [server.status for server in (*served, *small, refused)]
    assert statuses == [200, 200, 200, 200, 200, 503]
    assert b"Too many large bodies" in refused.body
    assert (b"retry-after", b"5") in refused.sent[0]["headers"]
    assert taken == 0
