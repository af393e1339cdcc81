"""An invalid Content-Type is refused before Django reads it."""

import io
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.handlers.wsgi import WSGIHandler

from core.content_types import with_known_content_types
from core.tests.profiling import calls

KNOWN = [
    "",
    "text/plain",
    "text/plain;",
    "text/plain; charset=utf-8",
    'TEXT/PLAIN ; Charset="UTF-8"; x=1',
    "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
    'multipart/form-data; boundary="===============12=="',
]
STRANGE = [
    "text/plain; charset=zlib",
    "text/plain; charset=utf-7",
    "text/plain; charset=utf-8; charset=utf-16",
    "text/plain; charset*=x''y",
    "text/plain; a*=no-such-encoding''b",
    'text/plain; a="\\"; charset=utf-7',
    "text/plain; a",
    "text/plain" + ";" * 60_000,
]


def ask(content_type: str, path: str, **more: str) -> tuple[str, dict[str, str], bytes]:
    """The status, headers and body of the response to a GET."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    address, _, query = path.partition("?")
    environ |= {"HTTP_HOST": "localhost", "PATH_INFO": address, "QUERY_STRING": query}
    environ |= {"CONTENT_TYPE": content_type, "wsgi.input": io.BytesIO(), **more}
    started: list[Any] = []
    application = with_known_content_types(WSGIHandler())
    parts = application(environ, lambda *said: started.extend(said))  # type: ignore[arg-type, return-value]
    body = b"".join(parts)
    return started[0], dict(started[1]), body


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", KNOWN)
def test_a_known_one_passes(content_type: str) -> None:
    status, _, _ = ask(content_type, "/login?next=/agents")
    assert status.startswith("200")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login?next=%2BAAA-", "/api/v1/agents?search=%2BAAA-"])
@pytest.mark.parametrize("content_type", STRANGE)
def test_a_strange_one_is_refused_at_once(content_type: str, path: str) -> None:
    status, headers, body = ask(content_type, path)

    assert status.startswith("415")
    assert b"Content-Type" in body
    assert headers["X-Request-Id"]
    # Django would look at each of the sixty thousand parameters of the long one.
    assert calls(lambda: ask(content_type, path)) < 10_000


def test_the_token_endpoint_refuses_it_in_its_own_form() -> None:
    status, _, body = ask("text/plain; charset=utf-7", "/api/v1/token", REQUEST_METHOD="POST")

    assert status.startswith("415")
    assert b'"error": "invalid_request"' in body


def test_a_browser_gets_a_page() -> None:
    status, headers, body = ask("text/plain; charset=utf-7", "/login", HTTP_ACCEPT="text/html")

    assert status.startswith("415")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"This request could not be understood" in body
