"""/timeline: the caller's own executions, page by page and as they change."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conftest import ClientFor
from executions.actions import delete_execution
from executions.event_log import NewEvent
from executions.models import Execution, ExecutionUser
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    START,
    make_execution,
    make_user_of,
    tagged,
)
from organizations.actors import Actor
from organizations.models import Attempt, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from panel.tests.calls import fids, get
from tests.kodosumi import REAL, import_folder


@pytest.fixture
def person(organization: Organization) -> Membership:
    return make_membership(organization, "operator")


@pytest.fixture
def client(person: Membership, client_for: ClientFor) -> Client:
    return client_for(person)


@pytest.fixture
def own(person: Membership) -> Callable[..., Execution]:
    def make(hours: float = 0, statuses: Any = FINISHED, **fields: Any) -> Execution:
        start = START + hours * 3600
        return make_execution(
            person.organization, statuses, start=start, user=make_user_of(person), **fields
        )

    return make


def test_an_item_shows_an_executions_subject_and_status(client: Client, own: Any) -> None:
    events = [
        tagged("meta", START, summary="Weekly report", tags=["b", "a"]),
        tagged("inputs", START, text="Grüße"),
        tagged("lock", START + 1, name="approve", lid="l1", expires=START + 100),
    ]
    execution = own(0, RUNNING, events=events)

    [shown] = get(client, "/list")["items"]

    assert shown == {
        "fid": execution.fid,
        "tags": ["b", "a"],
        "summary": "Weekly report",
        "inputs": {"dict": {"text": "Grüße"}},
        "status": "awaiting",
        "startup": "2026-11-22T02:54:36.765965+00:00",
        "finish": "2026-11-22T02:54:37.765965+00:00",
        "runtime": 1.0,
        "locks": ["l1"],
    }


def test_pages_follow_each_other_without_a_gap(client: Client, own: Any) -> None:
    made = [own(hour % 4).fid for hour in range(7)]  # some start at the same time
    seen, offset = [], ""

    for size in (3, 3, 1):
        page = get(client, "/list", pp=3, offset=offset)
        assert page["offset"] == page["items"][-1]["fid"]
        assert len(page["items"]) == size
        seen += fids(page["items"])
        offset = page["offset"]

    assert sorted(seen) == sorted(made)
    assert get(client, "/list", offset=offset) == {
        "items": [],
        "query": None,
        "offset": None,
        "next_cursor": None,
    }


def test_the_next_page_is_found_when_the_last_one_shown_was_deleted(
    client: Client, own: Any, person: Membership
) -> None:
    first, second, third = (own(hour, fid=f"6b00000000000000000000{hour:02}") for hour in range(3))
    with organization_scope(person.organization):
        delete_execution(second, actor=Actor.for_person(person))

    page = get(client, "/list", offset=second.fid)

    assert fids(page["items"]) == [first.fid]
    assert third.fid not in fids(page["items"])


def test_a_cursor_keeps_its_place_when_its_run_moves_or_is_deleted(
    client: Client, own: Any, person: Membership
) -> None:
    """This also holds for ids chosen by an engine, which carry no time."""
    oldest, moved, deleted, newest = (own(hour, fid=fid) for hour, fid in enumerate("zxab"))
    first = get(client, "/list", pp=2)
    second = get(client, "/list", pp=1, cursor=first["next_cursor"])
    with organization_scope(person.organization):
        delete_execution(deleted, actor=Actor.for_person(person))
        Execution.objects.filter(pk=moved.pk).update(start_time=newest.start_time + 60)

    after_deleted = get(client, "/list", pp=2, cursor=first["next_cursor"])
    after_moved = get(client, "/list", pp=2, cursor=second["next_cursor"])

    assert fids(first["items"]) == [newest.fid, deleted.fid]
    assert fids(second["items"]) == [moved.fid]
    assert fids(after_deleted["items"]) == fids(after_moved["items"]) == [oldest.fid]


def test_operators_too_see_their_own_only(
    client: Client, own: Any, organization: Organization
) -> None:
    mine = own()
    other = make_membership(organization, "owner")
    make_execution(organization, user=make_user_of(other))
    make_execution(organization)

    assert fids(get(client, "/list")["items"]) == [mine.fid]
    assert get(client, "")["total"] == 1


def test_an_agent_sees_what_it_runs(organization: Organization, client_for: ClientFor) -> None:
    from agents.tests.factories import make_agent

    agent = make_agent(organization, scopes=["executions:read"])
    execution = make_execution(organization, agent=agent)
    make_execution(organization)

    assert fids(get(client_for(agent), "/list")["items"]) == [execution.fid]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("status:error", ["failed"]),
        ("STATUS:ERROR", ["failed"]),
        ("tag:demo", ["plain"]),
        ("author:ada", ["plain"]),
        ("organization:Example", ["plain"]),
        ("description:Über", ["plain"]),
        ("summary:Weekly report", ["plain"]),
        ("fid:pla", ["plain"]),
        ("100%_\\", ["failed"]),
        ('final:{"Text":{"body":"forty-two', ["plain"]),
        ("inputs:", ["failed"]),
        ("startup:2026-11-22T02:54:36.765965", ["plain"]),
        ("' OR 1=1", []),
        ("tag:a,b", []),
    ],
)
def test_a_search_looks_into_everything(
    client: Client, own: Any, search: str, found: list[str]
) -> None:
    described = {
        "author": "ada@example.com",
        "organization": "Example Studio",
        "summary": "Weekly report",
        "description": "Über alles",
        "tags": ["a", "demo"],
    }
    final = NewEvent(START + 1, "final", '{"Text":{"body":"forty-two"}}')
    own(0, fid="plain", events=[tagged("meta", START, **described), final])
    own(1, FAILED, fid="failed", events=[tagged("inputs", START + 3600, discount="100%_\\\\ x")])

    page = get(client, "/list", q=search.replace("\\", "\\\\"))

    assert fids(page["items"]) == found
    assert page["query"] == search.replace("\\", "\\\\")


@pytest.mark.slow
def test_searches_of_a_caller_take_the_database_a_few_seconds_a_minute(
    client: Client, own: Any, person: Membership, client_for: ClientFor
) -> None:
    with organization_scope(person.organization):
        for hour in range(40):
            own(hour)
        Execution.objects.update(final="wide " * 200_000)
    other = client_for(make_membership(person.organization, "operator"))
    began, answer = time.monotonic(), client.get("/timeline", {"q": "nowhere"})

    while answer.status_code == 200:
        answer = client.get("/timeline", {"q": "nowhere"})
    took = time.monotonic() - began

    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 60
    assert took > 4  # it is counted but not refused
    assert [client.get(path).status_code for path in PATHS] == [200] * 3
    assert [other.get(path, {"q": "a"}).status_code for path in PATHS] == [200] * 3
    assert [client.get(path, {"q": "a"}).status_code for path in PATHS] == [429] * 3
    # By a clock that is ahead.
    Attempt.objects.update(started_at=F("started_at") + timedelta(hours=1))
    assert [client.get(path, {"q": "a"}).status_code for path in PATHS] == [200] * 3


PATHS = ("/timeline", "/timeline/list", "/timeline/changes?since=1")


@pytest.mark.parametrize("meta", [{"tags": "x"}, {"tags": {"a": 1}}, {"tags": None}, {}])
def test_a_search_survives_any_description(client: Client, own: Any, meta: Any) -> None:
    execution = own(0, events=[tagged("meta", START, **meta)], fid="odd")

    assert fids(get(client, "/list", q="fid:odd")["items"]) == [execution.fid]


def test_a_time_that_no_calendar_has_is_left_out(client: Client, own: Any) -> None:
    own(1e12)

    [shown] = get(client, "/list")["items"]

    assert (shown["startup"], shown["finish"]) == (None, None)
    assert fids(get(client, "/list", q="status:finished")["items"]) == [shown["fid"]]


@pytest.mark.parametrize(
    "query",
    [
        *("pp=0", "pp=101", "pp=x", "pp=", "q=" + "x" * 201, "offset=" + "x" * 65, "mode=back"),
        *(
            "timestamp=nan",
            "timestamp=-1",
            "timestamp=1e300",
            "timestamp=x",
            "timestamp=",
            "timestamp=3e11",
        ),
        *("limit=3", "pp=1&pp=2"),
    ],
)
def test_a_bad_parameter_is_named(client: Client, query: str) -> None:
    answer = client.get(f"/timeline?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [query.partition("=")[0]]


def test_a_page_takes_as_many_queries_for_many_as_for_few(client: Client, own: Any) -> None:
    counts = []
    for number in (2, 30):
        for hour in range(number):
            own(hour)
        with CaptureQueriesContext(connection) as captured:
            get(client, "/list", pp=100, q="status")
        counts.append(len([query for query in captured if "tokens_signingkey" not in query["sql"]]))

    assert counts[0] == counts[1]


def test_the_real_data_shows_to_whom_it_belongs(
    organization: Organization, client_for: ClientFor
) -> None:
    import_folder(REAL, organization)
    expected = json.loads((REAL.parent / "expected.json").read_text())["executions"]
    known = {each["fid"]: each for each in expected if each["user"] == "mira"}
    person = make_membership(organization, "operator")
    with organization_scope(organization):
        ExecutionUser.objects.filter(name="mira").update(user=person.user)

    items = get(client_for(person), "/list", pp=100)["items"]

    assert {each["fid"] for each in items} == known.keys()
    for each in items:
        fact = known[each["fid"]]
        assert each["status"] == fact["status"]
        assert each["locks"] == fact["open_locks"]
        startup = datetime.fromisoformat(each["startup"])
        assert startup == datetime.fromisoformat(fact["first_utc"])
        assert each["runtime"] == fact["last_timestamp"] - fact["first_timestamp"]
    starts = [each["startup"] for each in items]
    assert starts == sorted(starts, reverse=True)
