"""One door for query parameters: what an operation does not know, or gets twice, it refuses, and it
knows what its description says."""

from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from tests.calls import bearer_of, call
from tests.endpoint import ORGANIZATION, Endpoint
from tests.endpoints import ENDPOINTS
from tests.routes import query_parameters, routes
from tests.tenants import Tenant

VIEWS = dict(routes())
OPERATIONS = [
    each for each in ENDPOINTS if each.access == ORGANIZATION and hasattr(VIEWS[each.path], "cls")
]
LENIENT = frozenset({"format"})
"""How lists may be asked for JSON, which they answer anyway: not described."""


def view_of(endpoint: Endpoint) -> Any:
    route = VIEWS[endpoint.path]
    view = route.cls(**route.initkwargs)
    view.action = route.actions[endpoint.method.lower()]
    return view


def refusal(client: Client, endpoint: Endpoint, tenant: Tenant, query: str) -> Any:
    if not endpoint.role:
        client = bearer_of(endpoint, tenant)
    answer = call(client, endpoint, tenant, query=query)
    return answer.status_code, None if answer.streaming else answer.json().get("details")


@pytest.fixture
def client(ours: Tenant, client_for: ClientFor) -> Client:
    return client_for(ours.person("owner"))


@pytest.mark.parametrize("endpoint", OPERATIONS, ids=str)
def test_an_unknown_parameter_is_refused(ours: Tenant, client: Client, endpoint: Endpoint) -> None:
    found = refusal(client, endpoint, ours, "bogus=1")

    assert found == (400, {"bogus": ["This parameter is unknown."]})


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [(each, name) for each in OPERATIONS for name in query_parameters(each)],
    ids=str,
)
def test_a_parameter_that_is_given_twice_is_refused(
    ours: Tenant, client: Client, endpoint: Endpoint, name: str
) -> None:
    value = "json" if name == "format" else "1"

    found = refusal(client, endpoint, ours, f"{name}={value}&{name}={value}")

    assert found == (400, {name: ["Give this parameter once."]})


def test_operations_know_the_parameters_that_their_description_names() -> None:
    known = {str(each): set(view_of(each).known_parameters()) for each in OPERATIONS}
    described = {str(each): set(query_parameters(each)) for each in OPERATIONS}

    differences = {
        name: known[name] ^ described[name]
        for name in known
        if (known[name] ^ described[name]) - LENIENT
    }

    assert len(known) > 60
    assert differences == {}
