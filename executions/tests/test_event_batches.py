"""Batches of events: as JSON and as lines, repeated, out of order, and refused as a whole."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from agents.tests.factories import make_agent
from executions.models import now
from executions.tests.engine import append, events_of, line, report
from executions.tests.factories import START
from organizations.models import Organization

NEWLINE_JSON = "application/x-ndjson"


@pytest.fixture
def client(organization: Organization, client_for: Callable[..., Client]) -> Client:
    return client_for(make_agent(organization))


def test_events_as_lines_of_json(organization, client):
    url = report(client, status="queued")
    lines = [json.dumps(line("a", sequence=1)), "", json.dumps(line("b", sequence=2)), ""]

    answer = client.post(f"{url}/events", "\n".join(lines), content_type=NEWLINE_JSON)

    assert answer.json() == {
        "accepted": 2,
        "duplicates": 0,
        "lastSequence": 2,
        "status": "queued",
    }
    assert events_of(organization) == [(1, "stdout", "a"), (2, "stdout", "b")]


def test_repeats_count_as_duplicates(organization, client):
    url = report(client, status="queued")
    batch = [line("a", sequence=1, timestamp=START), line("b", sequence=2)]
    append(client, url, *batch)

    again = append(client, url, *batch, line("c", sequence=3))

    assert (again["accepted"], again["duplicates"], again["lastSequence"]) == (1, 2, 3)
    assert len(events_of(organization)) == 3


def test_a_conflict_and_a_gap_are_refused_and_nothing_is_stored(organization, client):
    url = report(client, status="queued")
    append(client, url, line("a", sequence=1))

    conflict = append(client, url, line("new"), line("z", sequence=1), status=409)
    gap = append(client, url, line("b", sequence=2), line("d", sequence=4), status=409)

    assert (conflict["code"], conflict["details"]) == ("SEQUENCE_CONFLICT", {"sequence": 1})
    assert (gap["code"], gap["details"]) == ("SEQUENCE_GAP", {"sequence": 4, "nextSequence": 2})
    assert events_of(organization) == [(1, "stdout", "a")]


def test_json_kinds_take_values_and_text_that_is_json(organization, client):
    url = report(client, status="queued")

    append(
        client,
        url,
        {"kind": "action", "message": {"dict": {"Größe": [1, 2.5, None]}}},
        {"kind": "result", "message": '{ "Text": {"body": "as it is"} }'},
        {"kind": "final", "message": 42},
    )

    assert [message for *_, message in events_of(organization)] == [
        '{"dict":{"Größe":[1,2.5,null]}}',
        '{ "Text": {"body": "as it is"} }',
        "42",
    ]


BAD_EVENTS: dict[str, Any] = {
    "no object": "stdout",
    "an unknown field": line("a", agent="x"),
    "an unknown kind": {"kind": "gossip", "message": "a"},
    "a kind that is none": {"kind": ["stdout"], "message": "a"},
    "no message": {"kind": "stdout"},
    "a value where text is due": {"kind": "stdout", "message": {"a": 1}},
    "text that is no JSON": {"kind": "result", "message": "hello"},
    "text with NaN": {"kind": "result", "message": "[NaN]"},
    "text with a NUL": {"kind": "result", "message": '"\\u0000"'},
    "a negative time": line("a", timestamp=-1),
    "a time in a week": line("a", timestamp=now() + 7 * 86_400),
    "a time as text": line("a", timestamp="2026-11-22"),
    "a boolean as time": line("a", timestamp=True),
    "sequence 0": line("a", sequence=0),
    "a huge sequence": line("a", sequence=2**31),
    "a sequence as text": line("a", sequence="1"),
}


@pytest.mark.parametrize("kind", BAD_EVENTS)
def test_a_bad_event_is_named_by_its_place(organization, client, kind):
    url = report(client, status="queued")

    answer = append(client, url, line("good"), BAD_EVENTS[kind], status=400)

    assert answer["message"].startswith("events: Event 1: ")
    assert events_of(organization) == []


@pytest.mark.parametrize(
    "content",
    [
        b'{"kind": "stdout", "message": "\\u0000"}',
        b'{"kind": "stdout", "message": "\\ud800"}',
        b'{"kind": "stdout", "message": "\xff"}',
        b'{"kind": "stdout", "message": "a", "timestamp": 1e400}',
        b'{"kind": "stdout", "message": "a", "timestamp": NaN}',
        b'{"kind": "final", "message": 1e400}',
        b"\n".join([b'{"kind": "debug", "message": ""}'] * 1001),
        b'{"kind": "stdout", "message": "a"',
        b"",
    ],
)
def test_bad_lines_are_refused(organization, client, content):
    url = report(client, status="queued")

    answer = client.post(f"{url}/events", content, content_type=NEWLINE_JSON)

    assert answer.status_code == 400
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert events_of(organization) == []


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udc1b[2J"])
@pytest.mark.parametrize("kind", ["stdout", "result"])
def test_binary_output_is_refused_with_its_place(organization, client, kind, text):
    url = report(client, status="queued")
    message = f'"{text}"' if kind == "stdout" else f'{{"Text": {{"body": "{text}"}}}}'
    events = f'{{"kind": "stdout", "message": "a"}}, {{"kind": "{kind}", "message": {message}}}'

    answer = client.post(
        f"{url}/events", f'{{"events": [{events}]}}', content_type="application/json"
    )

    place = "events.1.message" if kind == "stdout" else "events.1.message.Text.body"
    assert answer.status_code == 400
    assert answer.json()["message"] == f"{place} contains a NUL or half of a surrogate pair."
    assert events_of(organization) == []


def test_bytes_that_are_no_text_are_refused(organization, client):
    url = report(client, status="queued")
    content = b'{"events": [{"kind": "stdout", "message": "\xff\xed\xa0\x80"}]}'

    answer = client.post(f"{url}/events", content, content_type="application/json")

    assert (answer.status_code, answer.json()["message"]) == (400, "The body is not UTF-8.")


@pytest.mark.parametrize(
    "content_type", ["application/json", NEWLINE_JSON, "application/octet-stream"]
)
def test_a_line_of_ten_megabytes_is_refused_before_it_is_read(organization, client, content_type):
    url = report(client, status="queued")

    answer = client.post(f"{url}/events", "<b>" * 3_500_000, content_type=content_type)

    assert answer.status_code == 413
    assert "larger than 1048576 bytes" in answer.json()["message"]
    assert events_of(organization) == []


def test_control_sequences_are_stored_unchanged(organization, client):
    url = report(client, status="queued")
    text = "\x1b]0;title\x07\x1b[2J\x1b[10;10H\x9b\x01\x7f\r\n"

    append(client, url, line(text))

    assert events_of(organization) == [(1, "stdout", text)]


@pytest.mark.parametrize("number", [0, 1001])
def test_a_batch_has_1_to_1000_events(client, number):
    url = report(client)

    answer = append(client, url, *[line("a")] * number, status=400)

    assert "events" in answer["details"]
