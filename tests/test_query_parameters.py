"""Operations refuse unknown and repeated query parameters, and know those that they describe."""

from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from tests.calls import bearer_of, call
from tests.endpoint import Endpoint
from tests.operations import OPERATIONS, view_of
from tests.routes import query_parameters
from tests.tenants import Tenant

LENIENT = frozenset({"format"})
"""Ways to request JSON from lists, which return it anyway; not described."""


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
    [
        (each, name)
        for each in OPERATIONS
        for name, schema in query_parameters(each).items()
        if schema.get("type") != "array"
    ],
    ids=str,
)
def test_a_parameter_that_is_given_twice_is_refused(
    ours: Tenant, client: Client, endpoint: Endpoint, name: str
) -> None:
    value = "json" if name == "format" else "1"

    found = refusal(client, endpoint, ours, f"{name}={value}&{name}={value}")

    assert found == (400, {name: ["Give this parameter once."]})


def test_parameters_are_repeatable_where_their_description_is_a_list() -> None:
    repeatable = {
        (str(each), name)
        for each in OPERATIONS
        for name in view_of(each).repeatable_parameters & query_parameters(each).keys()
    }
    lists = {
        (str(each), name)
        for each in OPERATIONS
        for name, schema in query_parameters(each).items()
        if schema.get("type") == "array"
    }

    assert len(lists) == 52
    assert repeatable == lists


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


def ranges_of(schema: dict[str, Any]) -> list[tuple[int, int]]:
    """The ranges of numbers that the schema allows."""
    parts = schema.get("anyOf", [schema])
    return [(each["minimum"], each["maximum"]) for each in parts if "minimum" in each]


NUMBERS = [
    (each, name, low, high)
    for each in OPERATIONS
    for name, schema in query_parameters(each).items()
    for low, high in ranges_of(schema)
]


@pytest.mark.parametrize(("endpoint", "name", "low", "high"), NUMBERS, ids=str)
def test_a_number_may_be_in_the_ranges_of_its_description_and_nowhere_else(
    ours: Tenant, client: Client, endpoint: Endpoint, name: str, low: int, high: int
) -> None:
    steps = {5 * 10**power for power in range(1, 16)}
    expected = {each: endpoint.status for each in {low, high, *steps} if low <= each <= high}
    expected |= {low - 1: 400, high + 1: 400}

    answers = {each: refusal(client, endpoint, ours, f"{name}={each}")[0] for each in expected}

    assert answers == expected
