"""Paging stays consistent while runs start, end or are deleted."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from executions.actions import delete_execution
from executions.event_log import NewEvent, append_events
from executions.models import Execution, now
from executions.tests.factories import FINISHED, RUNNING, make_execution
from organizations.actors import Actor
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

LIST, DASHBOARD = "/api/v1/executions", "/api/dashboard/running-agents"
BOTH = pytest.mark.parametrize("url", [LIST, DASHBOARD])


@pytest.fixture
def operator(organization: Organization) -> Membership:
    return make_membership(organization, Membership.Role.OPERATOR)


@pytest.fixture
def client(operator: Membership, client_for: ClientFor) -> Client:
    return client_for(operator)


def pages(client: Client, url: str, query: str) -> Iterator[list[str]]:
    """Yield the ids of each page, requested only when it is consumed."""
    cursor: str | None = ""
    while cursor is not None:
        answer = client.get(f"{url}?{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status_code == 200, answer.content
        body = answer.json()
        yield [row.get("executionId") or row["fid"] for row in body.get("data") or body["agents"]]
        cursor = body["nextCursor"] if "data" in body else body["next_cursor"]


def runs(organization: Organization, number: int, statuses: Any = RUNNING) -> list[str]:
    """Create this many runs; return their ids, most recently started first."""
    start = now() - 600
    made = [make_execution(organization, statuses, start=start - n) for n in range(number)]
    return [execution.fid for execution in made]


def tell(organization: Organization, fid: str, word: str, seconds: float = 0) -> None:
    with organization_scope(organization):
        execution = Execution.objects.get(organization=organization, fid=fid)
        append_events(execution, [NewEvent(now() + seconds, "status", word)])


@BOTH
def test_runs_that_end_take_no_other_with_them(
    organization: Organization, client: Client, url: str
) -> None:
    fids = runs(organization, 9)
    reading = pages(client, url, "status=running&limit=3")
    found = next(reading)
    for fid in fids[1:3]:
        tell(organization, fid, "finished")

    found += [fid for page in reading for fid in page]

    assert found == fids


@BOTH
def test_a_page_continues_where_a_deleted_run_was(
    organization: Organization, operator: Membership, client: Client, url: str
) -> None:
    fids = runs(organization, 7, FINISHED)
    reading = pages(client, url, "limit=3")
    found = next(reading)
    with organization_scope(organization):
        last = Execution.objects.get(organization=organization, fid=found[-1])
        delete_execution(last, actor=Actor.for_person(operator))

    found += [fid for page in reading for fid in page]

    assert found == fids


@BOTH
def test_runs_of_one_instant_come_once_each(
    organization: Organization, client: Client, url: str
) -> None:
    start = now() - 60
    fids = {make_execution(organization, start=start).fid for _ in range(23)}
    reading = pages(client, url, "limit=5")
    found = next(reading)
    late = {make_execution(organization, start=start).fid for _ in range(4)}

    found += [fid for page in reading for fid in page]

    assert len(found) == len(set(found))
    assert set(found) - late == fids


@pytest.mark.parametrize("moved", [-2000, 0])
def test_in_the_order_of_reports_a_run_keeps_its_place_wherever_its_start_moves(
    organization: Organization, client: Client, moved: float
) -> None:
    made = [make_execution(organization, (), start_time=now() - 500) for _ in range(9)]
    fids = [execution.fid for execution in reversed(made)]
    reading = pages(client, LIST, "order=reported&limit=3")
    found = next(reading)
    for fid in (fids[1], fids[4], fids[8]):
        tell(organization, fid, "starting", moved)

    found += [fid for page in reading for fid in page]

    assert found == fids


def test_the_last_hours_are_those_before_the_first_page(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [make_execution(organization, start=now() - 3570 - n) for n in range(6)]
    reading = pages(client, DASHBOARD, "hours=1&limit=2")
    found = next(reading)
    later = now() + 3600
    monkeypatch.setattr("core.pagination.moment_now", lambda: later)

    found += [fid for page in reading for fid in page]

    assert found == [execution.fid for execution in made]


@pytest.mark.parametrize("order", ["", "newest", "REPORTED"])
def test_any_other_order_is_refused(client: Client, order: str) -> None:
    answer = client.get(f"{LIST}?order={order}")

    assert (answer.status_code, list(answer.json()["details"])) == (400, ["order"])


def test_a_page_of_a_file_leads_to_the_next_one(organization: Organization, client: Client) -> None:
    fids = runs(organization, 5)
    url, found = f"{DASHBOARD}?format=csv&limit=2", []
    for _ in range(3):
        answer = client.get(url)
        lines = b"".join(answer.streaming_content).decode().splitlines()[1:]
        found += [line.partition(",")[0] for line in lines]
        url = answer.headers.get("Link", "").partition(">")[0].removeprefix("<http://testserver")

    assert found == fids
    assert url == ""
