"""Each assertion of the sweeps fails on a view that is wrong on purpose."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from core import operation_names
from tests import (
    test_bad_input,
    test_dead_tokens,
    test_five_proofs,
    test_foreign_ids,
    test_headers,
    test_mass_assignment,
    test_page_proofs,
    test_route_table,
)
from tests.endpoint import ORGANIZATION, PAGE, Endpoint
from tests.examples import agent, agent_page, more_agents, new_agent
from tests.tenants import Tenant

pytestmark = pytest.mark.urls("tests.wrong_urls")

READ = ("agents:read",)


def wrong(name: str, method: str = "GET", **fields: Any) -> Endpoint:
    """The row of the endpoint table for the wrong view of this name."""
    fields = {"scopes": READ, "role": "viewer"} | fields
    return Endpoint(method, f"/api/v1/wrong/{name}", ORGANIZATION, **fields)


def page(name: str, **fields: Any) -> Endpoint:
    fields = {"ids": agent_page, "scopes": READ} | fields
    return Endpoint("GET", f"/wrong/{name}", PAGE, **fields)


class AnyOperation(dict[str, tuple[str, str]]):
    """The named operations, and those of the wrong views."""

    def __missing__(self, operation: str) -> tuple[str, str]:
        return operation, operation


@pytest.fixture(autouse=True)
def named_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_names, "SUMMARIES", AnyOperation(operation_names.SUMMARIES))


@pytest.fixture
def owner(ours: Tenant, client_for: ClientFor) -> Client:
    return client_for(ours.person("owner"))


FIRES: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "a view that crashes": (
        test_five_proofs.test_it_works_with_the_scopes_that_it_names,
        {"endpoint": wrong("crash", status=200)},
    ),
    "a view for strangers": (
        test_five_proofs.test_anonymous_callers_are_refused_and_told_how_to_authenticate,
        {"endpoint": wrong("open/{agentId}", ids=agent)},
    ),
    "a view that forgot its scope": (
        test_five_proofs.test_every_missing_scope_is_refused_and_named,
        {"endpoint": wrong("without-scope", scopes=READ), "scope": "agents:read"},
    ),
    "a view that forgot the role": (
        test_five_proofs.test_the_least_role_suffices_and_every_lesser_one_is_refused,
        {"endpoint": wrong("without-scope", role="admin")},
    ),
    "a list that asks once for each row": (
        test_five_proofs.test_a_list_takes_as_many_queries_for_twenty_rows_as_for_two,
        {"endpoint": wrong("slow-list", rows=more_agents)},
    ),
    "a list of everybody's rows": (
        test_five_proofs.test_a_list_counts_and_shows_own_rows_only,
        {"endpoint": wrong("everybody", rows=more_agents)},
    ),
    "a view that shows a foreign row": (
        test_foreign_ids.test_foreign_ids_in_the_path_are_as_unknown_as_no_id,
        {"endpoint": wrong("open/{agentId}", ids=agent)},
    ),
    "a view that tells foreign from unknown": (
        test_foreign_ids.test_foreign_ids_in_the_path_are_as_unknown_as_no_id,
        {"endpoint": wrong("oracle/{agentId}", ids=agent)},
    ),
    "a view that names the foreign row in its refusal": (
        test_foreign_ids.test_foreign_ids_in_the_path_are_as_unknown_as_no_id,
        {"endpoint": wrong("talkative/{agentId}", ids=agent)},
    ),
    "a view that changes a foreign row and says it is unknown": (
        test_foreign_ids.test_foreign_ids_in_the_path_are_as_unknown_as_no_id,
        {"endpoint": wrong("silent/{agentId}", "POST", ids=agent)},
    ),
    "a view that follows a reference": (
        test_foreign_ids.test_foreign_ids_in_the_body_are_as_unknown_as_no_id,
        {"endpoint": wrong("reference", "POST", body=agent), "name": "agentId"},
    ),
    "a view that ignores unknown fields": (
        test_mass_assignment.test_a_field_that_is_not_offered_is_refused_by_name,
        {"endpoint": wrong("reference", "POST", body=agent)},
    ),
    "a view that stumbles over a query": (
        test_bad_input.test_no_query_is_too_bad,
        {"endpoint": wrong("careless-query")},
    ),
    "a view that stumbles over JSON": (
        test_bad_input.test_no_json_is_too_bad,
        {"endpoint": wrong("careless", "POST", body=new_agent)},
    ),
    "a view that stumbles over an id": (
        test_bad_input.test_no_id_is_too_bad,
        {"endpoint": wrong("text-id/{agentId}", ids=agent)},
    ),
    "a view that reads any content type": (
        test_bad_input.test_another_content_type_is_refused,
        {"endpoint": wrong("careless", "POST", body=new_agent)},
    ),
    "a page for strangers": (
        test_page_proofs.test_strangers_are_sent_to_the_sign_in,
        {"page": page("open/{agent_id}")},
    ),
    "a page that forgot its scope": (
        test_page_proofs.test_the_least_role_suffices_and_every_lesser_one_is_refused,
        {"page": page("open/{agent_id}", role="admin")},
    ),
    "a page that shows a foreign row": (
        test_page_proofs.test_another_organizations_page_is_as_unknown_as_no_page,
        {"page": page("open/{agent_id}")},
    ),
    "a form without protection": (
        test_page_proofs.test_a_form_of_another_site_changes_nothing,
        {"page": Endpoint("POST", "/wrong/unprotected", PAGE)},
    ),
    "a page that caches may keep": (
        test_headers.test_pages_are_private_and_guarded,
        {"page": page("cached/{agent_id}")},
    ),
    "a view that nobody listed": (
        test_route_table.test_every_route_stands_in_the_table_and_every_row_is_a_route,
        {},
    ),
    "an operation that nobody listed": (
        test_route_table.test_the_openapi_document_describes_every_operation_of_the_table,
        {},
    ),
    "a view that is not sealed": (
        test_route_table.test_every_api_view_is_sealed_into_its_organization,
        {},
    ),
    "a page outside of any organization": (
        test_route_table.test_every_page_runs_within_its_organization,
        {},
    ),
    "a page without sign-in": (
        test_route_table.test_every_page_without_a_reason_needs_a_sign_in,
        {},
    ),
}


@pytest.mark.parametrize("wrong_view", FIRES)
def test_the_proof_fires_at(
    wrong_view: str, ours: Tenant, theirs: Tenant, client_for: ClientFor, owner: Client, db: None
) -> None:
    proof, arguments = FIRES[wrong_view]
    fixtures = {
        "ours": ours,
        "theirs": theirs,
        "client_for": client_for,
        "insider": owner,
        "outsider": owner,
        "caller": owner,
        "db": db,
    }
    wanted = proof.__code__.co_varnames[: proof.__code__.co_argcount]

    with pytest.raises(AssertionError):
        proof(**{name: fixtures[name] for name in wanted if name in fixtures}, **arguments)


def test_the_proof_fires_at_a_view_that_checks_the_signature_only(
    ours: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_dead_tokens, "BEARER", [wrong("signature-only")])

    with pytest.raises(AssertionError):
        test_dead_tokens.test_an_ended_token_opens_nothing(test_dead_tokens.revoked, ours)


def test_the_proof_fires_at_a_view_that_follows_a_header(
    ours: Tenant, theirs: Tenant, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_foreign_ids, "BEARER", [wrong("header")])

    with pytest.raises(AssertionError):
        test_foreign_ids.test_whatever_names_another_organization_is_refused_or_ignored(
            ours, theirs, client_for
        )
