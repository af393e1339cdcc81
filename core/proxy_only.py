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

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

FROM_THE_PROXY = {
    "HTTP_X_FORWARDED_FOR": "HTTP_AGENTIDPFORWARDEDFOR",
    "HTTP_X_FORWARDED_PROTO": "HTTP_AGENTIDPFORWARDEDPROTO",
}
MESSAGE = (
    "This process answers its proxy only, over a Unix socket: granian --interface wsgi --uds PATH. "
    "To listen on a port, serve agentidp.asgi:application with granian --interface asgi."
)


def behind_the_proxy(application: "WSGIApplication") -> "WSGIApplication":
    """Wrap the application to answer only callers on a Unix socket, who have no address.

    Outside production everybody is answered, since `runserver` listens only on this machine.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not settings.IS_PRODUCTION:
            return application(environ, start_response)
        if environ.get("REMOTE_ADDR"):
            start_response("403 Forbidden", [("Content-Type", "application/json")])
            return [json.dumps(error_body("FORBIDDEN", MESSAGE)).encode()]
        for name, alone in FROM_THE_PROXY.items():
            environ.pop(name, None)
            if alone in environ:
                environ[name] = environ.pop(alone)
        return application(environ, start_response)

    return answer
