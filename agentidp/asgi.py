"""The ASGI entry point: everything that wsgi.py serves, and live streams."""

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
    """Limit the listening socket.

    Called at the first request, because granian starts to listen after the application has started,
    and on another socket than the one that is open then.
    """
    limit_what_waits_for_clients(settings.READER_TIMEOUT_SECONDS)


async def live_and_end(receive: Receive, send: Send) -> None:
    """Handle the server's lifespan events."""
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
    """End live streams on SIGTERM and SIGINT.

    A server that shuts down waits for its connections before it tells the application, so streams
    would keep it running until it is killed. Viewers are told to reconnect at once.
    """

    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)

        def stop(signum: int, frame: FrameType | None, previous: object = previous) -> None:
            loop.call_soon_threadsafe(hub.stop)
            if callable(previous):
                previous(signum, frame)

        signal.signal(number, stop)
