"""Whatever ends a viewer's access also ends its open requests, on a real server."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.live.deployment import PROJECT, Deployment, deployed
from tests.live.viewer import events, read_head

pytestmark = pytest.mark.slow

SECONDS = 3
"""The product promises one second; two more allow for a busy machine."""


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=1) as deployment:
        yield deployment


class Rights:
    """The process that creates viewers and ends their access."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.viewers: list[dict[str, Any]] = []
        while (message := self._hear())["name"]:
            self.viewers.append(message)

    def end(self, number: int) -> float:
        """End the access; return the time of the commit or of the scheduled end in Unix seconds."""
        assert self._process.stdin
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        at: float = self._hear()["at"]
        return at

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process has ended"
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def rights(running: Deployment) -> Iterator[Rights]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.live.rights"],
        env=running.server.environment | {"AGENTIDP_LOG_LEVEL": "ERROR"},
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Rights(process)
        process.stdin.close()  # type: ignore[union-attr]


class Looking:
    """An open stream, or a waiting request."""

    def __init__(self, running: Deployment, viewer: dict[str, Any]) -> None:
        self.running, self.viewer = running, viewer
        self.name, self.ended_at, self.last = viewer["name"], 0.0, ""
        self.is_open = asyncio.Event()

    async def look(self) -> None:
        reader, writer = await self.ask(f"/outputs/stream/{self.viewer['fid']}")
        try:
            assert await read_head(reader) == 200, self.name
            async for message in events(reader):
                self.is_open.set()
                self.last = message.data.partition(":")[2] if message.event == "close" else ""
        finally:
            self.ended_at = time.time()
            writer.transport.abort()

    async def wait(self) -> int:
        reader, writer = await self.ask("/outputs/status/nothing?extended=true")
        try:
            status = await read_head(reader)
            self.ended_at = time.time()
            return status
        finally:
            writer.transport.abort()

    async def ask(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.running.address)
        headers = {"Host": "localhost", **self.viewer["headers"]}
        lines = [f"GET {path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        return reader, writer


def test_every_way_to_lose_the_right_ends_streams_and_waits_within_a_second(
    running: Deployment,
) -> None:
    async def scene(of: Rights) -> dict[str, float]:
        streams = [Looking(running, each) for each in of.viewers]
        waits = [Looking(running, each) for each in of.viewers]
        following = [asyncio.create_task(each.look()) for each in streams]
        waiting = [asyncio.create_task(each.wait()) for each in waits]
        await asyncio.gather(*(each.is_open.wait() for each in streams))
        late: dict[str, float] = {}

        async def end(number: int) -> None:
            name = streams[number].name
            assert not following[number].done(), name
            assert not waiting[number].done(), name
            at = await asyncio.to_thread(of.end, number)
            endings.append(asyncio.create_task(see_the_end(number, name, at)))

        async def see_the_end(number: int, name: str, at: float) -> None:
            await following[number]
            late[name] = streams[number].ended_at - at
            if "deleted" in name:
                assert streams[number].last == "The execution was deleted."
                waiting[number].cancel()  # the viewer still has access
                return
            assert streams[number].last.startswith("The token or the session has ended"), name
            assert await waiting[number] in {401, 403, 404}, name
            late[f"{name} (wait)"] = waits[number].ended_at - at

        for of_a_key in (False, True):
            endings: list[asyncio.Task[None]] = []
            for number, each in enumerate(streams):
                if ("key_removed" in each.name) == of_a_key:
                    await end(number)
            await asyncio.gather(*endings)
        return late

    with rights(running) as of:
        late = asyncio.run(asyncio.wait_for(scene(of), 120))

    for name, seconds in sorted(late.items(), key=lambda item: item[1]):
        print(f"{seconds:6.2f} s  {name}")  # noqa: T201 - the figures
    assert len(late) > 45
    assert min(late.values()) > -0.5
    assert max(late.values()) < SECONDS
