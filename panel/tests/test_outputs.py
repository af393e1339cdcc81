"""State and result by /outputs, in the words of kodosumi's panel."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from executions.event_log import NewEvent
from executions.models import Execution
from executions.sanitizing import TOO_COMPLEX
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    START,
    make_execution,
    make_user_of,
)
from executions.tests.vectors import VECTORS
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership

FINAL = '{"Markdown":{"body":"**Grüße** \\"x\\""}}'
TRACE = """Traceback (most recent call last):
  File "/opt/agents/flows.py", line 7, in run
    raise {raised}
{raised}"""


@pytest.fixture
def client(viewer: Membership, client_for: ClientFor) -> Client:
    return client_for(viewer)


@pytest.fixture
def own(viewer: Membership) -> Callable[..., Execution]:
    """Creates executions that the viewer launched."""

    def make(*args: Any, events: Any = (), **fields: Any) -> Execution:
        return make_execution(
            viewer.organization,
            *args,
            start=START,
            user=make_user_of(viewer),
            events=[NewEvent(START + seconds, *told) for seconds, *told in events],
            **fields,
        )

    return make


def status_of(client: Client, execution: Execution) -> dict[str, Any]:
    answer = client.get(f"/outputs/status/{execution.fid}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


META = {
    "fid": "another",
    "username": "another",
    "summary": "Weekly report",
    "description": None,
    "tags": ["demo", "a"],
    "deprecated": None,
    "author": "studio@example.com",
    "organization": "Example Studio",
    "version": "0.3.1",
    "kodosumi": "1.1.0",
    "app_url": "http://svc.local:8200",
    "entry_point": "report.jobs:build",
}


def test_the_status_has_all_fields_of_the_panel_and_its_base_url(
    client: Client, own: Any, viewer: Membership
) -> None:
    meta = json.dumps({"dict": META})
    execution = own(FINISHED, events=[(0.2, "meta", meta), (1.5, "final", FINAL)], fid="f1")

    body = status_of(client, execution)

    assert body == {
        "status": "finished",
        "timestamp": START + 2.0,
        "final": FINAL,
        "fid": "f1",
        "summary": "Weekly report",
        "description": None,
        "tags": ["demo", "a"],
        "deprecated": None,
        "author": "studio@example.com",
        "organization": "Example Studio",
        "version": "0.3.1",
        "kodosumi_version": "1.1.0",
        "app_url": "http://svc.local:8200",
        "base_url": "http://svc.local:8200",
        "entry_point": "report.jobs:build",
        "username": str(viewer.user.pk),
        "locks": [],
    }


def test_the_base_url_of_a_flow_is_kept(client: Client, own: Any) -> None:
    meta = json.dumps({"dict": META | {"base_url": "/-/localhost/8001/hymn/-/"}})

    body = status_of(client, own(RUNNING, events=[(0.2, "meta", meta)]))

    assert body["base_url"] == "/-/localhost/8001/hymn/-/"


def test_a_status_without_a_description_has_nulls(client: Client, own: Any) -> None:
    body = status_of(client, own(RUNNING))

    assert (body["status"], body["timestamp"], body["final"]) == ("running", START + 0.5, None)
    named = ("summary", "tags", "deprecated", "author", "kodosumi_version", "base_url")
    assert [body[name] for name in named] == [None] * 6


def test_a_description_of_another_form_does_no_harm(client: Client, own: Any) -> None:
    meta = json.dumps(
        {"dict": {"summary": {"a": 1}, "tags": "x", "deprecated": "yes", "author": 7}}
    )

    body = status_of(client, own(RUNNING, events=[(0.2, "meta", meta)]))

    assert [body[name] for name in ("summary", "tags", "deprecated", "author")] == [None] * 4


def test_neither_a_lock_nor_a_result_moves_the_timestamp(client: Client, own: Any) -> None:
    lock = json.dumps({"dict": {"name": "approve", "lid": "l1", "expires": START + 100}})
    result = '{"Text":{"body":"x"}}'
    execution = own(RUNNING, events=[(5.0, "lock", lock), (6.0, "result", result)])

    body = status_of(client, execution)

    assert (body["status"], body["locks"], body["timestamp"]) == ("awaiting", ["l1"], START + 0.5)


def test_a_lock_of_an_execution_that_ended_waits_no_more(client: Client, own: Any) -> None:
    lock = json.dumps({"dict": {"name": "approve", "lid": "l1", "expires": START + 1}})

    body = status_of(client, own(FAILED, events=[(1.0, "lock", lock)]))

    assert (body["status"], body["locks"]) == ("error", [])


ONE_LINE = TRACE.format(raised="kodosumi.error.KodosumiError: the budget is used up")
TWO_LINES = TRACE.format(raised="kodosumi.error.KodosumiError: first\nsecond")
OTHER = TRACE.format(raised="ValueError: cannot divide")


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (ONE_LINE, "the budget is used up"),
        (TWO_LINES, "first\nsecond"),
        (OTHER, "ValueError: cannot divide"),
        ("actor not found", "actor not found"),
    ],
)
def test_the_final_result_of_a_failure_is_its_readable_message(
    client: Client, own: Any, trace: str, message: str
) -> None:
    execution = own(FAILED, events=[(1.5, "error", trace)])

    status = status_of(client, execution)
    raw = client.get(f"/outputs/raw/{execution.fid}").json()
    html = client.get(f"/outputs/html/{execution.fid}").content.decode()

    assert status["status"] == "error"
    assert json.loads(status["final"]) == raw == {"Text": {"body": message}}
    assert f"<pre>{message}</pre>" in html
    assert "/opt/agents" not in status["final"] + str(raw) + html


def test_a_failure_without_a_message_says_so(client: Client, own: Any) -> None:
    final = json.loads(status_of(client, own(FAILED))["final"])

    assert final == {"Text": {"body": "The execution failed without a message."}}


def test_the_raw_result_is_the_value_itself(client: Client, own: Any) -> None:
    execution = own(FINISHED, events=[(1.5, "final", FINAL)])

    answer = client.get(f"/outputs/raw/{execution.fid}")

    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {"Markdown": {"body": '**Grüße** "x"'}}


def test_while_there_is_no_result_a_sentence_says_so(client: Client, own: Any) -> None:
    execution = own(RUNNING)

    raw = client.get(f"/outputs/raw/{execution.fid}")
    html = client.get(f"/outputs/html/{execution.fid}")

    assert (raw.status_code, html.status_code) == (200, 200)
    assert "wait" in raw.json()["Markdown"]["body"]
    assert raw.json()["Markdown"]["body"] in html.content.decode()


def test_an_execution_may_end_without_a_result(client: Client, own: Any) -> None:
    raw = client.get(f"/outputs/raw/{own(FINISHED).fid}").json()

    assert raw == {"Text": {"body": "The execution ended without a result."}}


def test_a_cancelled_execution_has_no_result(client: Client, own: Any) -> None:
    execution = own((*RUNNING, ("cancelled", 1.0)))

    raw = client.get(f"/outputs/raw/{execution.fid}").json()

    assert status_of(client, execution)["final"] is None
    assert "cancelled" in raw["Text"]["body"]


@pytest.mark.parametrize(
    ("final", "raw"),
    [
        ("no json", {"Text": {"body": "no json"}}),
        ("[" * 5000, {"Text": {"body": "[" * 5000}}),
        ('{"float":NaN}', {"float": None}),
        ('{"str":"a\\ud800"}', {"str": "a\ufffd"}),
        ("null", {"Text": {"body": "null"}}),
    ],
)
def test_a_result_that_json_cannot_carry_does_no_harm(
    client: Client, own: Any, final: str, raw: Any
) -> None:
    execution = own(FINISHED, events=[(1.5, "final", final)])

    assert client.get(f"/outputs/raw/{execution.fid}").json() == raw
    assert status_of(client, execution)["final"] == final
    assert client.get(f"/outputs/html/{execution.fid}").status_code == 200


@pytest.mark.parametrize("name", VECTORS)
def test_the_printable_result_has_two_walls(client: Client, own: Any, name: str) -> None:
    forms = [{tag: {"body": VECTORS[name]}} for tag in ("Markdown", "HTML", "Text")]
    final = json.dumps({"__list__": forms})
    execution = own(FINISHED, events=[(1.5, "final", final)], agent_name=VECTORS[name][:255])

    answer = client.get(f"/outputs/html/{execution.fid}")

    page = answer.content.decode()
    for dangerous in ("<script", "<img", "<svg", "<iframe", "<style", "<form", "<base", "<video"):
        assert dangerous not in page
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith("; sandbox")
    assert "unsafe-inline" not in policy


def test_a_result_of_ten_megabytes_is_kept_whole_and_not_made_readable(
    client: Client, own: Any
) -> None:
    body = "<b>" * 3_500_000
    final = json.dumps({"HTML": {"body": body}})
    execution = own(FINISHED, events=[(1.5, "final", final)])

    raw = client.get(f"/outputs/raw/{execution.fid}").json()
    page = client.get(f"/outputs/html/{execution.fid}").content.decode()

    assert raw == {"HTML": {"body": body}}
    assert TOO_COMPLEX in page
    assert len(page) < 10_000


def test_long_facts_do_not_fill_the_printable_result(client: Client, own: Any) -> None:
    meta = json.dumps({"dict": {"author": "x" * 10_000_000}})
    execution = own(FINISHED, events=[(0.0, "meta", meta)])

    page = client.get(f"/outputs/html/{execution.fid}").content.decode()

    assert page.count("x") < 11_000


def test_the_printable_result_names_its_execution(client: Client, own: Any) -> None:
    meta = json.dumps({"dict": META})
    execution = own(FINISHED, events=[(0.2, "meta", meta), (1.5, "final", FINAL)])

    page = client.get(f"/outputs/html/{execution.fid}").content.decode()

    assert "<strong>Grüße</strong>" in page
    for fact in (execution.fid, "Weekly report", "0.3.1", "studio@example.com", "Example Studio"):
        assert f"<td>{fact}</td>" in page
    assert "00:00:02.0" in page


# Permissions


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_operators_read_everybodys_result_others_their_own(
    organization: Organization, own: Any, client_for: ClientFor, role: str
) -> None:
    execution = own(FINISHED)
    other = client_for(make_membership(organization, role))

    answers = {
        other.get(f"/outputs/{name}/{execution.fid}").status_code
        for name in ("status", "raw", "html")
    }

    assert answers == {200 if role == "operator" else 404}


@pytest.mark.parametrize("name", ["KODOSUMI_API_KEY", "KODOSUMI-API-KEY"])
def test_the_token_may_come_in_kodosumis_header(
    own: Any, viewer: Membership, client_for: ClientFor, name: str
) -> None:
    token = client_for(viewer).defaults["HTTP_AUTHORIZATION"].partition(" ")[2]

    answer = Client(headers={name: token}).get(f"/outputs/status/{own(FINISHED).fid}")

    assert answer.status_code == 200


def test_a_browsers_session_reads_results(own: Any, viewer: Membership, signed_in: Any) -> None:
    answer = signed_in(viewer).get(f"/outputs/html/{own(FINISHED).fid}")

    assert answer.status_code == 200
