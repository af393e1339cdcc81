"""Every endpoint works, refuses anonymous callers, wrong scopes and wrong roles, and has a list
with a fixed number of queries. test_foreign_ids.py covers other organizations' ids.
"""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conftest import ClientFor
from organizations.actors import Scope
from tests.calls import call, caller
from tests.endpoint import CLIENT, PUBLIC, Endpoint
from tests.endpoints import BEARER, ENDPOINTS
from tests.routes import query_parameters
from tests.tenants import Tenant

ROLES = ["viewer", "operator", "admin", "owner"]
LISTS = [each for each in BEARER if each.rows is not None]


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.access == PUBLIC], ids=str)
def test_a_public_endpoint_answers_strangers(endpoint: Endpoint, ours: Tenant) -> None:
    response = call(Client(), endpoint, ours)

    assert response.status_code == endpoint.status


@pytest.mark.parametrize("endpoint", BEARER, ids=str)
def test_it_works_with_the_scopes_that_it_names(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    response = call(caller(client_for, ours, endpoint), endpoint, ours)

    assert response.status_code == endpoint.status, response.content


@pytest.mark.parametrize("endpoint", BEARER, ids=str)
def test_the_least_role_suffices_and_every_lesser_one_is_refused(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    least = ROLES.index(endpoint.role) if endpoint.role else len(ROLES)
    asked = ROLES[: least + 1]

    answers = {
        role: call(client_for(ours.person(role)), endpoint, ours).status_code for role in asked
    }

    refused = dict.fromkeys(asked, 403)
    assert answers == refused | ({endpoint.role: endpoint.status} if endpoint.role else {})


@pytest.mark.parametrize("endpoint", BEARER, ids=str)
def test_anonymous_callers_are_refused_and_told_how_to_authenticate(
    endpoint: Endpoint, ours: Tenant
) -> None:
    ids, body = endpoint.ids(ours), endpoint.body and endpoint.body(ours)
    before = ours.rows()

    response = call(Client(), endpoint, ours, ids=ids, body=body)

    assert response.status_code == 401
    # RFC 6750 section 3.1: no error code for a request without any authentication.
    challenge = "Basic" if endpoint.access == CLIENT else "Bearer"
    assert response["WWW-Authenticate"].partition(" ")[0] == challenge
    assert "error" not in response["WWW-Authenticate"]
    assert ours.rows() == before


@pytest.mark.parametrize(
    ("endpoint", "scope"),
    [(each, scope) for each in BEARER for scope in each.scopes],
    ids=lambda value: str(value),
)
def test_every_missing_scope_is_refused_and_named(
    endpoint: Endpoint, scope: str, ours: Tenant, client_for: ClientFor
) -> None:
    agent = ours.entitled(ours.another_agent(), *set(Scope.values) - {scope})

    response = call(client_for(agent), endpoint, ours)

    assert response.status_code == 403
    challenge = response["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope"')
    assert scope in challenge.partition('scope="')[2]


@pytest.mark.parametrize("endpoint", LISTS, ids=str)
def test_a_list_takes_as_many_queries_for_twenty_rows_as_for_two(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    fill(endpoint, ours, 2)
    few = queries_of(client, endpoint, ours)
    fill(endpoint, ours, 18)

    many = queries_of(client, endpoint, ours)

    assert len(many) == len(few), "\n".join(many)


@pytest.mark.parametrize("endpoint", LISTS, ids=str)
def test_a_list_counts_and_shows_own_rows_only(
    endpoint: Endpoint, ours: Tenant, theirs: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    empty = call(client, endpoint, ours, query=whole(endpoint)).json()
    fill(endpoint, ours, 3)
    before = call(client, endpoint, ours, query=whole(endpoint)).json()
    endpoint.ids(theirs)
    fill(endpoint, theirs, 7)

    after = call(client, endpoint, ours, query=whole(endpoint)).json()

    assert after == before != empty
    rows = after[endpoint.rows_key]
    assert after.get("total", len(rows)) == len(rows)


def fill(endpoint: Endpoint, tenant: Tenant, number: int) -> None:
    assert endpoint.rows is not None
    endpoint.rows(tenant, number)


def whole(endpoint: Endpoint) -> str:
    """The query that requests the maximum of everything."""
    return "limit=100" if "limit" in query_parameters(endpoint) else ""


def queries_of(client: Client, endpoint: Endpoint, tenant: Tenant) -> list[str]:
    ids = endpoint.ids(tenant)
    with CaptureQueriesContext(connection) as captured:
        response = call(client, endpoint, tenant, ids=ids, query=whole(endpoint))
    assert response.status_code == 200
    # The key ring reloads its keys every few seconds, whatever is requested.
    statements = [query["sql"] for query in captured.captured_queries]
    return [each for each in statements if "tokens_signingkey" not in each]
