"""The API accepts values exactly as the OpenAPI document describes them, and nothing similar."""

import pytest

from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import Organization
from organizations.tests.factories import make_membership


@pytest.mark.parametrize("value", [0, 1, "true", "yes", "", []])
def test_only_true_and_false_are_true_and_false(
    organization: Organization, client_for: ClientFor, value: object
) -> None:
    client = client_for(make_membership(organization))
    url = f"/api/v1/agents/{make_agent(organization).pk}"

    answer = client.patch(url, {"isPublic": value}, "application/json")

    assert (answer.status_code, list(answer.json()["details"])) == (400, ["isPublic"])


@pytest.mark.parametrize("value", ["5", True, 5.5, []])
def test_a_text_is_no_whole_number(
    organization: Organization, client_for: ClientFor, value: object
) -> None:
    client = client_for(make_membership(organization))
    url = f"/api/v1/organizations/{organization.public_id}"

    answer = client.patch(url, {"executionRetentionDays": value}, "application/json")

    assert (answer.status_code, list(answer.json()["details"])) == (400, ["executionRetentionDays"])


@pytest.mark.parametrize("path", ["/api/v1/audit", "/api/v1/executions"])
@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("", 400),
        ("1105-05-04T11:33:22-19:11", 200),  # PostgreSQL accepts no such offset
        ("0001-01-01", 200),
        ("9999-12-31", 200),
        ("2026-02-30", 400),
    ],
)
@pytest.mark.parametrize("name", ["fromDate", "toDate"])
def test_days_and_instants(
    organization: Organization, client_for: ClientFor, path: str, name: str, value: str, status: int
) -> None:
    client = client_for(make_membership(organization))

    assert client.get(path, {name: value}).status_code == status


@pytest.mark.parametrize("value", ["1969-12-31", "0390-07-13T16:42:25Z", "9999-12-31"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_a_window_may_begin_or_end_before_anything_started(
    organization: Organization, client_for: ClientFor, name: str, value: str
) -> None:
    client = client_for(make_membership(organization))

    answer = client.get("/api/dashboard/agent-stats", {name: value})

    assert answer.status_code == 200
