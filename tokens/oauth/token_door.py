"""Answers the token endpoint before Django; all other requests go to Django.

Django's path to a view takes as much CPU time as the rest of issuing a token
(docs/explanation/performance.md). Django's security middleware runs once per kind of request, to
learn whether it refuses and which headers it adds. Refused requests take Django's path.
"""

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware

from core.memory import collect_when_due
from core.middleware import BoundedRequestMiddleware, HostMiddleware, RequestRecord
from tokens.oauth.client_authentication import FORM
from tokens.oauth.token import PATH, ROUTE, token_response

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MAX_LENGTH_DIGITS = 6
DECIDING = ("HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "HTTP_X_FORWARDED_PROTO")
"""The parts of a plain request that the middleware depends on."""
MAX_KINDS = 256
MAX_DECIDING_LENGTH = 300
"""Characters of one: what is kept of so many kinds is the caller's. A host's name has 253 at most,
and a port."""

Headers = list[tuple[str, str]]


def with_token_endpoint(application: "WSGIApplication") -> "WSGIApplication":
    """Wrap the application to answer the token endpoint before it."""

    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO") == PATH and _is_plain(environ):
            added = _added_by_guards(*map(environ.get, DECIDING))
            if added is not None:
                return _respond(environ, start_response, added)
        return application(environ, start_response)

    return wrapped


def _is_plain(environ: "WSGIEnvironment") -> bool:
    """Whether only the endpoint could refuse the request, or middleware because of DECIDING."""
    length = environ.get("CONTENT_LENGTH") or "0"
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE") == FORM
        and not environ.get("QUERY_STRING")
        and not environ.get("SCRIPT_NAME")
        and "HTTP_TRANSFER_ENCODING" not in environ
        and "HTTP_COOKIE" not in environ
        and length.isascii()
        and length.isdigit()
        and len(length) <= MAX_LENGTH_DIGITS
        and int(length) <= settings.MAX_FORM_BYTES
        and max([len(environ.get(name) or "") for name in DECIDING]) <= MAX_DECIDING_LENGTH
    )


@lru_cache(maxsize=MAX_KINDS)
def _added_by_guards(*deciding: Any) -> Headers | None:
    """The headers that the middleware adds to the response, or None if it refuses."""

    def pass_through(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    given = {name: value for name, value in zip(DECIDING, deciding, strict=True) if value}
    plain = {"REQUEST_METHOD": "POST", "PATH_INFO": PATH, "CONTENT_TYPE": FORM}
    request = WSGIRequest({**given, **plain, "wsgi.input": BytesIO()})
    guarded: Any = pass_through
    for guard in (HostMiddleware, BoundedRequestMiddleware, SecurityMiddleware):
        guarded = guard(guarded)
    try:
        response: HttpResponse = guarded(request)
    except SuspiciousOperation:
        return None
    if response.status_code != HTTPStatus.NO_CONTENT:
        return None
    own = {"Content-Type", "Content-Length"}
    return [(name, value) for name, value in response.items() if name not in own]


def _respond(
    environ: "WSGIEnvironment", start_response: "StartResponse", added: Headers
) -> Iterable[bytes]:
    collect_when_due(environ)
    record = RequestRecord(environ)
    length = int(environ.get("CONTENT_LENGTH") or 0)
    response = token_response("POST", environ, lambda: environ["wsgi.input"].read(length))
    record.leave("POST", ROUTE, response.status)
    headers = [
        *response.headers.items(),
        ("Content-Length", str(len(response.body))),
        *added,
        ("X-Request-Id", record.request_id),
    ]
    start_response(f"{response.status} {HTTPStatus(response.status).phrase}", headers)
    return [response.body]
