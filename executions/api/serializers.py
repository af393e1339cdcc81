"""Requests and responses of the API for external engines."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.examples import example
from core.fields import ContentField, TimeField
from core.serializers import BoundedListField, StrictSerializer
from executions.api import examples
from executions.api.event_batches import MAX_SECONDS_AHEAD, compact
from executions.leases import MAX_SECONDS, MIN_SECONDS
from executions.models import Execution, now

FIRST_STATUSES = ["queued", "starting", "running"]
FINAL_STATUSES = ["finished", "error", "cancelled"]


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """A JSON object that the database can hold."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Send an object.")
        compact(data)
        return data


class CostField(serializers.DecimalField):
    """A decimal number as text, so that a client cannot lose precision."""

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
    userId = serializers.SerializerMethodField(
        help_text="The member on whose behalf the agent acted."
    )
    status = serializers.ChoiceField(choices=Execution.Status.choices)
    summary = serializers.CharField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    startedAt = serializers.DateTimeField(source="started_at")
    endedAt = serializers.DateTimeField(source="ended_at", allow_null=True)
    error = serializers.CharField(
        help_text=(
            "The message of the newest error, without its traceback. Empty if there was none."
        )
    )
    inputTokens = serializers.IntegerField(source="input_tokens", allow_null=True)
    outputTokens = serializers.IntegerField(source="output_tokens", allow_null=True)
    costUsd = CostField(source="cost", allow_null=True)
    lastSequence = serializers.IntegerField(source="last_sequence")

    def get_userId(self, execution: Execution) -> UUID | None:
        return execution.user.external_id if execution.user else None


@example(examples.EXECUTION)
class ExecutionSerializer(ExecutionSummarySerializer):
    """An execution with its inputs and its result."""

    credentialId = serializers.UUIDField(source="credential_id", allow_null=True)
    description = serializers.SerializerMethodField()
    inputs = serializers.SerializerMethodField()
    final = serializers.SerializerMethodField()
    leaseGeneration = serializers.IntegerField(
        source="lease_generation", help_text="0 if the execution has no lease."
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
    """A new execution of the calling agent. Its name is always the agent's and cannot be set."""

    executionId = serializers.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z",
        max_length=64,
        required=False,
        help_text=("Your own id for the execution. Creating it again returns the existing one."),
    )
    status = serializers.ChoiceField(
        choices=FIRST_STATUSES,
        required=False,
        help_text="The default is `running`. A queued execution has no status event yet.",
    )
    summary = serializers.CharField(max_length=255, required=False)
    description = serializers.CharField(max_length=10_000, required=False)
    tags = BoundedListField(
        child=serializers.CharField(max_length=64), max_length=32, required=False
    )
    inputs = ObjectField(required=False)
    startedAt = TimeField(required=False, help_text="The default is now.")
    userId = serializers.UUIDField(
        required=False,
        help_text=("The member on whose behalf the agent acts. That member may see the execution."),
    )
    leaseSeconds = serializers.IntegerField(
        min_value=MIN_SECONDS,
        max_value=MAX_SECONDS,
        required=False,
        help_text=("The execution ends as an error when nothing is heard from it for this long."),
    )

    def validate_startedAt(self, moment: datetime) -> datetime:
        if not 0 <= moment.timestamp() <= now() + MAX_SECONDS_AHEAD:
            raise serializers.ValidationError("Use a time from 1970 on, at most a day from now.")
        return moment


@example(sent=examples.CHANGE)
class ChangeSerializer(StrictSerializer):
    """Figures that become known late. Omitted fields keep their values."""

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
    """The end of a run."""

    status = serializers.ChoiceField(choices=FINAL_STATUSES)
    final = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text="The result: a text, any JSON value, or an object that names its form: "
        '`{"Markdown": {"body": "…"}}`, `{"HTML": …}`, `{"Text": …}`.',
    )
    error = ContentField(
        required=False,
        max_length=1024 * 1024,
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
        required=False, help_text="Take the lease over. Its previous holder can no longer write."
    )


@example(examples.LEASE)
class LeaseSerializer(serializers.Serializer[Execution]):
    status = serializers.ChoiceField(choices=Execution.Status.choices)
    leaseGeneration = serializers.IntegerField(source="lease_generation")
    leaseExpiresAt = serializers.DateTimeField(source="lease_expires_at")
