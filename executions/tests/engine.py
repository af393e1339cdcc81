"""Helpers that act as an engine towards the API."""

from typing import Any

from django.test import Client

from executions.models import ExecutionEvent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

URL = "/api/v1/executions"


def post(client: Client, url: str, body: Any = None, status: int = 200, **headers: Any) -> Any:
    answer = client.post(url, body or {}, content_type="application/json", headers=headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def report(client: Client, **body: Any) -> str:
    """Report a new execution; return its URL."""
    return f"{URL}/{post(client, URL, body, 201)['executionId']}"


def append(client: Client, url: str, *events: Any, status: int = 200, **headers: Any) -> Any:
    return post(client, f"{url}/events", {"events": events}, status, **headers)


def line(text: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "stdout", "message": text} | fields


def events_of(organization: Organization) -> list[tuple[int, str, str]]:
    with organization_scope(organization):
        rows = ExecutionEvent.objects.order_by("execution_id", "sequence")
        return list(rows.values_list("sequence", "kind", "message"))


def announce(
    client, url: str, size: int = 10, path: str = "report.txt", status: int = 201, **fields: Any
) -> str:
    """Announce an upload; return its URL."""
    body = {"area": "out", "path": path, "size": size} | fields
    return f"{url}/uploads/{post(client, f'{url}/files', body, status)['uploadId']}"


def put(client, upload: str, content: bytes, content_range: str | None = None) -> Any:
    headers = {"Content-Range": content_range} if content_range else {}
    return client.put(upload, content, content_type="application/octet-stream", headers=headers)
