"""GET /api/v1/analytics/requests: its body, its CSV, and its parameters."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.tests.factories import make_event, make_timeless_key
from conftest import ClientFor
from organizations.models import Organization
from tokens.tests.factories import make_credential

NOW = datetime(2026, 4, 4, 9, 30, tzinfo=UTC)
ADDRESS = "/api/v1/analytics/requests"
TWO_HOURS = {"from": "2026-04-04T08:00:00Z", "to": "2026-04-04T10:00:00Z"}


@pytest.fixture(autouse=True)
def spring() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def client(organization: Organization, client_for: ClientFor) -> Client:
    make_timeless_key()
    return client_for(organization, scopes="agents:read")


@pytest.fixture
def agent(organization: Organization) -> Agent:
    agent = make_agent(organization, email="screener@agents.example")
    make_event(agent, NOW, ip_address="203.0.113.58")
    make_event(
        *(agent, NOW - timedelta(hours=1)),
        outcome="refused",
        reason="wrong_secret",
        ip_address="192.0.2.7",
    )
    make_event(agent, NOW - timedelta(days=1), ip_address="192.0.2.7")
    return agent


def test_the_breakdown_has_exactly_the_documented_shape(
    organization: Organization, client: Client, agent: Agent
) -> None:
    found = json.loads(client.get(ADDRESS, TWO_HOURS).content)

    nothing = {"introspected": 0, "revoked": 0}
    assert found == {
        "tenantId": f"org-{organization.pk}",
        "from": "2026-04-04T08:00:00Z",
        "to": "2026-04-04T10:00:00Z",
        "step": "hour",
        "comparedFrom": "2026-04-03T08:00:00Z",
        "countedSince": None,
        "total": 2,
        "data": [
            {"start": "2026-04-04T08:00:00Z", "end": "2026-04-04T09:00:00Z"}
            | {"issued": 0, "refused": 1, **nothing},
            {"start": "2026-04-04T09:00:00Z", "end": "2026-04-04T10:00:00Z"}
            | {"issued": 1, "refused": 0, **nothing},
        ],
        "agents": [value(str(agent.pk), 2, 0, "screener")],
        "secrets": [value("", 2, 0)],
        "addresses": [value("192.0.2.7", 1, 0), value("203.0.113.58", 1, 0)],
        "outcomes": [value("issued", 1, 0), value("wrong_secret", 1, 0, "wrong secret")],
    }


def value(key: str, count: int, before: int, name: str = "") -> dict[str, Any]:
    return {"value": key, "name": name or key, "count": count, "previousCount": before}


def test_as_csv_each_value_is_a_row(client: Client, agent: Agent) -> None:
    response = client.get(ADDRESS, {**TWO_HOURS, "outcome": "refused", "format": "csv"})

    assert response["Content-Disposition"] == 'attachment; filename="requests-2026-04-04.csv"'
    assert response.content.decode().splitlines() == [
        "list,value,name,count,previousCount",
        "hour,2026-04-04T08:00:00Z,refused,1,",
        "hour,2026-04-04T09:00:00Z,refused,0,",
        f"agents,{agent.pk},screener,1,0",
        "secrets,,,1,0",
        "addresses,192.0.2.7,192.0.2.7,1,0",
        "outcomes,issued,issued,1,0",
        "outcomes,wrong_secret,wrong secret,1,0",
    ]


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({}, 3),
        ({"days": "1"}, 2),
        ({"outcome": "issued"}, 2),
        ({"reason": "wrong_secret"}, 1),
        ({"address": "192.0.2.7"}, 2),
        ({"notAddress": "192.0.2.7,192.0.2.8"}, 1),
        ({"notReason": "wrong_secret"}, 2),
        ({"notAgentId": "AGENT"}, 0),
        ({"agentId": "AGENT", "hour": "8"}, 1),
        ({"hour": "10", "tz": "Europe/Berlin", "dow": "6"}, 1),
        ({"resource": "https://mail.example.com"}, 0),
    ],
)
def test_a_filter_leaves_exactly_its_requests(
    client: Client, agent: Agent, parameters: dict[str, str], count: int
) -> None:
    wanted = {name: text.replace("AGENT", str(agent.pk)) for name, text in parameters.items()}

    found = json.loads(client.get(ADDRESS, wanted).content)

    assert sum(bucket["issued"] + bucket["refused"] for bucket in found["data"]) == count


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"days": "91"}, {"days": ["Must be a whole number from 1 to 90."]}),
        ({"days": "1", "to": "2026-04-04"}, {"days": ["Give either days, or from and to."]}),
        ({"address": "localhost"}, {"address": ["Must be an IP address."]}),
        ({"notAddress": "192.0.2.7,"}, {"notAddress": ["Must be an IP address."]}),
        ({"agentId": "screener"}, {"agentId": ["Must be a UUID."]}),
        (
            {"secret": "x"},
            {
                "secret": [
                    "Must be the UUID of a credential, or this, a colon and the end of a secret."
                ]
            },
        ),
        (
            {"notAgentId": ",".join(str(uuid4()) for _ in range(21))},
            {"notAgentId": ["Give at most 20 values."]},
        ),
        ({"hour": "24"}, {"hour": ["Must be a whole number from 0 to 23."]}),
    ],
)
def test_a_wrong_parameter_is_named(
    client: Client, parameters: dict[str, str], problem: dict[str, list[str]]
) -> None:
    response = client.get(ADDRESS, parameters)

    assert (response.status_code, json.loads(response.content)["details"]) == (400, problem)


def test_only_an_agent_and_a_secret_of_the_organization_can_be_asked_for(
    client: Client, organization: Organization, agent: Agent
) -> None:
    credential, _ = make_credential(agent)

    assert client.get(ADDRESS, {"agentId": uuid4()}).status_code == 404
    assert client.get(ADDRESS, {"secret": uuid4()}).status_code == 404
    for secret in (credential.pk, f"{credential.pk}:{credential.secret_hint}"):
        assert client.get(ADDRESS, {"secret": secret}).status_code == 200
