"""The bodies of the dashboard's responses, of rows and numbers."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
from rest_framework.exceptions import ParseError

from core.parsers import parse_json
from executions.described import summary_of, tags_of
from executions.errors import read_error
from executions.filters import NOBODY
from executions.models import Execution, ExecutionEvent, ExecutionFile
from executions.queries import ErrorGroup, ErrorGroups, GroupState, Statistics

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
    """The text itself where it is JSON. A response has many texts, of which each may have thousands
    of values: as objects they would take thirty times as much memory.
    """
    try:
        if text.lstrip()[:1] in JSON_STARTS:
            content = text.encode()
            parse_json(content)
            return orjson.Fragment(content)
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
        **state_body(group.state),
    }


def state_body(found: GroupState) -> dict[str, Any]:
    is_told = bool(found.resolved_by)
    return {
        "state": found.state,
        "resolved_at": found.resolved_at and found.resolved_at.timestamp(),
        "resolved_by": found.resolved_by if is_told else None,
        "note": found.note if is_told else None,
    }
