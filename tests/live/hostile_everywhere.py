"""Every kind of expensive body, sent to every kind of parser."""

import json
from collections.abc import Iterator
from typing import Any

from tests.live.deployment import Deployment, OAuthClient
from tests.live.engine import Engine
from tests.live.hostile import FORM, JSON, Attack, form_page, query_of

MULTIPART = "multipart/form-data; boundary=b"
REFUSED = (400, 403, 413, 415)
NUMBER = 1_000_000
"""Slightly less than the maximum size of a body."""


def bodies() -> Iterator[tuple[str, str, bytes]]:
    """Name, Content-Type and body of each."""
    yield "80,000 names", JSON, _json({f"k{each}": 1 for each in range(80_000)})
    yield "50,000 items", JSON, _json({"events": [{}] * 50_000})
    yield "depth of 63, often", JSON, b"[" + b",".join([b"[" * 62 + b"]" * 62] * 790) + b"]"
    yield "depth of 500,000", JSON, b"[" * 500_000 + b"]" * 500_000
    yield "a megabyte of one string", JSON, _json({"summary": "x" * (NUMBER - 20)})
    yield (
        "a megabyte of numbers",
        JSON,
        b"[" + b",".join([b"7" * 19] * 50_000)[: NUMBER - 9] + b"7]",
    )
    yield "20,000 form fields", FORM, query_of(20_000).encode()
    yield "a megabyte in a form field", FORM, b"scope=" + b"x" * (NUMBER - 10)
    part = '--b\r\nContent-Disposition: form-data; name="a{}"\r\n\r\nx\r\n'
    parts = "".join(part.format(each) for each in range(15_000))
    yield "15,000 parts", MULTIPART, f"{parts}--b--\r\n".encode()


def everywhere(deployment: Deployment, client: OAuthClient) -> list[Attack]:
    """Each body to the token endpoint, to the reports of an agent, and to a page's form."""
    engine = Engine(deployment, client)
    bearer = {"Authorization": f"Bearer {engine.token}"}
    page = form_page(deployment.address, "/login")
    places: dict[str, tuple[str, dict[str, str], bytes]] = {
        "the token endpoint": ("/api/v1/token", {}, b""),
        "events": (f"/api/v1/executions/{engine.fid}/events", bearer, b""),
        "executions": ("/api/v1/executions", bearer, b""),
        "a page's form": ("/login", page.headers, page.body + b"&"),
    }
    return [
        Attack(
            f"{name} to {place}",
            "POST",
            path,
            start + body if kind == FORM else body,
            {**headers, "Content-Type": kind},
            REFUSED,
        )
        for name, kind, body in bodies()
        for place, (path, headers, start) in places.items()
    ]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
