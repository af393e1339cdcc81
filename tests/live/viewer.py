"""A client of live streams, implemented independently of the server's code."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CONTROL = frozenset({"alive", "close", "eof"})


@dataclass(frozen=True)
class ServerSentEvent:
    """A server-sent event."""

    id: int
    event: str
    data: str


@dataclass
class Follower:
    """Follows a stream across reconnections, continuing after the last event received."""

    url: str
    token: str
    seen: list[int] = field(default_factory=list)
    """The ids of the events in order of arrival, without control events."""
    connections: int = 0
    has_ended: bool = False
    last_words: str = ""
    """The reason that the server gave for closing early."""

    async def follow(self, cut_after: int | None = None) -> None:
        """Follow until the stream ends, or disconnect abruptly after so many events."""
        self.connections += 1
        count = 0
        async with connected(
            self.url, self.token, self.seen[-1] if self.seen else None
        ) as received:
            async for each in received:
                if each.event == "eof":
                    self.has_ended = True
                elif each.event == "close":
                    self.last_words = each.data.partition(":")[2]
                elif each.event not in CONTROL:
                    self.seen.append(each.id)
                    count += 1
                    if count == cut_after:
                        return

    async def follow_to_the_end(self) -> None:
        while not self.has_ended:
            try:
                await self.follow()
            except OSError:
                await asyncio.sleep(0.1)  # the server is unavailable at the moment


@asynccontextmanager
async def connected(
    url: str, token: str, last_id: int | None = None
) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """Yield the events of one connection, which is closed when the caller leaves."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=4 * 1024**2)
    try:
        await ask(writer, url, token, last_id)
        status = await read_head(reader)
        assert status == 200, status
        yield events(reader)
    finally:
        writer.transport.abort()


async def ask(
    writer: asyncio.StreamWriter, url: str, token: str, last_id: int | None = None
) -> None:
    parts = urlsplit(url)
    headers = [f"Host: {parts.netloc}", f"Authorization: Bearer {token}"]
    if last_id is not None:
        headers.append(f"Last-Event-ID: {last_id}")
    lines = [f"GET {parts.path} HTTP/1.1", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    await writer.drain()


async def read_head(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1])


async def events(reader: asyncio.StreamReader) -> AsyncIterator[ServerSentEvent]:
    """The events in a chunked body."""
    text = b""
    while True:
        size = int(await reader.readline() or b"0", 16)
        if size == 0:
            return
        text += (await reader.readexactly(size + 2))[:-2]
        *whole, text = text.split(b"\r\n\r\n")
        for block in whole:
            if received := parse(block.decode()):
                yield received


def parse(block: str) -> ServerSentEvent | None:
    """One event; None for a block without data, such as `retry`."""
    fields: dict[str, list[str]] = {}
    for line in block.split("\r\n"):
        name, _, value = line.partition(": ")
        fields.setdefault(name, []).append(value)
    if "data" not in fields:
        return None
    return ServerSentEvent(int(fields["id"][0]), fields["event"][0], "\n".join(fields["data"]))
