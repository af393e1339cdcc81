"""Other organizations' ids behave like unknown ones, reveal and change nothing, and no request
can choose the organization in which it acts.
"""

from itertools import combinations
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from conftest import ClientFor
from organizations.actors import Scope
from organizations.tests.factories import make_membership
from tests.calls import assert_shows_nothing_of, call, caller
from tests.endpoint import Endpoint
from tests.endpoints import BEARER
from tests.routes import names_in, query_parameters
from tests.tenants import Tenant, unknown_id

ORGANIZATION_HEADERS = ("X-Organization-Id", "X-Org-Id", "X-Tenant-Id", "Organization")
ORGANIZATION_PARAMETERS = ("organization_id", "organizationId", "organization", "tenant")


def slots(endpoint: Endpoint) -> list[tuple[str, ...]]:
    """Every combination of the path's ids to replace by foreign ones."""
    names = names_in(endpoint.path)
    return [chosen for number in range(1, len(names) + 1) for chosen in combinations(names, number)]


IN_PATH = [each for each in BEARER if slots(each)]
IN_QUERY = [
    (each, name)
    for each in BEARER
    for name, schema in query_parameters(each).items()
    if schema.get("format") == "uuid"
]
IN_BODY = [(each, name) for each in BEARER for name in each.references]


@pytest.fixture(params=["agent", "person of both"])
def insider(
    request: pytest.FixtureRequest, ours: Tenant, theirs: Tenant, client_for: ClientFor
) -> Client:
    """A caller with full access at home, possibly a member of the other organization as well."""
    if request.param == "agent":
        return client_for(ours.entitled(ours.another_agent(), *Scope.values))
    make_membership(theirs.organization, "owner", ours.person("owner").user)
    return client_for(ours.person("owner"))


@pytest.fixture(params=["agent", "owner"])
def outsider(request: pytest.FixtureRequest, ours: Tenant, client_for: ClientFor) -> Client:
    """A caller with full access at home and no access elsewhere."""
    if request.param == "agent":
        return client_for(ours.entitled(ours.another_agent(), *Scope.values))
    return client_for(ours.person("owner"))


@pytest.mark.parametrize("endpoint", IN_PATH, ids=str)
def test_foreign_ids_in_the_path_are_as_unknown_as_no_id(
    endpoint: Endpoint, ours: Tenant, theirs: Tenant, insider: Client
) -> None:
    own, their = endpoint.ids(ours), endpoint.ids(theirs)
    body = endpoint.body(ours) if endpoint.body else None
    before = theirs.rows()

    for chosen in slots(endpoint):
        foreign = own | {name: their[name] for name in chosen}
        missing = own | {name: unknown_id(their[name]) for name in chosen}
        answer = call(insider, endpoint, ours, ids=foreign, body=body)
        nothing = call(insider, endpoint, ours, ids=missing, body=body)

        assert answer.status_code == 404
        assert_same_refusal(answer, nothing)
        assert_shows_nothing_of(theirs, answer)
    assert theirs.rows() == before


@pytest.mark.parametrize(("endpoint", "name"), IN_QUERY, ids=str)
def test_foreign_ids_in_the_query_are_as_unknown_as_no_id(
    endpoint: Endpoint, name: str, ours: Tenant, theirs: Tenant, insider: Client
) -> None:
    foreign = str(theirs.id_for(name))

    answer = call(insider, endpoint, ours, query=f"{name}={foreign}")
    nothing = call(insider, endpoint, ours, query=f"{name}={unknown_id(foreign)}")

    assert_same_refusal(answer, nothing)
    assert_shows_nothing_of(theirs, answer)


@pytest.mark.parametrize(("endpoint", "name"), IN_BODY, ids=str)
def test_foreign_ids_in_the_body_are_as_unknown_as_no_id(
    endpoint: Endpoint, name: str, ours: Tenant, theirs: Tenant, outsider: Client
) -> None:
    assert endpoint.body is not None
    ids, body = endpoint.ids(ours), endpoint.body(ours)
    foreign = endpoint.body(theirs)[name]
    before = theirs.rows()

    answer = call(outsider, endpoint, ours, ids=ids, body=body | {name: foreign})
    nothing = call(outsider, endpoint, ours, ids=ids, body=body | {name: unknown_id(foreign)})

    assert_same_refusal(answer, nothing)
    assert_shows_nothing_of(theirs, answer)
    assert theirs.rows() == before


@pytest.mark.slow
def test_whatever_names_another_organization_is_refused_or_ignored(
    ours: Tenant, theirs: Tenant, client_for: ClientFor
) -> None:
    headers = dict.fromkeys(ORGANIZATION_HEADERS, theirs.organization.public_id)
    query = "&".join(f"{name}={theirs.organization.pk}" for name in ORGANIZATION_PARAMETERS)
    for each in BEARER:
        ours.keep(each.ids, each.body)
    theirs.fill()
    before = theirs.rows()

    for endpoint in BEARER:
        client = caller(client_for, ours, endpoint)
        ids, body = ours.kept(endpoint.ids), ours.kept(endpoint.body)
        statuses = []
        for how in ({}, headers, {"query": query}):
            with transaction.atomic():
                answer = call(client, endpoint, ours, ids=ids, body=body, **how)
                assert_shows_nothing_of(theirs, answer)
                assert theirs.rows() == before
                transaction.set_rollback(True)
            statuses.append(answer.status_code)
        usual, by_header, by_parameter = statuses
        assert usual in {endpoint.status, 409}, endpoint
        assert by_header == usual, endpoint
        assert by_parameter in {usual, 400}, endpoint


def assert_same_refusal(answer: Any, nothing: Any) -> None:
    assert answer.status_code == nothing.status_code
    assert answer.content == nothing.content
    assert {**answer.headers, "X-Request-Id": ""} == {**nothing.headers, "X-Request-Id": ""}
