"""Streams in kodosumi's wire format, resumed from the client's position."""

import asyncio
import json
import threading
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from conftest import ClientFor
from executions.errors import ReadableError, read_error
from executions.event_log import NewEvent
from executions.models import Execution, now
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    START,
    make_execution,
    make_user_of,
)
from live import sse
from live.hub import Hub
from live.payloads import WITHOUT_TRACES, raw
from live.reading import MAX_MESSAGE_BYTES, Batch, Head, LiveEvent, Watched
from organizations.models import Organization
from organizations.stream_access import Viewer
from organizations.tests.factories import make_membership
from panel.streams import Stream
from tokens.tests.factories import access_token_for

READ = "executions:read"


def parse(text: str) -> list[dict[str, Any]]:
    """Parse server-sent events as the HTML standard defines."""
    events, event = [], {"data": []}
    for line in text.split("\r\n"):
        name, _, value = line.partition(":")
        if line == "":
            if event["data"]:
                events.append({**event, "data": "\n".join(event["data"])})
            event = {"data": []}
        elif name == "data":
            event["data"].append(value.removeprefix(" "))
        else:
            event[name] = value.removeprefix(" ")
    return events


def read(client: Client, execution: Execution, name: str = "stream", query: str = "", **headers):
    answer = client.get(f"/outputs/{name}/{execution.fid}{query}", headers=headers)
    assert answer.status_code == 200, answer.content
    return parse(b"".join(answer).decode())


@pytest.fixture
def operator(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization, "operator"))


def test_an_ended_execution_is_streamed_from_its_beginning_to_eof(
    organization: Organization, operator: Client
) -> None:
    result = NewEvent(START + 1.25, "result", '{"Markdown":{"body":"**ok**"}}')
    execution = make_execution(organization, FINISHED, start=START, events=[result])

    answer = operator.get(f"/outputs/stream/{execution.fid}")

    assert b"".join(answer).decode() == (
        "retry: 1000\r\n"
        f"id: 1\r\nevent: status\r\ndata: {START}:starting\r\n\r\n"
        f"id: 2\r\nevent: status\r\ndata: {START + 0.5}:running\r\n\r\n"
        f"id: 3\r\nevent: result\r\ndata: {START + 1.25}:{result.message}\r\n\r\n"
        f"id: 4\r\nevent: status\r\ndata: {START + 2.0}:finished\r\n\r\n"
        "id: 4\r\nevent: eof\r\ndata: end of stream\r\n\r\n"
    )
    assert answer["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer["X-Accel-Buffering"] == "no"
    assert "no-cache" in answer["Cache-Control"]


@pytest.mark.parametrize("query", ["", "?raw"])
@pytest.mark.parametrize("name", ["stream", "main", "stdio"])
def test_a_trace_is_for_operators(
    organization: Organization, client_for: ClientFor, operator: Client, name: str, query: str
) -> None:
    trace = 'Traceback (most recent call last):\n  File "/srv/secret.py", line 1, in f\nKeyError: 7'
    owner = make_membership(organization, "viewer")
    execution = make_execution(
        organization,
        FAILED,
        user=make_user_of(owner),
        events=[NewEvent(now(), "error", trace)],
    )

    seen = [
        next(
            event["data"]
            for event in read(client, execution, name, query if name != "stream" else "")
            if event["event"] == "error"
        ).partition(":")[2]
        for client in (operator, client_for(owner))
    ]

    assert "/srv/secret.py" in seen[0]
    assert seen[1] == "KeyError: 7"


def test_errors_are_read_for_everyone_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand errors take longer than anybody else's stream should wait."""
    readers = []

    def read_and_note(text: str) -> ReadableError:
        readers.append(threading.current_thread())
        return read_error(text)

    monkeypatch.setattr("live.payloads.read_error", read_and_note)
    stream = Stream(
        Watched(uuid4(), uuid4()),
        Head(1, "running"),
        after=0,
        viewer=Viewer("agent", uuid4(), uuid4()),
        kinds=None,
        payload=WITHOUT_TRACES[raw],
    )

    async def written() -> bytes:
        hub = Hub()
        try:
            return await stream.written_by(hub, Batch([LiveEvent(1, 1.0, "error", "disk full")]))
        finally:
            await hub.close()

    assert b"disk full" in asyncio.run(written())
    assert [thread is threading.main_thread() for thread in readers] == [False]


def test_lines_inside_a_message_become_lines_of_its_data(
    organization: Organization, operator: Client
) -> None:
    sly = "one\r\ntwo\rthree\n\nevent: forged\nid: 99"
    execution = make_execution(organization, FAILED, events=[NewEvent(now(), "stdout", sly)])

    (told,) = (event for event in read(operator, execution) if event["event"] == "stdout")

    assert told["data"].partition(":")[2] == "one\ntwo\nthree\n\nevent: forged\nid: 99"


@given(st.integers(0, 10**9), st.text(max_size=32), st.text(max_size=200))
def test_no_text_can_make_a_second_event(number: int, name: str, data: str) -> None:
    one = sse.frame(number, name, data)

    (read_back,) = parse(one)

    assert read_back["id"] == str(number)
    assert read_back["data"] == data.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("way", ["header", "since", "header before since"])
def test_a_client_continues_after_the_event_that_it_names(
    organization: Organization, operator: Client, way: str
) -> None:
    execution = make_execution(organization, FINISHED)
    header = {} if way == "since" else {"Last-Event-ID": "2"}
    query = {"since": "?since=2", "header": "", "header before since": "?since=1"}[way]

    told = read(operator, execution, query=query, **header)

    assert [event["id"] for event in told] == ["3", "3"]
    assert [event["event"] for event in told] == ["status", "eof"]


def test_the_id_of_another_execution_begins_at_the_start(
    organization: Organization, operator: Client
) -> None:
    execution = make_execution(organization, FINISHED)

    told = read(operator, execution, **{"Last-Event-ID": "4711"})

    assert [event["id"] for event in told] == ["1", "2", "3", "3"]


@pytest.mark.parametrize("bad", ["-1", "x", "1.5", "9" * 20, "²", "1 2"])
def test_a_last_event_id_that_is_no_number_is_refused(
    organization: Organization, operator: Client, bad: str
) -> None:
    execution = make_execution(organization, FINISHED)

    answer = operator.get(f"/outputs/stream/{execution.fid}", headers={"Last-Event-ID": bad})

    assert answer.status_code == 400
    assert answer.json()["details"].keys() == {"Last-Event-ID"}


def test_main_and_stdio_tell_their_kinds_rendered_or_raw(
    organization: Organization, operator: Client
) -> None:
    at = now()
    told = [
        NewEvent(at, "inputs", '{"dict":{"name":"<b>"}}'),
        NewEvent(at, "result", '{"Markdown":{"body":"**ok** <script>alert(1)</script>"}}'),
        NewEvent(at, "stdout", "\x1b[31mred\x1b[0m <b>"),
        NewEvent(at, "debug", "plain"),
    ]
    execution = make_execution(organization, RUNNING, events=told)

    def payloads(name: str, query: str = "") -> dict[str, str]:
        return {
            event["event"]: event["data"].partition(":")[2]
            for event in read(operator, execution, name, query)
        }

    main, stdio = payloads("main"), payloads("stdio")
    assert main.keys() == {"status", "inputs", "result", "close"}
    assert main["inputs"].strip() == "name: <b>"
    assert "<strong>ok</strong>" in main["result"]
    assert "<script" not in main["result"]
    assert stdio.keys() == {"stdout", "debug", "close"}
    assert stdio["stdout"] == '<span class="ansi-fg-1">red</span> &lt;b&gt;'
    assert stdio["debug"] == "plain"
    assert payloads("main", "?raw")["result"] == told[1].message
    assert payloads("stdio", "?raw=0")["stdout"] == told[2].message


def test_events_that_each_take_long_do_not_hold_up_the_streams_of_others(
    organization: Organization, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.sanitizing.SECONDS", 0.01)
    message = json.dumps({"Markdown": {"body": "[" * 6_000}})
    tiring = [NewEvent(START, "result", message)] * 10
    execution = make_execution(organization, FINISHED, events=tiring)

    told = [each["data"] for each in read(operator, execution, "main") if each["event"] == "result"]

    assert len(told) == 10
    assert sum("<p>" + "[" * 6_000 in each for each in told) < 5


def test_a_huge_event_is_cut_and_the_rest_follows(
    organization: Organization, operator: Client
) -> None:
    line, result = "x" * (MAX_MESSAGE_BYTES + 1), json.dumps({"str": "y" * MAX_MESSAGE_BYTES})
    told = [NewEvent(now(), "stdout", line), NewEvent(now(), "result", result)]
    execution = make_execution(organization, FINISHED, events=told)

    by_kind = {event["event"]: event["data"] for event in read(operator, execution)}

    assert by_kind["stdout"].endswith(f"… cut off: {len(line)} bytes in all")
    assert len(by_kind["stdout"]) < MAX_MESSAGE_BYTES
    shown = json.loads(by_kind["result"].partition(":")[2])
    assert str(len(result)) in shown["Text"]["body"]
    assert "eof" in by_kind


def test_people_see_their_own_and_operators_all(
    organization: Organization, client_for: ClientFor
) -> None:
    launcher, colleague = (make_membership(organization, "viewer") for _ in range(2))
    execution = make_execution(organization, FINISHED, user=make_user_of(launcher))
    url = f"/outputs/stream/{execution.fid}"

    assert client_for(launcher).get(url).status_code == 200
    assert client_for(make_membership(organization, "operator")).get(url).status_code == 200
    assert client_for(colleague).get(url).status_code == 404


def test_a_browser_streams_with_its_session_and_kodosumis_header_works_too(
    organization: Organization, signed_in: Any
) -> None:
    member = make_membership(organization, "viewer")
    execution = make_execution(organization, FINISHED, user=make_user_of(member))
    header = {"KODOSUMI_API_KEY": access_token_for(member)}

    assert read(signed_in(member), execution)[-1]["event"] == "eof"
    assert read(Client(), execution, **header)[-1]["event"] == "eof"
    assert Client().get(f"/outputs/stream/{execution.fid}").status_code == 401


def test_nobody_holds_more_streams_than_allowed(
    organization: Organization, client_for: ClientFor, settings: Any
) -> None:
    settings.STREAMS_PER_CALLER = 2
    execution = make_execution(organization, RUNNING)
    greedy, other = (client_for(make_membership(organization, "operator")) for _ in range(2))
    url = f"/outputs/stream/{execution.fid}"
    held = [greedy.get(url), greedy.get(url)]

    refused = greedy.get(url)

    assert refused.status_code == 429
    assert refused.json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert int(refused["Retry-After"]) >= 1
    assert other.get(url).status_code == 200
    b"".join(held[0])  # to its end
    assert greedy.get(url).status_code == 200


def test_an_organization_holds_no_more_streams_than_allowed(
    organization: Organization,
    other_organization: Organization,
    client_for: ClientFor,
    settings: Any,
) -> None:
    settings.STREAMS_PER_ORGANIZATION = 1
    urls = {}
    for each in (organization, other_organization):
        urls[each] = f"/outputs/stream/{make_execution(each, RUNNING).fid}"
    first, second = (client_for(make_membership(organization, "operator")) for _ in range(2))
    held = first.get(urls[organization])

    assert second.get(urls[organization]).status_code == 429
    elsewhere = client_for(make_membership(other_organization, "operator"))
    assert elsewhere.get(urls[other_organization]).status_code == 200
    b"".join(held)


def test_head_opens_no_stream(organization: Organization, operator: Client, settings: Any) -> None:
    settings.STREAMS_PER_CALLER = 0
    execution = make_execution(organization, RUNNING)

    answer = operator.head(f"/outputs/stream/{execution.fid}")

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/event-stream")
