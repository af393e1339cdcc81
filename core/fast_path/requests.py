"""Converts an ASGI scope into a WSGI environ."""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from core.bodies import BodyAllowance

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
NO_STORE = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
WITH_UNDERSCORES = frozenset({"kodosumi_api_key"})
"""The only header names with underscores that are kept: in a WSGI environ, others could pass for
the hyphenated headers that a proxy sets."""


async def read_body(
    scope: Scope, receive: Receive, max_body: int, allowance: BodyAllowance
) -> bytes | None:
    """The body, or None if the client disconnected or `allowance` has no room for it.

    A body larger than `max_body` comes back empty: the application refuses it by its headers and
    never reads it. It is still read, up to twice that size, because the client would otherwise see
    a broken connection instead of the response.
    """
    if scope["method"] in {"GET", "HEAD"}:
        return b""
    parts, size, is_complete = [], 0, False
    while not is_complete and size < 2 * max_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_body:
            parts.clear()
        elif not allowance.grow_to(size):
            return None
        is_complete = not message.get("more_body", False)
    return b"".join(parts) if is_complete else b""


def environ_of(scope: Scope) -> dict[str, Any]:
    """The request as a WSGI environ (PEP 3333)."""
    path = scope.get("raw_path") or b""
    decoded = unquote_to_bytes(path) if path else scope["path"].encode()
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": decoded.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": str(client[0]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        _add_header(environ, name.decode("latin-1").lower(), value.decode("latin-1"))
    return environ


def _add_header(environ: dict[str, Any], name: str, value: str) -> None:
    if "_" in name and name not in WITH_UNDERSCORES:
        return
    key = name.upper().replace("-", "_")
    if name not in {"content-type", "content-length"}:
        key = f"HTTP_{key}"
    if key in environ:
        value = f"{environ[key]}{'; ' if name == 'cookie' else ','}{value}"
    environ[key] = value
