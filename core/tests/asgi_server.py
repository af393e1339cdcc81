"""An ASGI server that serves a single request, and applications for it to serve."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from core.fast_path.asgi_bridge import Bridge

Environ = dict[str, Any]
MAX_BODY = 1024**2
App = Callable[[Environ, Any], Iterable[bytes]]


class Server:
    """Plays the ASGI server of one request."""

    def __init__(self, app: App, **scope: Any) -> None:
        self.bridge = Bridge(app, threads=2, max_body=MAX_BODY)
        self.scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "http_version": "1.1",
            "headers": [],
            "client": ("192.0.2.1", 4711),
            "server": ("127.0.0.1", 3000),
            **scope,
        }
        self.sent: list[dict[str, Any]] = []
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.heard.set()

    def receives(self, *parts: bytes) -> None:
        for number, part in enumerate(parts, 1):
            more = number < len(parts)
            self.incoming.put_nowait({"type": "http.request", "body": part, "more_body": more})

    def loses_the_client(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def serve(self) -> None:
        async with asyncio.timeout(10):
            await self.bridge(self.scope, self.incoming.get, self.send)

    @property
    def status(self) -> int:
        found: int = self.sent[0]["status"]
        return found

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


def answering(*parts: bytes, seen: list[Environ] | None = None) -> App:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if seen is not None:
            seen.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Part", "é")])
        return list(parts)

    return app


def serve(app: App, *parts: bytes, **scope: Any) -> Server:
    async def whole() -> Server:
        server = Server(app, **scope)
        server.receives(*(parts or (b"",)))
        await server.serve()
        return server

    return asyncio.run(whole())
