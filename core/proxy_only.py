"""Restricts a WSGI server to the proxy: docs/decisions/0011-two-fronts.md.

The server holds one of few threads for as long as a client sends or reads, so only a proxy that
buffers whole bodies may reach it. WSGI also merges X-Forwarded-For with X_Forwarded_For, which a
caller can set, so the proxy passes these values in headers without hyphens.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings

from core.errors import error_body
from core.fast_path.arrival import ARRIVED, time_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

FROM_THE_PROXY = {
    "HTTP_X_FORWARDED_FOR": "HTTP_AGENTIDPFORWARDEDFOR",
    "HTTP_X_FORWARDED_PROTO": "HTTP_AGENTIDPFORWARDEDPROTO",
}
ARRIVED_AT_PROXY = "HTTP_AGENTIDPARRIVED"
"""When the proxy had the whole request. Both are on one machine, so they have one clock."""
DRAIN_BYTES, MAX_DRAIN_READS = 64 * 1024, 64
"""Together twice what deploy/nginx.conf accepts."""
MESSAGE = (
    "This process answers its proxy only, over a Unix socket: granian --interface wsgi --uds PATH. "
    "To listen on a port, serve agentidp.asgi:application with granian --interface asgi."
)


def behind_the_proxy(application: "WSGIApplication") -> "WSGIApplication":
    """Wrap the application to answer only callers on a Unix socket, who have no address.

    Outside production everybody is answered, since `runserver` listens only on this machine.
    """

    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not settings.IS_PRODUCTION:
            return application(environ, start_response)
        if environ.get("REMOTE_ADDR"):
            start_response("403 Forbidden", [("Content-Type", "application/json")])
            return [json.dumps(error_body("FORBIDDEN", MESSAGE)).encode()]
        for name, alone in FROM_THE_PROXY.items():
            environ.pop(name, None)
            if alone in environ:
                environ[name] = environ.pop(alone)
        environ[ARRIVED] = time_of(environ.pop(ARRIVED_AT_PROXY, ""))
        response = application(environ, start_response)
        _drain(environ)
        return response

    return wrapped


def _drain(environ: "WSGIEnvironment") -> None:
    """Read what is left of a body that was refused by its length. Otherwise the connection would
    break, and the proxy would report that to the client instead of the response. This does not wait
    for the client, since the proxy already has the whole body."""
    if environ.get("CONTENT_LENGTH"):
        for _ in range(MAX_DRAIN_READS):
            if not environ["wsgi.input"].read(DRAIN_BYTES):
                break
