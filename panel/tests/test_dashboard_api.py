"""The dashboard's lists: visibility, paging and CSV."""

import csv
import io
import json
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from agents.tests.factories import make_agent
from conftest import ClientFor
from executions.event_log import NewEvent
from executions.models import Execution, now
from executions.tests.factories import (
    FAILED,
    make_execution,
    make_file,
    make_outside_user,
    make_user_of,
    tagged,
)
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership

TRACE = 'Traceback (most recent call last):\n  File "/srv/a.py", line 1, in f\nValueError: no'
LISTS = {
    "running-agents": "agents",
    "errors": "errors",
    "error-groups": "groups",
    "timeline": "executions",
}


def get(client: Client, path: str) -> Any:
    response = client.get(f"/api/dashboard/{path}")
    assert response.status_code == 200, response.content
    return response.json()


def make_failure(organization: Organization, text: str = TRACE, **fields: Any) -> Execution:
    start = fields.pop("start", now() - 60)
    events = [NewEvent(start + 1, "error", text)]
    return make_execution(organization, FAILED, start=start, events=events, **fields)


def rows_of(response: Any) -> list[dict[str, str]]:
    text = b"".join(response).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def operator(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization, "operator"))


def test_people_see_their_own_and_operators_all(
    organization: Organization, viewer: Membership, operator: Client, client_for: ClientFor
) -> None:
    own = make_failure(organization, agent_name="Own", user=make_user_of(viewer))
    other = make_failure(organization, "disk is full", agent_name="Other")
    client = client_for(viewer)

    for path, key in LISTS.items():
        assert get(client, path)["total"] == len(get(client, path)[key]) == 1
        assert get(operator, path)["total"] == len(get(operator, path)[key]) == 2
    assert get(client, "agent-stats")["by_agent"] == {"Own": 1}
    assert get(operator, "agent-stats")["by_agent"] == {"Own": 1, "Other": 1}
    for path in ("details", "files"):
        assert client.get(f"/api/dashboard/execution/{own.fid}/{path}").status_code == 200
        hidden = client.get(f"/api/dashboard/execution/{other.fid}/{path}")
        unknown = client.get(f"/api/dashboard/execution/nothing/{path}")
        assert (hidden.status_code, hidden.content) == (404, unknown.content)


def test_an_agent_sees_its_own(organization: Organization, client_for: ClientFor) -> None:
    agent = make_agent(organization, scopes=["executions:read"])
    make_execution(organization, agent=agent, agent_name="Mine")
    make_execution(organization, agent=make_agent(organization))

    found = get(client_for(agent), "running-agents")["agents"]

    assert [row["agent_name"] for row in found] == ["Mine"]


def test_traces_are_for_operators(
    organization: Organization, viewer: Membership, operator: Client, client_for: ClientFor
) -> None:
    execution = make_failure(organization, user=make_user_of(viewer))
    client = client_for(viewer)

    for path in ("running-agents", "timeline", "errors", "error-groups"):
        assert "Traceback" not in json.dumps(get(client, path))
    details = get(client, f"execution/{execution.fid}/details")
    (error,) = get(operator, "errors")["errors"]

    assert get(client, "errors")["errors"][0]["error"] == {"error": "ValueError: no"}
    assert error["error"] == {"error": "ValueError: no", "traceback": TRACE}
    assert [e["message"] for e in details["events"] if e["kind"] == "error"] == ["ValueError: no"]
    assert TRACE in json.dumps(get(operator, f"execution/{execution.fid}/details")).replace(
        "\\n", "\n"
    ).replace('\\"', '"')


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"error": "full", "code": 7}', {"error": "full", "code": 7}),
        ("7", 7),
        ("disk full", {"error": "disk full"}),
        ('{"error": NaN}', None),
        ('{"error": 1e999}', None),
        ('{"error": "\\ud800"}', None),
        ("[" * 5000, None),
    ],
)
def test_an_error_in_json_is_shown_as_such_unless_we_could_not_send_it(
    organization: Organization, operator: Client, text: str, shown: Any
) -> None:
    make_failure(organization, text)

    (error,) = get(operator, "errors")["errors"]

    if shown is None:
        assert error["error"].get("traceback", text) == text
        assert error["error"]["error"] == error["message"]
    else:
        assert error["error"] == shown


def test_executions_without_a_user_are_listed_as_unknown(
    organization: Organization, operator: Client
) -> None:
    make_execution(organization)

    (row,) = get(operator, "running-agents?user=unknown")["agents"]
    stats = get(operator, "agent-stats")

    assert (row["user_id"], row["user_name"]) == ("unknown", "Unknown")
    assert (stats["by_user"], stats["user_map"]) == ({"unknown": 1}, {"unknown": "Unknown"})


def test_empty(operator: Client) -> None:
    assert get(operator, "agent-stats") == {
        "total_executions": 0,
        "by_status": {},
        "by_user": {},
        "by_agent": {},
        "user_map": {},
        "running": 0,
        "error_rate": 0,
        "avg_runtime": 0,
        "p50_runtime": None,
        "p95_runtime": None,
        "p99_runtime": None,
    }
    for path, key in LISTS.items():
        empty = get(operator, path)
        assert (empty["total"], empty[key], empty["has_more"]) == (0, [], False)


@pytest.mark.parametrize(("path", "key"), LISTS.items())
def test_pages(organization: Organization, operator: Client, path: str, key: str) -> None:
    for number in range(5):
        make_failure(organization, f"lost part {'abcde'[number]}", start=now() - 100 + number)
    whole = get(operator, path)[key]

    pages = [get(operator, f"{path}?limit=2&offset={offset}") for offset in (0, 2, 4, 6)]

    assert [row for page in pages for row in page[key]] == whole
    assert [page["total"] for page in pages] == [5, 5, 5, 5]
    assert [page["has_more"] for page in pages] == [True, True, False, False]
    assert [(page["limit"], page["offset"]) for page in pages] == [(2, 0), (2, 2), (2, 4), (2, 6)]


@pytest.mark.parametrize(
    ("path", "usual", "most"),
    [
        ("running-agents", 1000, 1000),
        ("errors", 100, 1000),
        ("error-groups", 100, 100),
        ("timeline", 1000, 1000),
    ],
)
def test_a_page_has_a_maximum(operator: Client, path: str, usual: int, most: int) -> None:
    assert get(operator, path)["limit"] == usual
    assert get(operator, f"{path}?limit={most}")["limit"] == most
    for limit in (most + 1, 0, -1, "x"):
        refused = operator.get(f"/api/dashboard/{path}?limit={limit}")
        assert (refused.status_code, *refused.json()["details"]) == (400, "limit")


def test_the_window_is_the_last_day_unless_asked(
    organization: Organization, operator: Client
) -> None:
    for hours in (1, 23, 25, 200):
        make_failure(organization, start=now() - hours * 3600)
    start = now() - 201 * 3600

    for path in LISTS:
        numbers = [
            sum(group["count"] for group in body["groups"]) if "groups" in body else body["total"]
            for query in (
                "",
                "hours=2",
                "hours=26",
                "hours=999999",
                f"from={start}&to={start + 9e3}",
            )
            for body in [get(operator, f"{path}?{query}")]
        ]
        assert numbers == [2, 1, 3, 4, 1]
    assert get(operator, "agent-stats")["total_executions"] == 4
    assert get(operator, "agent-stats?hours=2")["total_executions"] == 1


def test_asked_filters_come_back(operator: Client) -> None:
    query = "agent_name=a&user=b&status=Error&search=c&hours=7"

    assert get(operator, f"running-agents?{query}")["filters"] == {
        "hours": 7,
        "agent_name": "a",
        "user": "b",
        "status": "Error",
        "search": "c",
        "tag": None,
    }
    assert get(operator, "running-agents?from=1")["filters"]["hours"] is None
    several = get(operator, "running-agents?status=error&status=running")
    assert several["filters"]["status"] == "error, running"


def test_filters_take_several_values_and_exclude_some(
    organization: Organization, operator: Client
) -> None:
    make_failure(organization, agent_name="Hymn, Creator")
    make_execution(organization, agent_name="Research")
    make_execution(organization, agent_name="Other")

    either = get(operator, "running-agents?name=Hymn, Creator&name=Research&name=Nobody")
    others = get(operator, "running-agents?not_status=error&not_name=Other")
    numbers = get(operator, "agent-stats?status=error&status=finished&not_name=Research")
    errors = get(operator, "errors?not_name=Hymn, Creator")
    refused = operator.get("/api/dashboard/running-agents?not_status=error&not_status=odd")

    assert sorted(row["agent_name"] for row in either["agents"]) == ["Hymn, Creator", "Research"]
    assert [row["agent_name"] for row in others["agents"]] == ["Research"]
    assert numbers["total_executions"] == 2
    assert errors["errors"] == []
    assert refused.status_code == 400
    assert list(refused.json()["details"]) == ["not_status"]


def test_csv_has_every_row(
    organization: Organization, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.queries.listing.BATCH", 2)
    ada = make_outside_user(organization, "=Ada", UUID("620c87bd-555c-49e6-9cf1-8dc23f6a72b2"))
    same = now() - 50
    for start in (now() - 100, same, same, same, now() - 10):
        make_failure(organization, start=start, user=ada)

    for path in ("running-agents", "errors", "timeline"):
        response = operator.get(f"/api/dashboard/{path}", headers={"Accept": "text/csv"})
        rows = rows_of(response)
        listed = get(operator, path)[LISTS[path]]

        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert ".csv" in response["Content-Disposition"]
        assert next(iter(rows[0])) == "fid"  # without a byte order mark, because programs read it
        assert [row["fid"] for row in rows] == [row["fid"] for row in listed]
        assert {row["user_name"] for row in rows} == {"'=Ada"}
        assert "Traceback" not in str(rows)
    one = operator.get("/api/dashboard/running-agents?format=csv&limit=1&offset=1")
    assert len(rows_of(one)) == 1


def test_csv_says_what_an_execution_was_about(organization: Organization, operator: Client) -> None:
    about = tagged("meta", now(), summary="Report", tags=["north", "weekly"])
    make_execution(organization, events=[about])

    for path in ("running-agents", "timeline"):
        (row,) = rows_of(operator.get(f"/api/dashboard/{path}?format=csv"))

        assert (row["summary"], row["tags"]) == ("Report", "north, weekly")


def test_csv_of_groups(organization: Organization, operator: Client) -> None:
    make_failure(organization, agent_name="A")
    make_failure(organization, agent_name="B")
    make_failure(organization, "disk is full", agent_name="B", start=now() - 90)

    rows = rows_of(operator.get("/api/dashboard/error-groups?format=csv"))

    assert [(row["agent_names"], row["count"]) for row in rows] == [("A, B", "2"), ("B", "1")]


def test_an_error_is_json_even_when_csv_was_requested(operator: Client) -> None:
    refused = operator.get("/api/dashboard/errors?hours=0", headers={"Accept": "text/csv"})

    assert (refused.status_code, *refused.json()["details"]) == (400, "hours")
    assert operator.get("/api/dashboard/errors?format=xml").status_code == 400
    assert operator.get("/api/dashboard/agent-stats?format=csv").status_code == 400


def test_events_and_files_come_in_pages(organization: Organization, operator: Client) -> None:
    execution = make_execution(organization)
    for name in ("a.txt", "b/c.txt", "d.txt"):
        make_file(execution, path=name)
    base = f"execution/{execution.fid}"

    events = [get(operator, f"{base}/details?limit=2&offset={offset}") for offset in (0, 2)]
    files = get(operator, f"{base}/files?limit=2")

    assert [event["id"] for page in events for event in page["events"]] == [1, 2, 3]
    assert [(page["total_events"], page["has_more"]) for page in events] == [(3, True), (3, False)]
    assert [file["path"] for file in files["downloads"]] == ["out/a.txt"]
    assert [file["path"] for file in files["nested_downloads"]] == ["out/b/c.txt"]
    assert (files["download_count"], files["has_more"]) == (2, True)


@pytest.mark.parametrize("number", [2, 40])
def test_statistics_and_details_take_a_fixed_number_of_queries(
    organization: Organization,
    operator: Client,
    django_assert_num_queries: Any,
    number: int,
) -> None:
    for name in range(number):
        user = make_user_of(make_membership(organization, "viewer"))
        make_failure(organization, agent_name=str(name), user=user)
    events = [NewEvent(now(), "stdout", str(line)) for line in range(number)]
    long = make_execution(organization, events=events)
    for name in range(number):
        make_file(long, path=f"{name}.txt")
    get(operator, "agent-stats")

    # Five belong to every request: entering and leaving the organization, and authentication.
    with django_assert_num_queries(5 + 4):
        get(operator, "agent-stats")
    with django_assert_num_queries(5 + 3):
        get(operator, f"execution/{long.fid}/details")
    with django_assert_num_queries(5 + 2):
        get(operator, f"execution/{long.fid}/files")


def test_the_errors_of_a_group_are_listed(organization: Organization, operator: Client) -> None:
    for text in ("quota of 4 exceeded", "quota of 7 exceeded", "disk is full"):
        make_failure(organization, text)
    (group,) = [each for each in get(operator, "error-groups")["groups"] if each["count"] == 2]

    listed = get(operator, f"errors?fingerprint={group['fingerprint']}")

    assert (listed["total"], len(listed["errors"])) == (2, 2)
    assert {each["fingerprint"] for each in listed["errors"]} == {group["fingerprint"]}
    assert operator.get("/api/dashboard/timeline?fingerprint=x").status_code == 400
