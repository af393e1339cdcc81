"""The verification of an audit log, over HTTP."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from conftest import ClientFor
from organizations.actors import Actor
from organizations.audit.log import verify_chain
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import record_event as record

AUDIT = "/api/v1/audit"


@pytest.fixture
def reader(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(organization, scopes="audit:read")


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


def test_events_that_are_recorded_meanwhile_are_no_break(
    organization: Organization, reader: Client
) -> None:
    record(organization)
    read: list[str] = []
    is_recording = False

    def record_another(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal is_recording
        if "organizations_audit" in sql and not is_recording:
            read.append(sql)
            is_recording = True
            record(organization)
            is_recording = False
        return execute(sql, *rest)

    with connection.execute_wrapper(record_another):
        body = reader.get(f"{AUDIT}/verify").json()

    assert len(read) >= 3
    assert (body["verified"], body["reason"]) == (True, "")


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
