"""The credentials API, as tests call it."""

from typing import Any

from django.test import Client

from agents.models import Agent
from tokens.tests.clients import FormClient, basic

JSON = "application/json"
GRANT = {"grant_type": "client_credentials"}


def url_of(agent: Agent, *more: object) -> str:
    return "/".join(map(str, ["/api/v1/agents", agent.pk, "credentials", *more]))


def make(client: Client, agent: Agent, **body: Any) -> Any:
    return client.post(url_of(agent), body, content_type=JSON)


def rotate(client: Client, agent: Agent, credential_id: object, **body: Any) -> Any:
    return client.post(url_of(agent, credential_id, "rotate"), body, content_type=JSON)


def token_status(agent: Agent, secret: str) -> int:
    return FormClient().post("/api/v1/token", GRANT, headers=basic(agent.pk, secret)).status_code


def shown(client: Client, agent: Agent) -> dict[str, Any]:
    """The only credential in the list."""
    [found] = client.get(url_of(agent)).json()["data"]
    return found
