"""What one response takes is bounded in bytes, whatever engines wrote and however they wrote it."""

import json
import tracemalloc
from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from executions.event_log import NewEvent
from executions.models import now
from executions.tests.factories import FAILED, START, make_execution, make_user_of, tagged
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

ERRORS = "/api/dashboard/errors"
CHANGES = "/timeline/changes"
TIMES_AS_MUCH = 8
"""Memory of a response by its length. Read into objects, what follows takes twenty-five times as
much."""
VALUES = 5_000


@pytest.fixture
def person(organization: Organization) -> Membership:
    return make_membership(organization, "operator")


@pytest.fixture
def client(person: Membership, client_for: ClientFor) -> Client:
    return client_for(person)


def make_errors(organization: Organization, *texts: str) -> None:
    start = now() - 60
    events = [NewEvent(start + number, "error", text) for number, text in enumerate(texts)]
    make_execution(organization, FAILED, start=start, events=events)


def memory_of(client: Client, url: str, query: dict[str, Any]) -> tuple[int, Any]:
    """The most that the response took, in bytes, and the response."""
    client.get(url, query)
    tracemalloc.start()
    answer = client.get(url, query)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 200, answer.content
    return peak, answer


def test_many_values_in_errors_take_no_memory_of_their_own(
    client: Client, organization: Organization
) -> None:
    text = json.dumps([{}] * VALUES, separators=(",", ":"))
    make_errors(organization, *[text] * 100)

    peak, answer = memory_of(client, ERRORS, {"limit": 1000})

    assert [row["error"] for row in answer.json()["errors"]] == [[{}] * VALUES] * 100
    assert peak < TIMES_AS_MUCH * len(answer.content)


def test_many_values_in_inputs_take_no_memory_of_their_own(
    client: Client, person: Membership
) -> None:
    inputs = [tagged("inputs", START, list=[{}] * VALUES)]
    for _ in range(100):
        make_execution(person.organization, user=make_user_of(person), events=inputs)

    peak, answer = memory_of(client, CHANGES, {"since": 0})

    whole = {"dict": {"list": [{}] * VALUES}}
    assert [each["inputs"] for each in answer.json()["update"]] == [whole] * 100
    assert peak < TIMES_AS_MUCH * len(answer.content)


def test_texts_of_errors_are_bounded_in_bytes(
    client: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Characters of four bytes make a page shorter; none is lost."""
    monkeypatch.setattr("panel.dashboard.MAX_BYTES", 3_000)
    long = "\U0001f600" * 2_000
    make_errors(organization, *(f"ValueError: {number}\n{long}" for number in range(6)))
    pages, query = [], {"limit": 3}

    while query:
        page = client.get(ERRORS, query).json()
        pages.append([row["message"] for row in page["errors"]])
        assert page["limit"] == len(page["errors"]) or not page["has_more"]
        query = {"limit": 3, "cursor": page["next_cursor"]} if page["has_more"] else {}

    assert pages == [[f"ValueError: {n}"] for n in range(5, -1, -1)]


@pytest.mark.parametrize("column", ["inputs", "meta", "locks"])
@pytest.mark.parametrize("begins_with_a_time", [True, False])
@pytest.mark.django_db(transaction=True)
def test_large_changes_come_in_parts(
    client: Client,
    person: Membership,
    monkeypatch: pytest.MonkeyPatch,
    column: str,
    begins_with_a_time: bool,
) -> None:
    monkeypatch.setattr("panel.timeline_items.MAX_BYTES", 1_000)
    events = {
        "inputs": [tagged("inputs", START, text="x" * 900)],
        "meta": [tagged("meta", START, description="x" * 900)],
        "locks": [tagged("lock", START, lid=f"{number:02}" * 32) for number in range(14)],
    }[column]
    since = START if begins_with_a_time else client.get(CHANGES).json()["timestamp"]
    statuses = [("running", 0.0)]
    user = make_user_of(person)
    made = [
        make_execution(person.organization, statuses, user=user, events=events) for _ in range(5)
    ]
    parts = []

    for _ in range(4):
        body = client.get(CHANGES, {"since": since}).json()
        parts.append([each["fid"] for each in body["update"]])
        since = body["timestamp"]

    fids = [each.fid for each in made]
    assert parts == [fids[:2], fids[2:4], fids[4:], []]


@pytest.mark.django_db(transaction=True)
def test_large_changes_of_one_transaction_are_named_without_their_inputs(
    client: Client, person: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panel.timeline_items.MAX_BYTES", 1_000)
    since = client.get(CHANGES).json()["timestamp"]
    events = [tagged("inputs", START, text="x" * 900)]
    user = make_user_of(person)
    with organization_scope(person.organization):
        for _ in range(5):
            make_execution(person.organization, user=user, events=events)

    body = client.get(CHANGES, {"since": since}).json()

    assert [each["inputs"] is not None for each in body["update"]] == [True] * 2 + [False] * 3
    assert client.get(CHANGES, {"since": body["timestamp"]}).json()["update"] == []
