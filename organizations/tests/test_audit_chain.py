"""Every change of the hash chain is found and located, and the chain never forks."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from organizations.actors import Actor
from organizations.audit.log import FIRST_HASH, event_hash, first_break, record_event, verify_chain
from organizations.models import AuditEvent
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization

START = datetime(2026, 11, 22, tzinfo=UTC)
ORGANIZATION = UUID(int=1)


def chain(length: int) -> list[AuditEvent]:
    events: list[AuditEvent] = []
    previous = FIRST_HASH
    for number in range(1, length + 1):
        event = AuditEvent(
            id=UUID(int=number),
            organization_id=ORGANIZATION,
            sequence=number,
            occurred_at=START + timedelta(seconds=number),
            action="agent.created",
            outcome="success",
            actor_kind="person",
            actor_id=UUID(int=9),
            actor_label="ada@example.com",
            agent_id=None,
            target_type="agent",
            target_id="7",
            target_label="seven",
            ip_address="192.0.2.7",
            user_agent="curl",
            request_id="r",
            metadata={"number": number},
            previous_hash=previous,
        )
        previous = event.hash = event_hash(event)
        events.append(event)
    return events


CHANGES: dict[str, Any] = {
    "id": uuid4(),
    "organization_id": uuid4(),
    "occurred_at": START,
    "action": "agent.updated",
    "outcome": "failure",
    "actor_kind": "agent",
    "actor_id": None,
    "actor_label": "eve@example.com",
    "agent_id": uuid4(),
    "target_type": "credential",
    "target_id": "8",
    "target_label": "eight",
    "ip_address": "192.0.2.8",
    "user_agent": "",
    "request_id": "",
    "metadata": {"number": 0},
    "previous_hash": bytes(31) + b"\x01",
    "hash": bytes(32),
}


def test_every_hashed_field_is_among_the_changes() -> None:
    fields = {field.attname for field in AuditEvent._meta.fields}

    assert fields - CHANGES.keys() == {"sequence", "created_at"}


def broken_at(events: list[AuditEvent], length: int) -> int | None:
    place, _, reached, _ = first_break(events, 1, FIRST_HASH)
    return place if place is not None or reached == length else reached + 1


@settings(max_examples=500, deadline=None)
@given(data=st.data(), length=st.integers(2, 12))
def test_any_edit_is_found_and_its_place_named(data: st.DataObject, length: int) -> None:
    events = chain(length)
    edit = data.draw(st.sampled_from(["change", "delete", "insert", "swap"]))
    place = data.draw(st.integers(0, length - (2 if edit == "swap" else 1)))
    if edit == "change":
        field = data.draw(st.sampled_from(sorted(CHANGES)))
        events[place] = copy(events[place])
        setattr(events[place], field, CHANGES[field])
    elif edit == "delete":
        del events[place]
    elif edit == "insert":
        forged = copy(events[place])
        forged.id = uuid4()
        forged.hash = event_hash(forged)
        events.insert(place, forged)
    else:
        events[place], events[place + 1] = events[place + 1], events[place]

    found = broken_at(events, length)

    # A forged event with correct hashes is detected at the next one.
    assert found == place + (2 if edit == "insert" else 1)


@settings(max_examples=100, deadline=None)
@given(length=st.integers(1, 12))
def test_an_untouched_chain_is_intact(length: int) -> None:
    assert broken_at(chain(length), length) is None


def test_a_change_with_a_corrected_hash_is_found_at_the_next_event() -> None:
    events = chain(3)
    events[1].action = "agent.updated"
    events[1].hash = event_hash(events[1])

    assert broken_at(events, 3) == 3


def in_threads(count: int, work: Callable[[int], None]) -> None:
    def run(number: int) -> None:
        try:
            work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_sixteen_writers_make_one_line_without_forks_or_gaps() -> None:
    organization = make_organization()
    actor = Actor.for_system(organization, "test")

    def write(number: int) -> None:
        for turn in range(20):
            with organization_scope(organization):
                record_event("org.updated", actor=actor, writer=number, turn=turn)

    in_threads(16, write)

    with organization_scope(organization):
        sequences = list(AuditEvent.objects.in_order().values_list("sequence", flat=True))
        parents = set(AuditEvent.objects.values_list("previous_hash", flat=True))
        assert sequences == list(range(1, 321))
        assert len({bytes(parent) for parent in parents}) == 320
        assert verify_chain(organization).is_intact


@pytest.mark.django_db(transaction=True)
def test_a_change_that_fails_leaves_no_gap() -> None:
    organization = make_organization()
    actor = Actor.for_system(organization, "test")

    def write(number: int) -> None:
        try:
            with organization_scope(organization):
                record_event("org.updated", actor=actor)
                if number % 2:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    in_threads(8, write)

    with organization_scope(organization):
        assert verify_chain(organization).is_intact
        assert AuditEvent.objects.count() == 4
