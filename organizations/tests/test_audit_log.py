"""The audit log over HTTP: events, filters, pages, verification and export."""

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
from organizations.audit.log import verify_chain
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
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


def test_verification_of_an_untouched_log(organization: Organization, reader: Client) -> None:
    for _ in range(3):
        record(organization)

    body = reader.get(f"{AUDIT}/verify").json()
    part = reader.get(f"{AUDIT}/verify", {"fromSequence": 2, "toSequence": 2}).json()

    assert body.pop("checkedAt")
    assert body == {
        "verified": True,
        "fromSequence": 1,
        "toSequence": 3,
        "checked": 3,
        "brokenAt": None,
        "reason": "",
        "headSequence": 3,
        "headHash": body["headHash"],
    }
    assert (part["verified"], part["checked"]) == (True, 1)


def test_verification_of_an_empty_log(reader: Client) -> None:
    body = reader.get(f"{AUDIT}/verify").json()

    assert (body["verified"], body["checked"]) == (True, 0)


def test_a_cut_off_end_is_found(organization: Organization, reader: Client, owner: Any) -> None:
    record(organization)
    enter(owner, organization)
    owner.execute("UPDATE organizations_auditchain SET sequence = 3")

    body = reader.get(f"{AUDIT}/verify").json()

    assert (body["verified"], body["brokenAt"]) == (False, 2)


def test_a_replaced_end_is_found(organization: Organization, reader: Client, owner: Any) -> None:
    record(organization)
    record(organization)
    enter(owner, organization)
    owner.execute("UPDATE organizations_auditchain SET hash = %s", [bytes(32)])

    body = reader.get(f"{AUDIT}/verify").json()

    assert (body["verified"], body["brokenAt"]) == (False, 2)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"fromSequence": "0"}, "fromSequence"),
        ({"fromSequence": "x"}, "fromSequence"),
        ({"toSequence": "99999999999999999999"}, "toSequence"),
        ({"fromSequence": "3", "toSequence": "2"}, "toSequence"),
        ({"from": "1"}, "from"),
    ],
)
@pytest.mark.parametrize("path", ["/verify", "/export"])
def test_a_bad_range_is_named(reader: Client, path: str, query: dict[str, str], field: str) -> None:
    answer = reader.get(AUDIT + path, query)

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [field]


@pytest.mark.parametrize("query", [{"fromSequence": 9}, {"toSequence": 9}])
def test_a_range_beyond_the_end_ends_there(
    organization: Organization, reader: Client, query: dict[str, int]
) -> None:
    record(organization)

    body = reader.get(f"{AUDIT}/verify", query).json()

    assert body["verified"] is True


@pytest.mark.parametrize("head", [None, 1])
def test_an_event_beyond_the_head_is_found(
    organization: Organization, reader: Client, owner: Any, head: int | None
) -> None:
    for _ in range(3):
        record(organization)
    enter(owner, organization)
    if head is None:
        owner.execute("DELETE FROM organizations_auditchain")
    else:
        owner.execute(
            "UPDATE organizations_auditchain SET (sequence, hash) = "
            "(SELECT sequence, hash FROM organizations_auditevent WHERE sequence = %s)",
            [head],
        )

    body = reader.get(f"{AUDIT}/verify").json()

    assert (body["verified"], body["brokenAt"]) == (False, (head or 0) + 1)
    assert body["reason"] == "The event lies beyond the recorded head."


def enter(owner: Any, organization: Organization) -> None:
    owner.execute("SELECT set_config('app.organization_id', %s, false)", [str(organization.pk)])


def test_a_verification_has_a_largest_range(
    organization: Organization, reader: Client, owner: Any
) -> None:
    enter(owner, organization)
    owner.execute(
        "INSERT INTO organizations_auditchain (organization_id, sequence, hash) "
        "VALUES (%s, 200000, %s)",
        [organization.pk, bytes(32)],
    )

    answer = reader.get(f"{AUDIT}/verify", {"fromSequence": 1})
    newest = reader.get(f"{AUDIT}/verify").json()

    assert answer.status_code == 400
    assert (newest["fromSequence"], newest["toSequence"]) == (100_001, 200_000)


def test_verification_is_limited_to_thirty_a_minute_for_each_organization(
    organization: Organization,
    other_organization: Organization,
    reader: Client,
    client_for: ClientFor,
) -> None:
    answers = [reader.get(f"{AUDIT}/verify") for _ in range(31)]

    assert [answer.status_code for answer in answers] == [200] * 30 + [429]
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    other = client_for(other_organization, scopes="audit:read")
    assert other.get(f"{AUDIT}/verify").status_code == 200


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7", "::192.0.2.7", "fe80::1%eth0", None]
)
@pytest.mark.parametrize("value", [1e22, -0.0, 1e-7, 0.1, 2**70, "\u2028", {"ä": [None, True]}])
def test_values_that_the_database_reformats_do_not_break_the_chain(
    organization: Organization, address: str | None, value: Any
) -> None:
    from core.addresses import plain_address

    actor = Actor(
        kind="system",
        id=None,
        label="tab\tand\nnewline \ud800",
        organization=organization,
        ip_address=plain_address(address) if address else None,
    )
    record(organization, actor=actor, value=value)

    with organization_scope(organization):
        assert verify_chain(organization).is_intact


def test_the_documentation_lists_exactly_the_recorded_actions() -> None:
    table = (settings.BASE_DIR / "docs/reference/audit.md").read_text().split("## The chain")[0]
    documented = re.findall("`([a-z_]+[.][a-z_]+)`", table.split("## Actions")[1])

    assert {*documented} == {*AuditAction}


def test_an_unknown_action_is_not_recorded(organization: Organization) -> None:
    with pytest.raises(ValueError, match=r"organization\.created"):
        record(organization, "organization.created")
