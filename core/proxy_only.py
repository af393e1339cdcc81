"""A WSGI server is for the proxy alone: docs/decisions/0011-two-fronts.md.

It holds one of few threads for as long as a client sends or takes, so only a proxy that keeps whole
bodies may reach it. And it makes one name of X-Forwarded-For and X_Forwarded_For, of which the
latter is the caller's, so the proxy says the same in names that have one spelling.
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
READ_ON_AT_ONCE, READ_ON_TIMES = 64 * 1024, 64
"""Twice what deploy/nginx.conf lets through."""
MESSAGE = (
    "This process answers its proxy only, over a Unix socket: granian --interface wsgi --uds PATH. "
    "To listen on a port, serve agentidp.asgi:application with granian --interface asgi."
)


def behind_the_proxy(application: "WSGIApplication") -> "WSGIApplication":
    """The application for callers on a Unix socket, who have no address. Outside production, where
    `runserver` listens on this machine only, everybody is answered."""

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
        answered = application(environ, start_response)
        _read_on(environ)
        return answered

    return answer


def _read_on(environ: "WSGIEnvironment") -> None:
    """What was left of a body that is refused by its length: the connection would be broken, and
    the proxy would tell the client of that instead of the answer. The proxy has the body whole."""
    if environ.get("CONTENT_LENGTH"):
        for _ in range(READ_ON_TIMES):
            if not environ["wsgi.input"].read(READ_ON_AT_ONCE):
                break
