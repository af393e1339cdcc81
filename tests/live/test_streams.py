"""Live streams from a real server: nothing is lost or repeated after disconnections."""

import asyncio
import random
import socket
import statistics
import time
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from tests.live.deployment import Deployment, deployed
from tests.live.engine import Engine
from tests.live.sockets import is_established, queued_for
from tests.live.viewer import Follower, ask, read_head

pytestmark = pytest.mark.slow

STOP_TIMEOUT_SECONDS = 10
CUT_TIMEOUT_SECONDS = 60
PLACES = 64
"""The number of streams and waiting requests that a caller may have."""


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=1) as deployment:
        yield deployment


@pytest.fixture
def engine(running: Deployment) -> Engine:
    return Engine(running, running.clients[0])


def test_forced_reconnects_lose_nothing_and_repeat_nothing(engine: Engine) -> None:
    generator = random.Random(20261122)  # noqa: S311 - repeatable

    async def unlucky() -> Follower:
        follower = Follower(engine.stream, engine.token)
        for _ in range(5):
            await follower.follow(cut_after=generator.randrange(1, 400))
            if follower.has_ended:
                break
        await follower.follow_to_the_end()
        return follower

    async def scene() -> list[Follower]:
        followers = [asyncio.create_task(unlucky()) for _ in range(10)]
        await engine.say_all(batches=20, each=100)
        return list(await asyncio.gather(*followers))

    followers = asyncio.run(asyncio.wait_for(scene(), 120))

    wanted = list(range(1, followers[0].seen[-1] + 1))
    assert len(wanted) > 2000
    assert [follower.seen for follower in followers] == [wanted] * 10
    assert all(follower.connections == 6 for follower in followers)


def test_viewers_of_a_stopping_server_reconnect_and_continue() -> None:
    with deployed(durable=False, agents=1) as deployment:
        engine = Engine(deployment, deployment.clients[0])
        follower = Follower(engine.stream, engine.token)

        async def scene() -> float:
            following = asyncio.create_task(follower.follow())
            await asyncio.to_thread(engine.say, 10)
            while not follower.seen or len(follower.seen) < 12:
                await asyncio.sleep(0.05)
            began = time.monotonic()
            await asyncio.to_thread(deployment.server.stop)
            stopped = time.monotonic() - began
            await following
            await asyncio.to_thread(deployment.server.start)
            ending = asyncio.create_task(follower.follow_to_the_end())
            await engine.say_all(batches=1, each=10)
            await ending
            return stopped

        assert asyncio.run(asyncio.wait_for(scene(), 120)) < STOP_TIMEOUT_SECONDS
    assert "about to stop" in follower.last_words
    assert follower.seen == list(range(1, follower.seen[-1] + 1))
    assert follower.connections == 2


def test_a_revoked_token_ends_its_stream_within_seconds(engine: Engine) -> None:
    follower = Follower(engine.stream, engine.token)

    async def scene() -> float:
        following = asyncio.create_task(follower.follow())
        while not follower.seen:
            await asyncio.sleep(0.05)
        answer = await asyncio.to_thread(
            requests.post,
            f"{engine.url}/api/v1/token/revoke",
            data={"token": engine.token},
            headers={"Authorization": f"Bearer {engine.token}"},
            timeout=30,
        )
        assert answer.status_code == 200
        began = time.monotonic()
        await following
        return time.monotonic() - began

    assert asyncio.run(asyncio.wait_for(scene(), 60)) < 5
    assert "ended" in follower.last_words


def test_a_client_that_does_not_read_is_disconnected_and_affects_no_others(
    engine: Engine, running: Deployment
) -> None:
    before = running.server.memory()

    async def scene() -> tuple[float, float]:
        lazy = lazy_connection(engine)
        good = Follower(engine.stream, engine.token)
        following = asyncio.create_task(good.follow_to_the_end())
        for _ in range(40):
            await asyncio.to_thread(engine.say, 5, "y" * 60_000)
        began = time.monotonic()
        await asyncio.to_thread(engine.finish)
        await following
        delay = time.monotonic() - began
        assert good.seen == list(range(1, good.seen[-1] + 1))
        return delay, await asyncio.to_thread(seconds_until_cut, lazy)

    delay, cut = asyncio.run(asyncio.wait_for(scene(), 180))

    assert delay < 5
    assert cut < CUT_TIMEOUT_SECONDS
    assert running.server.memory() - before < 100 * 1024**2


def test_silent_readers_hold_little_memory_and_delay_nobody() -> None:
    """Measures the memory of the server and the buffers of the operating system."""
    with deployed(
        durable=False, agents=1, settings={"AGENTIDP_READER_TIMEOUT_SECONDS": "6"}
    ) as deployment:
        engine = Engine(deployment, deployment.clients[0])
        for _ in range(6):
            engine.say(6, "z" * 60_000)
        asyncio.run(seconds_of_good_requests(engine, 20))
        alone = asyncio.run(seconds_of_good_requests(engine, 40))
        before = deployment.server.memory()

        readers = [lazy_connection(engine) for _ in range(PLACES - 4)]
        addresses = [each.getsockname() for each in readers]
        waiting, deadline = set(addresses), time.monotonic() + CUT_TIMEOUT_SECONDS
        while waiting := {each for each in waiting if queued_for(each) == 0}:
            assert time.monotonic() < deadline, f"{len(waiting)} were sent nothing."
            time.sleep(0.05)
        for _ in range(10):
            engine.say(6, "z" * 60_000)
        beside = asyncio.run(seconds_of_good_requests(engine, 40))
        queued = sum(map(queued_for, addresses)) / len(readers)
        held = (deployment.server.memory() - before) / len(readers)
        seconds = max(map(seconds_until_cut, readers))

    assert queued < 200_000
    assert held < 1_000_000
    assert beside < 2 * alone + 0.05
    assert seconds < CUT_TIMEOUT_SECONDS


def lazy_connection(engine: Engine) -> socket.socket:
    """Request the stream with a small receive window and never read."""
    parts = urlsplit(engine.stream)
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.connect((parts.hostname, parts.port))
    lazy.sendall(
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {engine.token}\r\n\r\n".encode()
    )
    return lazy


def seconds_until_cut(lazy: socket.socket) -> float:
    """How long the server keeps the connection: it ends when the socket has no peer any more."""
    began = time.monotonic()
    address = lazy.getsockname()
    while time.monotonic() < began + CUT_TIMEOUT_SECONDS and is_established(address):
        time.sleep(0.2)
    lazy.close()
    return time.monotonic() - began


@pytest.mark.parametrize("request_line", ["GET {path} HTTP/1.0", "HEAD {path} HTTP/1.1"])
def test_old_clients_and_head_get_a_sane_answer(engine: Engine, request_line: str) -> None:
    engine.finish()
    parts = urlsplit(engine.stream)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as plain:
        plain.sendall(
            f"{request_line.format(path=parts.path)}\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {engine.token}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        while part := plain.recv(65536):
            answer += part

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"200"
    assert b"text/event-stream" in head
    is_head = request_line.startswith("HEAD")
    assert body == b"" if is_head else b"event: eof" in body


@pytest.mark.parametrize("name", ["status", "raw", "html", "main"])
def test_an_early_request_gets_the_answer_once_there_is_one(engine: Engine, name: str) -> None:
    fid = f"early-{uuid4().hex}"
    headers = {"Authorization": f"Bearer {engine.token}"}
    url = f"{engine.url}/outputs/{name}/{fid}?extended=true"

    async def scene() -> requests.Response:
        asked = asyncio.create_task(
            asyncio.to_thread(requests.get, url, headers=headers, timeout=30, stream=True)
        )
        await asyncio.sleep(0.5)
        assert not asked.done()
        await asyncio.to_thread(engine.post, "executions", {"executionId": fid})
        return await asked

    answer = asyncio.run(asyncio.wait_for(scene(), 30))

    assert answer.status_code == 200
    answer.close()


def test_many_waiting_requests_cost_nothing_and_each_counts_as_a_stream() -> None:
    with deployed(durable=False, agents=3) as deployment:
        engines = [Engine(deployment, client) for client in deployment.clients]
        idle = asyncio.run(seconds_of_good_requests(engines[0], 30))

        async def scene() -> tuple[list[int], float, float]:
            waiting = [
                asyncio.create_task(status_of(each, f"/outputs/main/nothing-{n}"))
                for each in engines
                for n in range(PLACES + 2)
            ]
            while sum(each.done() for each in waiting) < 2 * len(engines):
                await asyncio.sleep(0.05)
            processor, began = deployment.server.processor_seconds(), time.monotonic()
            await asyncio.sleep(3)
            used = deployment.server.processor_seconds() - processor
            share = used / (time.monotonic() - began)
            busy = await seconds_of_good_requests(engines[0], 30)
            refused = [each.result() for each in waiting if each.done()]
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            return refused, share, busy

        refused, share, busy = asyncio.run(asyncio.wait_for(scene(), 60))

    assert refused == [429] * 2 * len(engines)
    assert share < 0.3
    assert busy < 3 * idle + 0.05


async def status_of(engine: Engine, path: str) -> int:
    parts = urlsplit(engine.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        await ask(writer, engine.url + path, engine.token)
        return await read_head(reader)
    finally:
        writer.transport.abort()


async def seconds_of_good_requests(engine: Engine, number: int) -> float:
    """The median duration of an ordinary request, made in sequence."""
    seconds = []
    for _ in range(number):
        began = time.monotonic()
        assert await status_of(engine, "/api/v1/agents") == 200
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def test_a_request_that_does_not_wait_gets_its_error_at_once(engine: Engine) -> None:
    headers = {"Authorization": f"Bearer {engine.token}"}

    answer = requests.get(f"{engine.url}/outputs/status/nowhere", headers=headers, timeout=5)

    assert answer.status_code == 404
