"""The dashboard's responses in the OpenAPI document; dashboard_bodies.py makes them."""

from rest_framework import serializers

from core.examples import example
from executions.models import Execution
from panel import examples
from panel.error_groups import StateSerializer


class DashboardExecutionSerializer(serializers.Serializer[object]):
    fid = serializers.CharField(help_text="The id of the execution.")
    user_id = serializers.CharField(
        help_text="The id of the person who launched it, or `unknown` if no person did."
    )
    agent_name = serializers.CharField()
    status = serializers.ChoiceField(Execution.Status.choices)
    meta = serializers.DictField(help_text="As the engine emitted it, with its type tag.")
    error = serializers.CharField(
        allow_null=True, help_text="The message of the newest error, without a traceback."
    )
    error_timestamp = serializers.FloatField(allow_null=True, help_text="Unix seconds.")
    start_time = serializers.FloatField(
        help_text="When the first event was emitted, in Unix seconds."
    )
    end_time = serializers.FloatField(
        allow_null=True, help_text="When the latest event was emitted, in Unix seconds."
    )
    runtime = serializers.FloatField(
        allow_null=True,
        help_text=("Seconds from the first event to the latest, waiting for answers included."),
    )
    upload_count = serializers.IntegerField(
        min_value=0, help_text="Number of files directly in `in`."
    )
    download_count = serializers.IntegerField(
        min_value=0, help_text="Number of files directly in `out`."
    )


class DashboardAgentSerializer(DashboardExecutionSerializer):
    user_name = serializers.CharField()


class SliceSerializer(serializers.Serializer[object]):
    limit = serializers.IntegerField(min_value=1)
    offset = serializers.IntegerField(min_value=0)
    has_more = serializers.BooleanField(help_text="Whether there are more rows after this page.")
    next_cursor = serializers.CharField(
        allow_null=True,
        help_text="Send it as `cursor` to get the next page. null on the last page.",
    )


class DashboardFiltersSerializer(serializers.Serializer[object]):
    """The filters as given; null where a filter was not given. Several values are separated by
    commas."""

    hours = serializers.IntegerField(allow_null=True)
    agent_name = serializers.CharField(allow_null=True)
    user = serializers.CharField(allow_null=True)
    status = serializers.CharField(allow_null=True)
    search = serializers.CharField(allow_null=True)
    tag = serializers.CharField(allow_null=True)


@example(examples.RUNNING_AGENTS)
class RunningAgentsSerializer(SliceSerializer):
    total = serializers.IntegerField(min_value=0, help_text="The number of matches on all pages.")
    agents = DashboardAgentSerializer(many=True, help_text="Newest first.")
    filters = DashboardFiltersSerializer()


class DashboardErrorSerializer(serializers.Serializer[object]):
    fid = serializers.CharField()
    user_id = serializers.CharField()
    user_name = serializers.CharField()
    agent_name = serializers.CharField()
    timestamp = serializers.FloatField(help_text="Unix seconds.")
    message = serializers.CharField(help_text="The error message, without a traceback.")
    error = serializers.JSONField(
        help_text="`{error, traceback}`, or what the engine reported as JSON. The traceback and "
        "the engine's own JSON are for operators."
    )
    error_type = serializers.CharField(allow_blank=True, help_text="The class of the exception.")
    fingerprint = serializers.CharField(help_text="The fingerprint of its error group.")


@example(examples.ERRORS)
class ErrorsSerializer(SliceSerializer):
    total = serializers.IntegerField(min_value=0)
    errors = DashboardErrorSerializer(many=True, help_text="Newest first.")  # type: ignore[assignment]


class ErrorGroupSerializer(StateSerializer):
    fingerprint = serializers.CharField()
    error_type = serializers.CharField(allow_blank=True)
    message = serializers.CharField(help_text="From the newest error of the group.")
    agent_names = serializers.ListField(
        child=serializers.CharField(), help_text="Of 100 agents at most."
    )
    count = serializers.IntegerField(min_value=1)
    executions = serializers.IntegerField(min_value=1)
    users = serializers.IntegerField(min_value=0)
    first_seen = serializers.FloatField(help_text="Unix seconds of the first occurrence ever.")
    last_seen = serializers.FloatField(help_text="Unix seconds.")
    sparkline = serializers.ListField(
        child=serializers.IntegerField(min_value=0),
        help_text="The number of errors in each step that `starts` lists.",
    )


@example(examples.ERROR_GROUPS)
class ErrorGroupsSerializer(SliceSerializer):
    total = serializers.IntegerField(min_value=0)
    groups = ErrorGroupSerializer(many=True, help_text="Most recently seen first.")
    step = serializers.ChoiceField(["hour", "day", "month"])
    starts = serializers.ListField(
        child=serializers.FloatField(),
        help_text="The start of each step of the window, in Unix seconds.",
    )


@example(examples.TIMELINE)
class DashboardTimelineSerializer(SliceSerializer):
    total = serializers.IntegerField(min_value=0)
    executions = DashboardExecutionSerializer(many=True, help_text="Oldest first.")


@example(examples.STATISTICS)
class DashboardStatisticsSerializer(serializers.Serializer[object]):
    total_executions = serializers.IntegerField(min_value=0)
    by_status = serializers.DictField(child=serializers.IntegerField())
    by_user = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="By `user_id`: the 1,000 with the most executions.",
    )
    by_agent = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="By name: the 1,000 with the most executions.",
    )
    user_map = serializers.DictField(child=serializers.CharField(), help_text="Maps ids to names.")
    running = serializers.IntegerField(min_value=0)
    error_rate = serializers.FloatField(
        help_text=("The share of executions that ended with the status `error`, from 0 to 1.")
    )
    avg_runtime = serializers.FloatField(
        help_text="The mean of `runtime` in seconds; 0 if there is none."
    )
    p50_runtime = serializers.FloatField(
        allow_null=True,
        help_text=(
            "The median in seconds, without waiting for answers. The two percentiles that "
            "follow also exclude it."
        ),
    )
    p95_runtime = serializers.FloatField(allow_null=True)
    p99_runtime = serializers.FloatField(allow_null=True)


class DashboardEventSerializer(serializers.Serializer[object]):
    id = serializers.IntegerField(min_value=1)
    timestamp = serializers.FloatField(help_text="Unix seconds.")
    kind = serializers.CharField()
    message = serializers.CharField(help_text="Only operators see the traceback of an error.")


@example(examples.DETAILS)
class DashboardDetailsSerializer(SliceSerializer):
    metadata = DashboardExecutionSerializer()
    events = DashboardEventSerializer(many=True, help_text="In chronological order.")
    total_events = serializers.IntegerField(min_value=0)


class DashboardFileSerializer(serializers.Serializer[object]):
    name = serializers.CharField()
    size = serializers.IntegerField(min_value=0, help_text="Size in bytes.")
    path = serializers.CharField(help_text="`in/…` or `out/…`.")
    url = serializers.CharField(help_text="Where to download it.")


@example(examples.FILES)
class DashboardFilesSerializer(SliceSerializer):
    fid = serializers.CharField()
    uploads = DashboardFileSerializer(many=True, help_text="Files directly in `in`.")
    downloads = DashboardFileSerializer(many=True, help_text="Files directly in `out`.")
    nested_uploads = DashboardFileSerializer(many=True, help_text="Files in subfolders of `in`.")
    nested_downloads = DashboardFileSerializer(many=True, help_text="Files in subfolders of `out`.")
    upload_count = serializers.IntegerField(min_value=0, help_text="Files directly in `in`.")
    download_count = serializers.IntegerField(min_value=0, help_text="Files directly in `out`.")
