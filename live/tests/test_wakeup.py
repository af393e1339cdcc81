"""Wake-ups through Redis: faster with it, and no failure when it is unavailable."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import redis
import redis.asyncio
from django.db import transaction

from executions import wakeup
from live import hub as hub_module
from live.tests.scenes import Play, numbers_of, running_in, subscribe, write
from organizations.models import Organization
from organizations.stream_access import Viewer

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="needs redis-server (apt install redis-server)"
)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis server for this test run."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--dir", str(folder)], stdout=log, stderr=log)
    url = f"redis://127.0.0.1:{port}/0"
    client = redis.Redis.from_url(url)
    try:
        while process.poll() is None:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                continue
        yield url
    finally:
        client.close()
        process.terminate()
        process.wait()


@pytest.fixture(autouse=True)
def fresh_announcer() -> Iterator[None]:
    wakeup.announcer.cache_clear()
    yield
    if found := wakeup.announcer():
        found.close()
    wakeup.announcer.cache_clear()


async def listeners(url: str) -> None:
    """Wait until a subscriber is connected."""
    async with redis.asyncio.Redis.from_url(url) as client, asyncio.timeout(30):
        while not dict(await client.pubsub_numsub(wakeup.channel_name())).popitem()[1]:
            await asyncio.sleep(0.01)


def test_a_commit_wakes_the_poller_of_another_process(
    play: Play,
    viewer: Viewer,
    organization: Organization,
    redis_url: str,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.REDIS_URL = redis_url
    monkeypatch.setattr(hub_module, "SLOW_TICK", 60)
    execution = running_in(organization)

    async def scene(hub: hub_module.Hub) -> list[int]:
        received = asyncio.create_task(numbers_of(subscribe(hub, execution, viewer)))
        await asyncio.sleep(0)
        await listeners(redis_url)
        await write(execution, "three")
        await write(execution, "four", end=True)
        return await received

    assert play(scene) == [1, 2, 3, 4, 5]


def test_a_redis_that_is_away_delays_nothing_but_the_wake_up(
    play: Play,
    viewer: Viewer,
    organization: Organization,
    settings: Any,
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    execution = running_in(organization)

    async def scene(hub: hub_module.Hub) -> list[int]:
        received = asyncio.create_task(numbers_of(subscribe(hub, execution, viewer)))
        await write(execution, "three", end=True)
        return await received

    assert play(scene) == [1, 2, 3, 4]


def test_nothing_is_announced_before_the_commit(
    transactional_db: None,
    organization: Organization,
    redis_url: str,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    announced: list[str] = []
    monkeypatch.setattr(wakeup.Announcer, "announce", lambda self: announced.append("now"))
    settings.REDIS_URL = redis_url

    with transaction.atomic():
        running_in(organization)
        before = list(announced)

    assert before == []
    assert announced == ["now"]


def test_a_redis_that_answers_slowly_delays_no_request(settings: Any) -> None:
    """It sends its answer byte by byte, so that no read ever times out."""
    is_asked, may_end = Event(), Event()

    def drip(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.settimeout(30)
            while b"PUBLISH" not in (sent := client.recv(65536)):
                client.sendall(b"+OK\r\n" * max(sent.count(b"*"), 1))
            is_asked.set()
            client.sendall(b"+")
            while not may_end.wait(0.05):
                client.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(2) as pool:
        dripping = pool.submit(drip, server)
        settings.REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0?protocol=2"
        found = wakeup.announcer()
        assert found is not None

        try:
            pool.submit(found.announce).result(30)
            assert is_asked.wait(30)
            pool.submit(found.announce).result(30)
        finally:
            may_end.set()
        dripping.result(30)
