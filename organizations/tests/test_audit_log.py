"""The audit log over HTTP: events, filters and pages."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import structlog
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.models import Organization
from organizations.tests.factories import make_membership
from organizations.tests.factories import record_event as record

AUDIT = "/api/v1/audit"


@pytest.fixture
def reader(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(organization, scopes="audit:read")


def actions(answer: Any) -> list[str]:
    return [event["action"] for event in answer.json()["data"]]


def test_an_event_tells_who_did_what_to_whom_from_where(
    organization: Organization, reader: Client
) -> None:
    membership = make_membership(organization, "admin")
    actor = Actor.for_person(membership, ip_address="192.0.2.7", user_agent="curl/8")
    agent = make_agent(organization)
    record(organization, "org.updated")
    with structlog.contextvars.bound_contextvars(request_id="request-1"):
        event = record(organization, "agent.created", target=agent, actor=actor, note="first")

    body = reader.get(f"{AUDIT}/{event.pk}").json()

    timestamp = datetime.fromisoformat(body.pop("timestamp"))
    assert abs((datetime.now(UTC) - timestamp).total_seconds()) < 60
    assert body == {
        "eventId": str(event.pk),
        "organizationId": organization.public_id,
        "sequence": 2,
        "action": "agent.created",
        "outcome": "success",
        "agentId": str(agent.pk),
        "actor": {
            "kind": "person",
            "id": str(membership.user_id),
            "label": membership.user.email,
        },
        "target": {"type": "agent", "id": str(agent.pk), "label": agent.email},
        "ipAddress": "192.0.2.7",
        "userAgent": "curl/8",
        "requestId": "request-1",
        "metadata": {"note": "first"},
        "previousHash": bytes(event.previous_hash).hex(),
        "hash": bytes(event.hash).hex(),
    }
    assert reader.get(AUDIT).json()["data"][0]["eventId"] == str(event.pk)


def test_events_come_newest_first_in_pages(organization: Organization, reader: Client) -> None:
    for _ in range(5):
        record(organization)

    pages = [reader.get(AUDIT, {"page": page, "limit": 2}).json() for page in (1, 2, 3, 4)]

    assert [[event["sequence"] for event in page["data"]] for page in pages] == [
        [5, 4],
        [3, 2],
        [1],
        [],
    ]
    assert {page["total"] for page in pages} == {5}


def test_filters_narrow_the_list(organization: Organization, reader: Client) -> None:
    agent = make_agent(organization)
    record(organization, "agent.created", target=agent)
    record(organization, "auth.failed", outcome="failure", agent_id=agent.pk)
    record(organization, "org.updated")

    assert actions(reader.get(AUDIT, {"agentId": agent.pk})) == ["auth.failed", "agent.created"]
    assert actions(reader.get(AUDIT, {"action": "org.updated"})) == ["org.updated"]
    assert actions(reader.get(AUDIT, {"outcome": "failure"})) == ["auth.failed"]
    both = reader.get(AUDIT, {"agentId": agent.pk, "outcome": "success", "limit": 1}).json()
    assert (both["total"], both["data"][0]["action"]) == (1, "agent.created")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"fromDate": "2026-03-06"}, [3, 2]),
        ({"toDate": "2026-03-06"}, [2, 1]),
        ({"fromDate": "2026-03-06", "toDate": "2026-03-06"}, [2]),
        ({"fromDate": "2026-03-06T23:59:59.999999Z"}, [3, 2]),
        ({"fromDate": "2026-03-07T00:00:00+00:00"}, [3]),
        ({"toDate": "2026-03-07T01:00:00+02:00"}, [1]),
        ({"toDate": "2026-03-07T00:00:00"}, [3, 2, 1]),
        ({"fromDate": "0001-01-01", "toDate": "9999-12-31"}, [3, 2, 1]),
    ],
)
def test_dates_include_their_whole_day(
    organization: Organization,
    reader: Client,
    query: dict[str, str],
    found: list[int],
) -> None:
    for moment in ("2026-03-05T12:00:00Z", "2026-03-06T23:59:59.999999Z", "2026-03-07T00:00:00Z"):
        with time_machine.travel(moment, tick=False):
            record(organization)

    answer = reader.get(AUDIT, query).json()

    assert [event["sequence"] for event in answer["data"]] == found
    assert answer["total"] == len(found)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"agentId": "abc"}, "agentId"),
        ({"action": "nothing"}, "action"),
        ({"action": "a.b'; DROP TABLE x; --"}, "action"),
        ({"outcome": "maybe"}, "outcome"),
        ({"fromDate": "yesterday"}, "fromDate"),
        ({"fromDate": "2026-02-30"}, "fromDate"),
        ({"toDate": "2026-11-22T25:00:00Z"}, "toDate"),
        ({"page": "0"}, "page"),
        ({"page": "x"}, "page"),
        ({"limit": "101"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"agent": "x"}, "agent"),
    ],
)
def test_a_bad_filter_is_named(
    organization: Organization, reader: Client, query: dict[str, str], field: str
) -> None:
    answer = reader.get(AUDIT, query)

    assert answer.status_code == 400
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert list(answer.json()["details"]) == [field]


def test_an_event_of_another_organization_is_unknown(
    organization: Organization, other_organization: Organization, reader: Client
) -> None:
    foreign = record(other_organization)

    answer = reader.get(f"{AUDIT}/{foreign.pk}")
    unknown = reader.get(f"{AUDIT}/{UUID(int=7)}")

    assert reader.get(AUDIT).json()["total"] == 0
    assert (answer.status_code, answer.json()["code"]) == (404, "AUDIT_EVENT_NOT_FOUND")
    assert answer.content == unknown.content


@pytest.mark.parametrize("path", ["", "/verify", "/export", f"/{UUID(int=7)}"])
def test_reading_needs_the_scope(
    organization: Organization, client_for: ClientFor, path: str
) -> None:
    assert Client().get(AUDIT + path).status_code == 401
    assert client_for(organization, scopes="agents:read").get(AUDIT + path).status_code == 403
    assert client_for(make_membership(organization, "viewer")).get(AUDIT + path).status_code == 403


def test_counting_the_log_scans_nothing(organization: Organization, reader: Client) -> None:
    for _ in range(3):
        record(organization)

    with CaptureQueriesContext(connection) as queries:
        reader.get(AUDIT)

    assert len(queries) == 8
    assert not any("COUNT(" in query["sql"] for query in queries)


def test_the_documentation_lists_exactly_the_recorded_actions() -> None:
    table = (settings.BASE_DIR / "docs/reference/audit.md").read_text().split("## The chain")[0]
    documented = re.findall("`([a-z_]+[.][a-z_]+)`", table.split("## Actions")[1])

    assert {*documented} == {*AuditAction}


def test_an_unknown_action_is_not_recorded(organization: Organization) -> None:
    with pytest.raises(ValueError, match=r"organization\.created"):
        record(organization, "organization.created")
