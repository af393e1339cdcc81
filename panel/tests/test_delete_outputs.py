"""Deletion by /outputs, in the words of kodosumi's panel."""

from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from executions.models import DeletedExecution, Execution, ExecutionEvent, ExecutionFile
from executions.tests.factories import (
    RUNNING,
    make_execution,
    make_file,
    make_user_of,
)
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership


@pytest.fixture
def client(viewer: Membership, client_for: ClientFor) -> Client:
    return client_for(viewer)


def test_a_session_deletes_with_its_csrf_token_only(
    organization: Organization, signed_in: Any
) -> None:
    operator = make_membership(organization, "operator")
    execution = make_execution(organization, user=make_user_of(operator))
    browser = signed_in(operator)
    browser.handler.enforce_csrf_checks = True
    browser.get("/password")
    url = f"/outputs/{execution.fid}"

    without = browser.delete(url)
    with_token = browser.delete(url, headers={"X-CSRFToken": browser.cookies["csrftoken"].value})

    assert (without.status_code, without.json()["code"]) == (403, "FORBIDDEN")
    assert with_token.status_code == 204


def test_an_anonymous_request_gets_a_json_error(db: None) -> None:
    answer = Client(headers={"Accept": "text/html"}).get("/outputs/html/x")

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


# Deleting


@pytest.fixture
def operator(organization: Organization) -> Membership:
    return make_membership(organization, "operator")


def fids(organization: Organization) -> set[str]:
    with organization_scope(organization):
        return set(Execution.objects.values_list("fid", flat=True))


def test_a_deleted_execution_is_gone_with_all_it_had(
    organization: Organization, operator: Membership, client_for: ClientFor
) -> None:
    execution = make_execution(organization)
    make_file(execution)
    client = client_for(operator)

    answer = client.delete(f"/outputs/{execution.fid}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"/outputs/status/{execution.fid}").status_code == 404
    with organization_scope(organization):
        left = [model.objects.count() for model in (Execution, ExecutionEvent, ExecutionFile)]
        assert left == [0, 0, 0]
        assert DeletedExecution.objects.get().fid == execution.fid


def test_a_live_execution_is_stopped_before_it_is_deleted(
    organization: Organization, operator: Membership, client_for: ClientFor
) -> None:
    execution = make_execution(organization, RUNNING)

    answer = client_for(operator).delete(f"/outputs/{execution.fid}")

    assert answer.status_code == 204
    with organization_scope(organization):
        actions = list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))
    assert actions[-2:] == ["execution.stopped", "execution.deleted"]


def test_several_are_deleted_at_once(
    organization: Organization, operator: Membership, client_for: ClientFor
) -> None:
    first, second, kept = (make_execution(organization, RUNNING) for _ in range(3))

    answer = client_for(operator).delete(
        "/outputs",
        {"fid": [first.fid, second.fid, first.fid]},
        content_type="application/json",
    )

    assert answer.status_code == 204
    assert fids(organization) == {kept.fid}


def test_one_unknown_id_keeps_all(
    organization: Organization,
    other_organization: Organization,
    operator: Membership,
    client_for: ClientFor,
) -> None:
    execution, foreign = make_execution(organization), make_execution(other_organization)

    for unknown in ("unknown", foreign.fid):
        answer = client_for(operator).delete(
            "/outputs", {"fid": [execution.fid, unknown]}, content_type="application/json"
        )

        assert (answer.status_code, answer.json()["code"]) == (404, "EXECUTION_NOT_FOUND")
        assert answer.json()["details"] == {"fid": [unknown]}
    assert fids(organization) == {execution.fid}
    assert fids(other_organization) == {foreign.fid}


@pytest.mark.parametrize("body", ["{}", '{"fid": []}'])
def test_nothing_to_delete_is_fine(operator: Membership, client_for: ClientFor, body: str) -> None:
    answer = client_for(operator).delete("/outputs", body, content_type="application/json")

    assert answer.status_code == 204


@pytest.mark.parametrize("wanted", ["x", None, {}, [7.5, {}], ["x" * 65], ["x"] * 501, [None]])
def test_what_to_delete_is_a_list_of_ids(
    operator: Membership, client_for: ClientFor, wanted: Any
) -> None:
    answer = client_for(operator).delete(
        "/outputs", {"fid": wanted}, content_type="application/json"
    )

    assert answer.status_code == 400
    assert "fid" in answer.json()["details"]
