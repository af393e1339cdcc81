"""Token requests of clients."""

from typing import Any
from urllib.parse import urlencode

from django.test import Client

from agents.models import Agent
from tokens.tests.clients import FORM

URL = "/api/v1/token"


def post(client: Client, body: dict[str, Any] | str, **headers: str) -> Any:
    text = body if isinstance(body, str) else urlencode(body)
    return client.post(URL, text, content_type=FORM, headers=headers)


def ask(client: Client, agent: Agent, secret: str, **more: Any) -> Any:
    return post(
        client,
        {
            "grant_type": "client_credentials",
            "client_id": agent.pk,
            "client_secret": secret,
            **more,
        },
    )


def assert_not_cached(answer: Any) -> None:
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert answer["Pragma"] == "no-cache"
