"""The entry point for an ASGI server: everything that wsgi.py serves, and live streams."""

import asyncio
import signal
from functools import cache
from types import FrameType

from django.conf import settings

from agentidp.wsgi import unguarded_application
from core.fast_path.asgi_bridge import Bridge
from core.fast_path.requests import Receive, Scope, Send
from core.sockets import allow_many_connections, limit_what_waits_for_clients
from live.hub import hub

bridge = Bridge(unguarded_application, settings.WEB_THREADS, settings.MAX_BODY_BYTES)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        limit_connections()
        await bridge(scope, receive, send)
    elif scope["type"] == "lifespan":
        await live_and_end(receive, send)
    else:
        await send({"type": "websocket.close", "code": 1000})


@cache
def limit_connections() -> None:
    """At the first request: granian begins to listen after the application's start, and on another
    socket than the one that is open by then."""
    limit_what_waits_for_clients(settings.READER_TIMEOUT_SECONDS)


async def live_and_end(receive: Receive, send: Send) -> None:
    """What the server asks at its start and its end."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            allow_many_connections()
            end_streams_on_signals(asyncio.get_running_loop())
        else:
            await hub.close()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def end_streams_on_signals(loop: asyncio.AbstractEventLoop) -> None:
    """A server that is told to stop waits for its connections first, and says so only afterwards:
    streams would keep it until it is killed. Viewers are told to connect again at once."""

    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)

        def stop(signum: int, frame: FrameType | None, previous: object = previous) -> None:
            loop.call_soon_threadsafe(hub.stop)
            if callable(previous):
                previous(signum, frame)

        signal.signal(number, stop)
