"""GET /api/v1/agents: pages, filters and search."""

from typing import Any

import pytest
from django.test import Client

from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import Organization

URL = "/api/v1/agents"


@pytest.fixture
def client(organization: Organization, client_for: ClientFor) -> Client:
    """A client of an agent that is itself the first in the list."""
    reader = make_agent(organization, email="reader@example.com", scopes=["agents:read"])
    return client_for(reader)


def emails(client: Client, **parameters: Any) -> list[str]:
    answer = client.get(URL, parameters)
    assert answer.status_code == 200, answer.content
    return [agent["email"].partition("@")[0] for agent in answer.json()["data"]]


def test_the_newest_come_first_in_pages(client: Client, organization: Organization) -> None:
    for number in range(4):
        make_agent(organization, email=f"a{number}@example.com")

    first = client.get(URL, {"limit": 2}).json()
    last = client.get(URL, {"limit": 2, "page": 3}).json()
    beyond = client.get(URL, {"limit": 2, "page": 4}).json()

    assert {name: first[name] for name in ("total", "page", "limit")} == {
        "total": 5,
        "page": 1,
        "limit": 2,
    }
    assert [agent["name"] for agent in first["data"]] == ["a3", "a2"]
    assert [agent["name"] for agent in last["data"]] == ["reader"]
    assert (beyond["data"], beyond["total"], beyond["page"]) == ([], 5, 4)


def test_only_the_own_organization_is_listed(
    client: Client, other_organization: Organization
) -> None:
    make_agent(other_organization)

    assert emails(client) == ["reader"]


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("owner", "billing", "owner"),
        ("agentType", "router", "agent_type"),
        ("status", "suspended", "status"),
        ("deploymentEnv", "staging", "deployment_env"),
    ],
)
def test_a_filter_narrows(
    client: Client, organization: Organization, name: str, value: str, field: str
) -> None:
    make_agent(organization, email="match@example.com", **{field: value})

    assert emails(client, **{name: value}) == ["match"]


def test_filters_combine(client: Client, organization: Organization) -> None:
    make_agent(organization, email="a@example.com", owner="x", agent_type="router")
    make_agent(organization, email="b@example.com", owner="x", agent_type="monitor")

    assert emails(client, owner="x", agentType="router") == ["a"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("100%", ["100%-sure"]),
        ("%", ["100%-sure"]),
        ("_", ["under_score"]),
        ("UNDER", ["under_score"]),
        ("\\", []),
        ("'", []),
        ("finance", ["100%-sure"]),
        ("' OR 1=1--", []),
    ],
)
def test_search_takes_every_character_as_it_is(
    client: Client, organization: Organization, text: str, found: list[str]
) -> None:
    make_agent(organization, email="100%-sure@example.com", owner="Finance")
    make_agent(organization, email="under_score@example.com")

    assert emails(client, search=text) == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page", "0"),
        ("page", "-1"),
        ("page", "x"),
        ("page", "1.5"),
        ("page", ""),
        ("page", "1" * 30),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "x"),
        ("status", "gone"),
        ("agentType", "robot"),
        ("deploymentEnv", "moon"),
        ("owner", "o" * 129),
        ("search", "s" * 129),
        ("colour", "green"),
        ("organization", "x"),
        ("email__startswith", "a"),
        ("ordering", "email"),
    ],
)
def test_a_wrong_parameter_is_named(client: Client, name: str, value: str) -> None:
    answer = client.get(URL, {name: value})

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [name]


def test_a_repeated_parameter_is_refused(client: Client) -> None:
    assert client.get(f"{URL}?status=active&status=suspended").status_code == 400


@pytest.mark.parametrize("query", ["search=%00", "owner=%ED%A0%80", "search=%FF"])
def test_odd_bytes_are_no_error(client: Client, query: str) -> None:
    assert client.get(f"{URL}?{query}").status_code in {200, 400}


def test_the_list_takes_a_fixed_number_of_queries(
    client: Client, organization: Organization, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        make_agent(organization)

    with django_assert_max_num_queries(7):
        client.get(URL)
