"""Helpers for tests of tokens for resources."""

from typing import Any

from organizations.actors import Actor
from organizations.models import Organization
from tokens.tests.clients import FormClient
from tokens.tests.forgery import take_apart

URL = "/api/v1/token"


def system(organization: Organization) -> Actor:
    return Actor.for_system(organization, "test")


def claims_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.content
    claims: dict[str, Any] = take_apart(answer.json()["access_token"]).claims
    return claims


def refused(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 400
    return dict(answer.json())


def about(service: FormClient, token: str) -> dict[str, Any]:
    answer = service.post("/api/v1/token/introspect", {"token": token})
    assert answer.status_code == 200
    return dict(answer.json())
