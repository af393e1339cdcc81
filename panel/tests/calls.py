"""Requests to /timeline for tests."""

from typing import Any

from django.test import Client


def get(client: Client, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/timeline{path}", query)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def fids(items: list[dict[str, Any]]) -> list[str]:
    return [each["fid"] for each in items]
