"""The bodies of /timeline."""

from typing import Any

from rest_framework import serializers

from core.examples import example
from executions.models import Execution
from panel import examples


class TimelineItemSerializer(serializers.Serializer[Any]):
    """An execution in its owner's list."""

    fid = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    summary = serializers.CharField(allow_null=True)
    inputs = serializers.DictField(
        allow_null=True,
        help_text=("With their type tag. null if longer than 32 KiB: get the execution itself."),
    )
    status = serializers.ChoiceField(choices=Execution.Status.choices)
    startup = serializers.DateTimeField(allow_null=True)
    finish = serializers.DateTimeField(
        allow_null=True,
        help_text="When the newest event was emitted, also while the execution runs.",
    )
    runtime = serializers.FloatField(
        allow_null=True,
        help_text=("Seconds from the first event to the latest, waiting for answers included."),
    )
    locks = serializers.ListField(
        child=serializers.CharField(), help_text="The ids of the locks that wait for an answer."
    )


@example(examples.TIMELINE_PAGE)
class TimelinePageSerializer(serializers.Serializer[Any]):
    items = TimelineItemSerializer(many=True)
    query = serializers.CharField(allow_null=True)
    offset = serializers.CharField(
        allow_null=True, help_text="Send it as `offset` to get the next page."
    )
    next_cursor = serializers.CharField(
        allow_null=True,
        help_text=(
            "Send it as `cursor` to get the next page without repeated or missing rows. "
            "null on the last page."
        ),
    )


@example(examples.TIMELINE_CHANGES)
class TimelineChangesSerializer(serializers.Serializer[Any]):
    update = TimelineItemSerializer(many=True)  # type: ignore[assignment]
    delete = serializers.ListField(child=serializers.CharField())
    timestamp = serializers.FloatField(
        help_text=(
            "Send it as `since` to get later changes. It is a position in the order of all "
            "changes, not a time."
        )
    )
    query = serializers.CharField(allow_null=True)


class TimelineMovesSerializer(serializers.Serializer[Any]):
    append = TimelineItemSerializer(many=True, help_text="Older executions.")
    insert = TimelineItemSerializer(many=True, help_text="Newer executions, newest first.")
    update = TimelineItemSerializer(many=True)  # type: ignore[assignment]
    delete = serializers.ListField(child=serializers.CharField())


@example(examples.TIMELINE_VIEW)
class TimelineViewSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    origin = serializers.CharField(allow_null=True, help_text="The newest execution shown.")
    offset = serializers.CharField(allow_null=True, help_text="The oldest execution shown.")
    timestamp = serializers.FloatField(
        help_text="Send it with the next request to get later changes."
    )
    items = TimelineMovesSerializer()
    query = serializers.CharField(allow_null=True)
