"""The database refuses whatever would rewrite the audit log, also from the owner of its tables."""

from itertools import pairwise
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from psycopg import errors

from core.ids import uuid7
from organizations.actors import Actor
from organizations.audit.log import event_hash, record_event, verify_chain
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope


def record(organization: Organization, times: int = 1) -> None:
    with organization_scope(organization):
        for _ in range(times):
            record_event("org.updated", actor=Actor.for_system(organization, "test"))


@pytest.mark.parametrize(
    "statement", ["TRUNCATE {}", "DELETE FROM {}", "UPDATE {} SET action = 'x'"]
)
def test_not_even_the_owner_changes_the_audit_log_by_a_plain_statement(
    owner: Any, organization: Organization, statement: str
) -> None:
    record(organization)
    owner.execute("SELECT set_config('app.organization_id', %s, false)", [str(organization.pk)])
    owner.execute("GRANT UPDATE, DELETE ON organizations_auditevent TO CURRENT_USER")
    try:
        with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
            owner.execute(statement.format("organizations_auditevent"))
    finally:
        owner.execute("REVOKE UPDATE, DELETE ON organizations_auditevent FROM CURRENT_USER")

    with organization_scope(organization):
        assert verify_chain(organization).is_intact
        assert AuditEvent.objects.count() == 1


FORGED = {
    "a copy as the next": {"sequence": 4},
    "a gap": {"sequence": 6},
    "one before the first": {"sequence": 0},
    "another hash before": {"sequence": 4, "previous_hash": b"x" * 32},
    "a short hash": {"sequence": 4, "previous_hash": None, "hash": b"x"},
}


@pytest.mark.parametrize("name", FORGED)
def test_an_event_that_does_not_follow_the_head_is_refused_and_stops_nothing(
    organization: Organization, name: str
) -> None:
    record(organization, 3)

    with (
        pytest.raises(IntegrityError, match="does not follow event 3"),
        transaction.atomic(),
        organization_scope(organization),
    ):
        insert_forged(FORGED[name])

    record(organization)
    with organization_scope(organization):
        verified = verify_chain(organization)
    assert (verified.is_intact, verified.head_sequence) == (True, 4)


def test_an_event_that_was_never_recorded_is_found_and_stops_nothing(
    organization: Organization,
) -> None:
    record(organization, 3)
    with organization_scope(organization):
        insert_forged({"sequence": 4, "previous_hash": None})

    record(organization)

    with organization_scope(organization):
        verified = verify_chain(organization)
    assert (verified.is_intact, verified.broken_at) == (False, 4)
    assert verified.head_sequence == 5


def insert_forged(fields: dict[str, Any]) -> None:
    """Insert a copy of the last event with these fields; a `previous_hash` of None is correct."""
    last = AuditEvent.objects.in_order().last()
    assert last is not None
    forged = AuditEvent.objects.get(pk=last.pk)
    forged.pk = uuid7()
    for field, value in fields.items():
        setattr(forged, field, bytes(last.hash) if value is None else value)
    forged.save(force_insert=True)


def test_many_events_in_one_statement_are_one_line(organization: Organization) -> None:
    record(organization)
    with organization_scope(organization):
        last = AuditEvent.objects.get()
        followers = [copy_of(last, sequence=number) for number in (2, 3, 4)]
        for before, event in pairwise([last, *followers]):
            event.previous_hash = before.hash
            event.hash = event_hash(event)
        with pytest.raises(IntegrityError, match="event 4 does not follow"), transaction.atomic():
            AuditEvent.objects.bulk_create([*followers[:1], *followers[2:]])

        AuditEvent.objects.bulk_create(reversed(followers))

        verified = verify_chain(organization)
    assert (verified.is_intact, verified.head_sequence) == (True, 4)


def copy_of(event: AuditEvent, **fields: Any) -> AuditEvent:
    names = [field.attname for field in event._meta.concrete_fields]
    values = {name: getattr(event, name) for name in names}
    return AuditEvent(**values | {"id": uuid7()} | fields)


def test_the_head_of_another_organization_is_out_of_reach(
    organization: Organization, other_organization: Organization
) -> None:
    record(other_organization)

    with (
        pytest.raises(DatabaseError, match="row-level security"),
        organization_scope(organization),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM organizations_lock_audit_head(%s)", [other_organization.pk])
