"""What outside engines send about executions, and what they get back."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from core.examples import example
from core.fields import TimeField
from core.filters import FormedTextFilter, StrictFilterSet, parse_moment
from core.parsers import parse_json
from executions.actions import ReportedEvent
from executions.api import examples
from executions.event_log import lock_id
from executions.filters import containing, tagged
from executions.leases import MAX_SECONDS, MIN_SECONDS
from executions.models import Execution, ExecutionEvent, ExecutionFile, now
from executions.paths import MAX_PATH_LENGTH, validate_path
from organizations.api import BoundedListField, StrictSerializer

MAX_EVENTS = 1000
MAX_SEQUENCE = 2**31 - 1
AHEAD = 24 * 3600
"""Seconds that an engine's clock may be ahead of ours."""
NEWLINE_JSON = "application/x-ndjson"
FIRST_STATUSES = ["queued", "starting", "running"]
FINAL_STATUSES = ["finished", "error", "cancelled"]


def compact(value: Any) -> str:
    """JSON text without spaces. ValidationError for a number that JSON cannot spell, such as
    1e400, which Python reads as infinity."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise serializers.ValidationError("A number is too large.") from error


class NewlineJSONParser(BaseParser):
    """One event a line; the batch that they are."""

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


class RawParser(BaseParser):
    """The bytes as they are, of whatever type they say they are."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return stream.read()


TOO_MANY = f"Send at most {MAX_EVENTS} events at a time."


@example(sent=examples.EVENT, media_type=NEWLINE_JSON)
class EventSerializer(serializers.Serializer[ReportedEvent]):
    """One thing that happened in a run."""

    # EventsField reads it, faster; this is for the OpenAPI document alone.

    kind = serializers.ChoiceField(choices=ExecutionEvent.Kind.choices)
    message = serializers.JSONField(
        help_text="Text for status, stdout, stderr, debug and error. For the other kinds a JSON "
        "value, or a text that is JSON."
    )
    timestamp = serializers.FloatField(
        required=False,
        min_value=0,
        help_text="Unix seconds; now if absent. It is shown, and decides nothing: events count in "
        "the order of their numbers.",
    )
    sequence = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_SEQUENCE,
        help_text="The number that the event must get. Makes repeating safe.",
    )


@extend_schema_field(EventSerializer(many=True))
class EventsField(serializers.Field[list[ReportedEvent], Any, Any, Any]):
    """A batch of events. A fault is named by the event's place in it, from 0."""

    def to_internal_value(self, data: Any) -> list[ReportedEvent]:
        if not isinstance(data, list) or not data:
            raise serializers.ValidationError("Send a list of events.")
        if len(data) > MAX_EVENTS:
            raise serializers.ValidationError(TOO_MANY)
        latest = now() + AHEAD
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
    """ValueError with a sentence for anything that is no event."""
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
    return float(value)


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
    accepted = serializers.IntegerField(help_text="How many events were new.")
    duplicates = serializers.IntegerField(help_text="How many were there already.")
    lastSequence = serializers.IntegerField(source="execution.last_sequence")
    status = serializers.ChoiceField(source="execution.status", choices=Execution.Status.choices)


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """A JSON object that the database can hold."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Send an object.")
        compact(data)
        return data


class CostField(serializers.DecimalField):
    """A decimal number as text, so that no sum is rounded on its way."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_digits=18, decimal_places=8, min_value=Decimal(0), coerce_to_string=True, **kwargs
        )

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str):
            raise serializers.ValidationError('Send a decimal number as text, for example "0.25".')
        return super().to_internal_value(data)

    def to_representation(self, value: Any) -> str:
        return f"{value.normalize():f}"


@example(examples.EXECUTION_SUMMARY)
class ExecutionSummarySerializer(serializers.Serializer[Execution]):
    """An execution in a list."""

    executionId = serializers.CharField(source="fid")
    agentId = serializers.UUIDField(source="agent_id", allow_null=True)
    agentName = serializers.CharField(source="agent_name")
    userId = serializers.SerializerMethodField(help_text="The member whom it was run for.")
    status = serializers.ChoiceField(choices=Execution.Status.choices)
    summary = serializers.CharField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    startedAt = serializers.DateTimeField(source="started_at")
    endedAt = serializers.DateTimeField(source="ended_at", allow_null=True)
    error = serializers.CharField(help_text="Of the newest error, without its trace; else empty.")
    inputTokens = serializers.IntegerField(source="input_tokens", allow_null=True)
    outputTokens = serializers.IntegerField(source="output_tokens", allow_null=True)
    costUsd = CostField(source="cost", allow_null=True)
    lastSequence = serializers.IntegerField(source="last_sequence")

    def get_userId(self, execution: Execution) -> UUID | None:
        return execution.user.external_id if execution.user else None


@example(examples.EXECUTION)
class ExecutionSerializer(ExecutionSummarySerializer):
    """One execution with what went in and came out."""

    credentialId = serializers.UUIDField(source="credential_id", allow_null=True)
    description = serializers.SerializerMethodField()
    inputs = serializers.SerializerMethodField()
    final = serializers.SerializerMethodField()
    leaseGeneration = serializers.IntegerField(
        source="lease_generation", help_text="0: it has no lease."
    )
    leaseExpiresAt = serializers.DateTimeField(source="lease_expires_at", allow_null=True)

    def get_description(self, execution: Execution) -> str | None:
        found = execution.description.get("description")
        return found if isinstance(found, str) else None

    @extend_schema_field({})
    def get_inputs(self, execution: Execution) -> Any:
        inputs = execution.inputs
        return inputs.get("dict", inputs) if isinstance(inputs, dict) else inputs

    @extend_schema_field({})
    def get_final(self, execution: Execution) -> Any:
        try:
            return json.loads(execution.final) if execution.final else None
        except (ValueError, RecursionError):
            return execution.final


@example(sent=examples.NEW_EXECUTION)
class NewExecutionSerializer(StrictSerializer):
    """An execution of the calling agent. Its name is the agent's own: it cannot be claimed."""

    executionId = serializers.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z",
        max_length=64,
        required=False,
        help_text="Your own id for it. Creating it again then gives the first one back.",
    )
    status = serializers.ChoiceField(
        choices=FIRST_STATUSES,
        required=False,
        help_text="running if absent. A queued one has no status event yet.",
    )
    summary = serializers.CharField(max_length=255, required=False)
    description = serializers.CharField(max_length=10_000, required=False)
    tags = BoundedListField(
        child=serializers.CharField(max_length=64), max_length=32, required=False
    )
    inputs = ObjectField(required=False)
    startedAt = TimeField(required=False, help_text="Now if absent.")
    userId = serializers.UUIDField(
        required=False, help_text="The member on whose behalf the agent acts, who may see it."
    )
    leaseSeconds = serializers.IntegerField(
        min_value=MIN_SECONDS,
        max_value=MAX_SECONDS,
        required=False,
        help_text="If nothing is heard from it for so long, it ends as an error.",
    )

    def validate_startedAt(self, moment: datetime) -> datetime:
        if not 0 <= moment.timestamp() <= now() + AHEAD:
            raise serializers.ValidationError("Use a time from 1970 on, at most a day from now.")
        return moment


@example(sent=examples.CHANGE)
class ChangeSerializer(StrictSerializer):
    """What is known late. Fields that are left out stay as they are."""

    inputTokens = serializers.IntegerField(
        source="input_tokens", min_value=0, max_value=2**63 - 1, required=False, allow_null=True
    )
    outputTokens = serializers.IntegerField(
        source="output_tokens", min_value=0, max_value=2**63 - 1, required=False, allow_null=True
    )
    costUsd = CostField(source="cost", required=False, allow_null=True)
    summary = serializers.CharField(max_length=255, required=False)


@example(sent=examples.FINISH)
class FinishSerializer(StrictSerializer):
    """How it ended."""

    status = serializers.ChoiceField(choices=FINAL_STATUSES)
    final = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text="The result: a text, any JSON value, or an object that names its form: "
        '`{"Markdown": {"body": "…"}}`, `{"HTML": …}`, `{"Text": …}`.',
    )
    error = serializers.CharField(
        required=False,
        max_length=1024 * 1024,
        trim_whitespace=False,
        help_text="What went wrong, for example a traceback.",
    )

    def validate_final(self, value: Any) -> Any:
        compact(value)
        return value


@example(sent=examples.HEARTBEAT)
class HeartbeatSerializer(StrictSerializer):
    leaseSeconds = serializers.IntegerField(
        min_value=MIN_SECONDS, max_value=MAX_SECONDS, required=False
    )
    takeOver = serializers.BooleanField(
        required=False, help_text="Become the holder; whoever held the lease cannot write any more."
    )


@example(examples.LEASE)
class LeaseSerializer(serializers.Serializer[Execution]):
    status = serializers.ChoiceField(choices=Execution.Status.choices)
    leaseGeneration = serializers.IntegerField(source="lease_generation")
    leaseExpiresAt = serializers.DateTimeField(source="lease_expires_at")


@example(sent=examples.NEW_UPLOAD)
class NewUploadSerializer(StrictSerializer):
    area = serializers.ChoiceField(
        choices=ExecutionFile.Area.choices, help_text="in: given to it; out: made by it."
    )
    path = serializers.CharField(
        max_length=MAX_PATH_LENGTH,
        trim_whitespace=False,
        validators=[validate_path],
        help_text="Relative; folders are separated by /.",
    )
    size = serializers.IntegerField(min_value=0, help_text="In bytes.")

    def validate_size(self, size: int) -> int:
        if size > settings.EXECUTION_FILE_MAX_BYTES:
            raise serializers.ValidationError(
                f"A file has at most {settings.EXECUTION_FILE_MAX_BYTES} bytes."
            )
        return size


class RangeSerializer(serializers.Serializer[Any]):
    first = serializers.IntegerField()
    last = serializers.IntegerField()


@example(examples.UPLOAD)
class UploadSerializer(serializers.Serializer[Any]):
    uploadId = serializers.UUIDField(source="upload_id", help_text="Becomes the file's id.")
    area = serializers.ChoiceField(choices=ExecutionFile.Area.choices)
    path = serializers.CharField()
    size = serializers.IntegerField()
    received = serializers.IntegerField(help_text="How many bytes have arrived.")
    missing = serializers.SerializerMethodField(help_text="The gaps; both ends belong to them.")
    isComplete = serializers.BooleanField(source="is_complete")

    @extend_schema_field(RangeSerializer(many=True))
    def get_missing(self, upload: Any) -> list[dict[str, int]]:
        return [{"first": first, "last": last} for first, last in upload.missing]


class ExecutionFilter(StrictFilterSet):
    status = django_filters.ChoiceFilter(choices=Execution.Status.choices)
    agentId = django_filters.UUIDFilter(field_name="agent_id")
    fromDate = FormedTextFilter(
        method="narrow_to_start",
        max_length=40,
        help_text="Started on or after this day or instant.",
    )
    toDate = FormedTextFilter(
        method="narrow_to_end",
        max_length=40,
        help_text="Started by the end of this day, or by this instant.",
    )
    search = django_filters.CharFilter(
        method="narrow_to_text",
        max_length=128,
        help_text="A part of the id, the summary, a tag, the status, the error, or of the name or "
        "id of the agent or person, in any case.",
    )
    tag = django_filters.CharFilter(
        method="narrow_to_tag",
        max_length=64,
        help_text="A whole tag, in any case.",
    )
    order = django_filters.ChoiceFilter(
        choices=[("started", "started"), ("reported", "reported")],
        method="put_in_order",
        help_text="`started` if absent. A queued run moves in it when it starts; by when it was "
        "`reported` every run keeps its place, also while you read page by page.",
    )

    def narrow_to_start(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        moment, _ = parse_moment(text, name)
        return queryset.filter(start_time__gte=moment.timestamp())

    def narrow_to_end(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        moment, is_day = parse_moment(text, name)
        if is_day:
            return queryset.filter(start_time__lt=moment.timestamp() + 24 * 3600)
        return queryset.filter(start_time__lte=moment.timestamp())

    def narrow_to_text(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        return queryset.filter(containing(text))

    def narrow_to_tag(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        return queryset.filter(tagged(text))

    def put_in_order(self, queryset: QuerySet[Any], name: str, order: str) -> QuerySet[Any]:
        return queryset.order_by("-id") if order == "reported" else queryset

    class Meta:
        model = Execution
        fields = ["status", "agentId", "fromDate", "toDate", "search", "tag", "order"]
