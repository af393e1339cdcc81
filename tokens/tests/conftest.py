"""An agent and its secret, a resource that it may call, and its token requests."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import Organization
from tokens.models import Resource, ResourceGrant
from tokens.tests.clients import FormClient, basic
from tokens.tests.factories import make_credential, make_grant, make_resource
from tokens.tests.receivers import URL


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "tokens:read"])


@pytest.fixture
def secret(agent: Agent) -> str:
    return make_credential(agent)[1]


@pytest.fixture
def resource(organization: Organization) -> Resource:
    return make_resource(organization, scopes=["files:read", "files:write", "files:delete"])


@pytest.fixture
def grant(resource: Resource, agent: Agent) -> ResourceGrant:
    return make_grant(resource, agent, ["files:read", "files:write"])


@pytest.fixture
def ask(agent: Agent) -> Callable[..., Any]:
    """A function that sends a token request of the agent, with further parameters."""
    _, secret = make_credential(agent)

    def post(*more: tuple[str, str], **named: str) -> Any:
        body = [("grant_type", "client_credentials"), *more, *named.items()]
        return FormClient().post(URL, urlencode(body), headers=basic(agent.pk, secret))

    return post
