"""The bodies of the dashboard's responses, and their description in the OpenAPI document."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ParseError

from core.examples import example
from core.parsers import parse_json
from executions.described import summary_of, tags_of
from executions.errors import read_error
from executions.filters import NOBODY
from executions.models import (
    Execution,
    ExecutionEvent,
    ExecutionFile,
)
from executions.queries import ErrorGroup, ErrorGroups, Statistics
from panel import examples

JSON_STARTS = frozenset('{["-0123456789tfn')


EXECUTION_COLUMNS = (
    *("pk", "fid", "user__external_id", "user__name", "agent_name", "status", "meta", "error"),
    *("error_time", "start_time", "end_time", "upload_count", "download_count"),
)
"""What execution_body() reads: creating model instances takes several times as long."""
ERROR_COLUMNS = (
    *("pk", "timestamp", "message", "error_type", "fingerprint", "execution__fid"),
    *("execution__agent_name", "execution__user__external_id", "execution__user__name"),
)


def execution_body(row: Any) -> dict[str, Any]:
    """kodosumi's 12 fields; `error` without its traceback."""
    return {
        "fid": row.fid,
        "user_id": user_id(row.user__external_id),
        "agent_name": row.agent_name,
        "status": row.status,
        "meta": row.meta,
        "error": row.error or None,
        "error_timestamp": row.error_time,
        "start_time": row.start_time,
        "end_time": row.end_time,
        "runtime": None if row.end_time is None else row.end_time - row.start_time,
        "upload_count": row.upload_count,
        "download_count": row.download_count,
    }


def agent_body(row: Any) -> dict[str, Any]:
    body = execution_body(row)
    body["user_name"] = user_name(row.user__external_id, row.user__name)
    return body


def execution_row(row: Any) -> dict[str, Any]:
    """An execution as a row of CSV, which has no room for all of `meta`."""
    return agent_body(row) | {"summary": summary_of(row.meta), "tags": ", ".join(tags_of(row.meta))}


def user_id(key: UUID | None) -> str:
    return NOBODY if key is None else str(key)


def user_name(key: UUID | None, name: str) -> str:
    return "Unknown" if key is None else name or str(key)


def error_body(row: Any) -> dict[str, Any]:
    """An error; its `error` is the event's full text only if the row includes it, for operators."""
    user = row.execution__user__external_id
    return {
        "fid": row.execution__fid,
        "user_id": user_id(user),
        "user_name": user_name(user, row.execution__user__name),
        "agent_name": row.execution__agent_name,
        "timestamp": row.timestamp,
        "message": row.message,
        "error": _said(row.message, getattr(row, "text", "")),
        "error_type": row.error_type,
        "fingerprint": row.fingerprint,
    }


def _said(message: str, text: str) -> Any:
    try:
        if text.lstrip()[:1] in JSON_STARTS:
            return parse_json(text.encode())
    except ParseError:
        pass
    trace = {} if text.strip() in {"", message} else {"traceback": text}
    return {"error": message, **trace}


def event_body(event: dict[str, Any], *, has_traces: bool) -> dict[str, Any]:
    """A row of ExecutionEvent; without `has_traces` an error is reduced to its message."""
    message = event["message"]
    if event["kind"] == ExecutionEvent.Kind.ERROR and not has_traces:
        message = read_error(message).message
    return {
        "id": event["sequence"],
        "timestamp": event["timestamp"],
        "kind": event["kind"],
        "message": message,
    }


def files_body(execution: Execution, files: Iterable[ExecutionFile]) -> dict[str, Any]:
    """The files; `uploads` and `downloads` are those directly in `in` and `out`, as in kodosumi."""
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("uploads", "downloads", "nested_uploads", "nested_downloads")
    }
    for file in files:
        kind = "uploads" if file.area == ExecutionFile.Area.IN else "downloads"
        found[f"nested_{kind}" if "/" in file.path else kind].append(
            {
                "name": file.name,
                "size": file.size,
                "path": f"{file.area}/{file.path}",
                "url": f"/files/{quote(execution.fid, safe='')}/{file.area}/{quote(file.path)}",
            }
        )
    return {
        "fid": execution.fid,
        **found,
        "upload_count": execution.upload_count,
        "download_count": execution.download_count,
    }


def statistics_body(found: Statistics) -> dict[str, Any]:
    names = found.user_map
    return {
        "total_executions": found.total,
        "by_status": found.by_status,
        "by_user": {user_id(key): number for key, number in found.by_user.items()},
        "by_agent": found.by_agent,
        "user_map": {
            user_id(key): user_name(key, names[key] if key else "") for key in found.by_user
        },
        "running": found.running,
        "error_rate": found.error_rate,
        "avg_runtime": found.avg_elapsed or 0,
        "p50_runtime": found.p50_runtime,
        "p95_runtime": found.p95_runtime,
        "p99_runtime": found.p99_runtime,
    }


def error_groups_body(groups: ErrorGroups) -> dict[str, Any]:
    return {
        "total": groups.total,
        "groups": [error_group_body(group) for group in groups.rows],
        "step": groups.step,
        "starts": [start.timestamp() for start in groups.starts],
    }


def error_group_body(group: ErrorGroup) -> dict[str, Any]:
    return {
        "fingerprint": group.fingerprint,
        "error_type": group.error_type,
        "message": group.message,
        "agent_names": list(group.agent_names),
        "count": group.count,
        "executions": group.executions,
        "users": group.users,
        "first_seen": group.first_seen,
        "last_seen": group.last_seen,
        "sparkline": list(group.sparkline),
    }


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
    """The filters as given; null where a filter was not given."""

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


class ErrorGroupSerializer(serializers.Serializer[object]):
    fingerprint = serializers.CharField()
    error_type = serializers.CharField(allow_blank=True)
    message = serializers.CharField(help_text="From the newest error of the group.")
    agent_names = serializers.ListField(child=serializers.CharField())
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
        child=serializers.IntegerField(), help_text="Sorted by `user_id`."
    )
    by_agent = serializers.DictField(child=serializers.IntegerField(), help_text="Sorted by name.")
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
