"""The cost of a run for everybody else stays bounded, whatever the agent reports."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from agents.tests.factories import make_agent
from executions import leases
from executions.actions import delete_execution
from executions.errors import read_error
from executions.event_log import MAX_LOCKS, NewEvent
from executions.models import Execution, ExecutionNotFound, now
from executions.tests.factories import make_execution
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

URL = "/api/v1/executions"
MB = 1024**2


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization)


@pytest.fixture
def client(agent: Agent, client_for: Callable[..., Client]) -> Client:
    return client_for(agent)


def post(client: Client, url: str, body: Any, status: int = 200) -> Any:
    answer = client.post(url, body, content_type="application/json")
    assert answer.status_code == status, answer.content[:500]
    return answer.json()


def append(client: Client, fid: str, *events: dict[str, Any], status: int = 200) -> Any:
    return post(client, f"{URL}/{fid}/events", {"events": events}, status)


def get(client: Client, url: str, **query: Any) -> Any:
    answer = client.get(url, query)
    assert answer.status_code == 200, answer.content[:500]
    return answer.json()


def report(client: Client, **body: Any) -> str:
    return str(post(client, URL, body, 201)["executionId"])


@pytest.mark.parametrize("path", ["", "/list", "/changes"])
def test_a_list_leaves_out_inputs_that_are_long(client: Client, path: str) -> None:
    short, long = {"topic": "prices"}, {"numbers": [1.5] * 20_000}  # it compresses well
    fids = [report(client, inputs=inputs) for inputs in (short, long)]

    body = get(client, f"/timeline{path}", **({"since": 0} if path == "/changes" else {}))

    items = body["items"]["append"] if path == "" else body.get("items") or body["update"]
    shown = {item["fid"]: item["inputs"] for item in items}
    assert shown == {fids[0]: {"dict": short}, fids[1]: None}
    assert get(client, f"{URL}/{fids[1]}")["inputs"] == long


def test_a_page_of_events_ends_where_it_would_be_too_much(client: Client) -> None:
    fid = report(client)
    for number in range(18):
        append(client, fid, {"kind": "stdout", "message": str(number % 10) * (MB - 1000)})
    url = f"/api/dashboard/execution/{fid}/details"

    first = get(client, url)
    rest = get(client, url, offset=first["limit"])

    assert sum(len(event["message"]) for event in first["events"]) <= 16 * MB
    assert (first["limit"], first["has_more"], first["total_events"]) == (17, True, 19)
    assert (len(rest["events"]), rest["has_more"]) == (2, False)


@pytest.mark.parametrize(
    ("path", "key"), [("running-agents", "agents"), ("timeline", "executions")]
)
def test_a_list_of_large_descriptions_is_continued_by_its_cursor(
    client: Client, organization: Organization, agent: Agent, path: str, key: str
) -> None:
    """Each is as large as it may be: 32,000 characters of three bytes."""
    start, number = now() - 300, 100
    text = json.dumps({"dict": {"pad": "日" * 31_900}}, ensure_ascii=False)
    pad = NewEvent(start, "meta", text)
    for second in range(number):
        make_execution(organization, agent=agent, start=start + second, events=[pad])
    url = f"/api/dashboard/{path}"

    first = get(client, url)
    rest = get(client, url, cursor=first["next_cursor"])
    by_offset = get(client, url, offset=first["limit"])
    files = [
        client.get(url, {"format": "csv", **place})
        for place in ({"limit": 1000}, {"cursor": first["next_cursor"]}, {})
    ]

    assert 7 * MB < len(json.dumps(first, ensure_ascii=False).encode()) < 8.1 * MB
    assert (first["limit"], first["has_more"]) == (len(first[key]), True)
    assert len({row["fid"] for row in first[key] + rest[key]}) == number
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    assert by_offset[key] == rest[key]
    assert {page["total"] for page in (first, rest, by_offset)} == {number}
    lines = [b"".join(file.streaming_content).count(b"\n") - 1 for file in files]
    assert lines == [len(first[key]), len(rest[key]), number]
    assert ["Link" in file.headers for file in files] == [True, False, False]


def test_a_list_has_one_run_at_least(
    client: Client, organization: Organization, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panel.dashboard.MAX_LIST_BYTES", 1)
    fids = [make_execution(organization, agent=agent).fid for _ in range(3)]
    url, found, cursor = "/api/dashboard/running-agents", [], {}

    while cursor is not None:
        page = get(client, url, **cursor)
        found += [row["fid"] for row in page["agents"]]
        assert (page["limit"], len(page["agents"])) == (1, 1) or not page["has_more"]
        cursor = {"cursor": page["next_cursor"]} if page["has_more"] else None

    assert found == fids[::-1]


def test_the_texts_of_many_errors_are_shorter(
    client: Client, organization: Organization, client_for: Callable[..., Client]
) -> None:
    fid = report(client)
    append(client, fid, {"kind": "error", "message": "Traceback (most\n" + "x" * 90_000})
    operator = client_for(make_membership(organization, "operator"))

    some = get(operator, "/api/dashboard/errors", limit=100)["errors"][0]
    many = get(operator, "/api/dashboard/errors", limit=1000)["errors"][0]

    assert len(some["error"]["traceback"]) > 90_000
    assert len(many["error"]["traceback"]) == 16 * MB // 1000


def test_lists_carry_only_the_beginning_of_a_long_description(client: Client) -> None:
    fid = report(client)
    description = {
        "summary": "s" * 40_000,
        "tags": ["t" * 99, 7, *("u" for _ in range(50))],
        "deprecated": True,
        "author": {"not": "a text"},
        "padding": [1.5] * 20_000,
    }
    append(client, fid, {"kind": "meta", "message": {"dict": description}})

    [row] = get(client, "/api/dashboard/running-agents")["agents"]

    kept = {"summary": "s" * 1000, "tags": ["t" * 64, *["u"] * 30], "deprecated": True}
    assert row["meta"] == {"dict": kept}
    details = get(client, f"/api/dashboard/execution/{fid}/details")
    assert len(details["events"][1]["message"]) > 80_000  # the event keeps the whole text


@pytest.mark.parametrize(
    "more", [{"tags": [str(n) for n in range(4_000)]}, {"padding": [[]] * 10_000}]
)
def test_lists_carry_no_description_of_very_many_values(
    client: Client, more: dict[str, Any]
) -> None:
    """Each takes far more memory than its text."""
    fid = report(client)
    append(client, fid, {"kind": "meta", "message": {"dict": {"summary": "Report", **more}}})

    [row] = get(client, "/api/dashboard/running-agents")["agents"]

    tags = {"tags": more["tags"][:32]} if "tags" in more else {}
    assert row["meta"] == {"dict": {"summary": "Report", **tags}}


def test_an_execution_waits_for_so_many_locks_and_no_more(client: Client) -> None:
    def lock(number: int) -> dict[str, Any]:
        return {"kind": "lock", "message": {"lid": str(number)}}

    fid = report(client)
    append(client, fid, *map(lock, range(MAX_LOCKS)))

    refused = append(client, fid, lock(MAX_LOCKS), status=400)

    assert refused["details"]["events"] == ["An execution waits for at most 1,000 locks at a time."]
    append(client, fid, {"kind": "lease", "message": {"lid": "7"}})
    append(client, fid, lock(MAX_LOCKS))
    assert len(get(client, f"/outputs/status/{fid}")["locks"]) == MAX_LOCKS


def test_a_line_costs_the_same_whatever_the_run_was_given(client: Client) -> None:
    """Saving writes back every field that was read, and into PostgreSQL's log: megabytes for
    each line.
    """
    fid = report(client, inputs={"text": "i" * 900_000})
    append(client, fid, {"kind": "final", "message": {"Text": {"body": "f" * 900_000}}})
    with CaptureQueriesContext(connection) as asked:
        append(client, fid, {"kind": "stdout", "message": "on"})
        post(client, f"{URL}/{fid}/heartbeat", {"takeOver": True, "leaseSeconds": 60})
        lease = {leases.HEADER: "1"}
        upload = client.post(
            f"{URL}/{fid}/files",
            {"area": "out", "path": "a.txt", "size": 2},
            content_type="application/json",
            headers=lease,
        ).json()
        part = client.put(
            f"{URL}/{fid}/uploads/{upload['uploadId']}",
            b"a",
            content_type="application/octet-stream",
            headers=lease | {"Content-Range": "bytes 0-0/2"},
        )
    assert part.status_code == 200

    assert concerning_content(asked) == []
    assert get(client, f"{URL}/{fid}")["inputs"] == {"text": "i" * 900_000}
    post(client, f"{URL}/{fid}/stop", None)
    assert get(client, f"{URL}/{fid}")["final"] == {"Text": {"body": "f" * 900_000}}


def test_deleting_runs_does_not_read_their_content(client: Client) -> None:
    """Five hundred executions with megabytes each would exceed a server's memory."""
    fids = [report(client, inputs={"text": "i" * 1000}) for _ in range(3)]
    with CaptureQueriesContext(connection) as asked:
        answer = client.delete("/outputs", {"fid": fids}, content_type="application/json")
    assert answer.status_code == 204, answer.content

    assert concerning_content(asked) == []


def concerning_content(asked: CaptureQueriesContext) -> list[str]:
    """The statements that name an execution's inputs or its result."""
    columns = [f'"executions_execution"."{name}"' for name in ("inputs", "final")]
    columns += ['"inputs" =', '"final" =']
    texts = [query["sql"] for query in asked.captured_queries]
    return [text[:200] for text in texts if any(column in text for column in columns)]


@pytest.mark.parametrize(
    "part", ["a", "1.", "a-", "12345678-", "1111-11-11", "Aa.", "/a ", "a@", "0x", "'\"", "C:"]
)
def test_grouping_errors_takes_no_longer_for_hostile_ones(part: str) -> None:
    # Four times as long a text takes four times as long; with quadratic time, sixteen.
    assert seconds_to_group((part * 2000)[:1999]) < 10 * seconds_to_group((part * 2000)[:499])


def seconds_to_group(text: str) -> float:
    """The least time of this thread, in which other programs have no part."""

    def once() -> float:
        began = time.thread_time()
        read_error(f"{text}!").fingerprint()
        return time.thread_time() - began

    return min(once() for _ in range(10))


@pytest.mark.django_db
def test_a_concurrently_deleted_execution_is_not_found(organization: Organization) -> None:
    execution = make_execution(organization)
    actor = Actor.for_system(organization, "test")
    with organization_scope(organization):
        same = Execution.objects.get(pk=execution.pk)
        delete_execution(execution, actor=actor)
        with pytest.raises(ExecutionNotFound):
            delete_execution(same, actor=actor)
