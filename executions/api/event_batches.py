"""Batches of events, accepted or refused as a whole; an error says where the fault is."""

import json
from collections.abc import Mapping
from typing import IO, Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from core.days import unix_seconds
from core.examples import example
from core.parsers import parse_json
from core.serializers import StrictSerializer
from executions.actions import ReportedEvent
from executions.api import examples
from executions.event_log import lock_id
from executions.models import MAX_SEQUENCE, Execution, ExecutionEvent, now

MAX_EVENTS = 1000
MAX_SECONDS_AHEAD = 24 * 3600
"""The maximum number of seconds by which an engine's clock may be ahead of AgentIdP's."""
NEWLINE_JSON = "application/x-ndjson"


def compact(value: Any) -> str:
    """The value as JSON text without spaces.

    Raises ValidationError for a number that JSON cannot represent, such as 1e400, which Python
    reads as infinity.
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise serializers.ValidationError("A number is too large.") from error


class NewlineJSONParser(BaseParser):
    """Parse newline-delimited JSON, one event a line, into a batch of events."""

    media_type = NEWLINE_JSON

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        lines = stream.read().split(b"\n")
        if len(lines) > MAX_EVENTS + 1:
            raise serializers.ValidationError({"events": [TOO_MANY]})
        return {"events": [_line(n, line) for n, line in enumerate(lines, 1) if line.strip()]}


def _line(number: int, line: bytes) -> Any:
    try:
        return parse_json(line)
    except ParseError as error:
        raise ParseError(f"Line {number}: {error.detail}") from error


TOO_MANY = f"Send at most {MAX_EVENTS} events at a time."


@example(sent=examples.EVENT, media_type=NEWLINE_JSON)
class EventSerializer(serializers.Serializer[ReportedEvent]):
    """One event of a run."""

    # Only for the OpenAPI document; EventsField parses events faster.

    kind = serializers.ChoiceField(choices=ExecutionEvent.Kind.choices)
    message = serializers.JSONField(
        help_text="Text for status, stdout, stderr, debug and error. For the other kinds a JSON "
        "value, or a text that is JSON."
    )
    timestamp = serializers.FloatField(
        required=False,
        min_value=0,
        help_text=(
            "Unix seconds; the default is now. It is for display only: events are ordered "
            "by their numbers."
        ),
    )
    sequence = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_SEQUENCE,
        help_text="The number that the event must get. It makes a repeated request safe.",
    )


@extend_schema_field(EventSerializer(many=True))
class EventsField(serializers.Field[list[ReportedEvent], Any, Any, Any]):
    """A batch of events. An error names the event by its index in the batch, starting at 0."""

    def to_internal_value(self, data: Any) -> list[ReportedEvent]:
        if not isinstance(data, list) or not data:
            raise serializers.ValidationError("Send a list of events.")
        if len(data) > MAX_EVENTS:
            raise serializers.ValidationError(TOO_MANY)
        latest = now() + MAX_SECONDS_AHEAD
        events = []
        for number, item in enumerate(data):
            try:
                events.append(_event(item, latest))
            except ValueError as error:
                raise serializers.ValidationError(f"Event {number}: {error}") from error
        return events

    def to_representation(self, value: Any) -> Any:
        return value


KINDS = frozenset(ExecutionEvent.Kind.values)
ANSWERABLE = frozenset({ExecutionEvent.Kind.LOCK, ExecutionEvent.Kind.LEASE})
EVENT_FIELDS = frozenset({"kind", "message", "timestamp", "sequence"})


def _event(item: Any, latest: float) -> ReportedEvent:
    """The event that `item` describes; ValueError with a readable message when it is not one."""
    if not isinstance(item, dict):
        raise ValueError("expected a JSON object.")
    if unknown := sorted(item.keys() - EVENT_FIELDS):
        raise ValueError(f"The field {unknown[0][:64]} is unknown.")
    kind = item.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}.")
    if "message" not in item:
        raise ValueError("message is required.")
    message = _message(kind, item["message"])
    if kind in ANSWERABLE and not lock_id(message):
        raise ValueError(f"the message of the kind {kind} needs a lid, the id of the lock.")
    return ReportedEvent(
        kind,
        message,
        _timestamp(item.get("timestamp"), latest),
        _sequence(item.get("sequence")),
    )


def _message(kind: str, message: Any) -> str:
    if kind in ExecutionEvent.PLAIN:
        if not isinstance(message, str):
            raise ValueError(f"the message of the kind {kind} must be text.")
        return message
    if not isinstance(message, str):
        try:
            return compact(message)
        except serializers.ValidationError:
            raise ValueError("message: a number is too large.") from None
    try:
        parse_json(message.encode())
    except ParseError as error:
        detail = str(error.detail).replace("The body", "This text")
        raise ValueError(f"the message of the kind {kind} must be JSON. {detail}") from None
    return message


def _timestamp(value: Any, latest: float) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= latest:
        raise ValueError("timestamp must be in Unix seconds, and at most a day from now.")
    return unix_seconds(value)


def _sequence(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SEQUENCE:
        raise ValueError(f"sequence must be a whole number from 1 to {MAX_SEQUENCE}.")
    return value


@example(sent=examples.EVENTS)
class BatchSerializer(StrictSerializer):
    events = EventsField()


@example(examples.APPENDED)
class AppendedSerializer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField(help_text="The number of events that were new.")
    duplicates = serializers.IntegerField(
        help_text="The number of events that had been stored before."
    )
    lastSequence = serializers.IntegerField(source="execution.last_sequence")
    status = serializers.ChoiceField(source="execution.status", choices=Execution.Status.choices)
