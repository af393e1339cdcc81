"""An execution's status and result in the words of kodosumi's panel, for /outputs."""

from typing import Any

from django.utils import timezone

from executions.errors import WITHOUT_MESSAGE
from executions.json_text import read_json, tagged_text
from executions.models import Execution

Status = Execution.Status
WITHOUT_RESULT = "The execution ended without a result."
CANCELLED = "The execution was cancelled before it had a result."
MAX_FACT_LENGTH = 10_000
PLEASE_WAIT = "The execution is still running. Please wait for its result."


def status_body(execution: Execution) -> dict[str, Any]:
    """The body of the status response.

    `final` is JSON text inside the JSON; for a failed execution it is the readable message.
    """
    described = execution.description
    deprecated = described.get("deprecated")
    app_url = _text(described.get("app_url"))
    return {
        "status": execution.status,
        "timestamp": execution.marked_time or execution.start_time,
        "final": final_text(execution),
        "fid": execution.fid,
        "summary": execution.summary,
        "description": _text(described.get("description")),
        "tags": execution.tags if isinstance(described.get("tags"), list) else None,
        "deprecated": deprecated if isinstance(deprecated, bool) else None,
        "author": _text(described.get("author")),
        "organization": _text(described.get("organization")),
        "version": _text(described.get("version")),
        "kodosumi_version": _text(described.get("kodosumi")),
        "app_url": app_url,
        "base_url": _text(described.get("base_url")) or app_url,
        "entry_point": _text(described.get("entry_point")),
        "username": str(execution.user.external_id) if execution.user else None,
        "locks": open_locks(execution),
    }


def open_locks(execution: Execution) -> list[str]:
    """The locks that wait for an answer; none once the execution has ended."""
    return [] if execution.has_ended else execution.open_locks


def final_text(execution: Execution) -> str | None:
    """The final result as tagged JSON text; None until there is one."""
    if execution.status == Status.ERROR:
        return tagged_text(execution.error or WITHOUT_MESSAGE)
    return execution.final


def final_or_notice(execution: Execution) -> str:
    """`final_text`, or a tagged notice in its place until there is one."""
    text = final_text(execution)
    if text is not None:
        return text
    if execution.status == Status.CANCELLED:
        return tagged_text(CANCELLED)
    if execution.has_ended:
        return tagged_text(WITHOUT_RESULT)
    return tagged_text(PLEASE_WAIT, "Markdown")


def final_value(execution: Execution) -> Any:
    """`final_or_notice` as a value; text that is not JSON, or nested too deeply, is tagged as
    text.
    """
    text = final_or_notice(execution)
    value = read_json(text)
    return {"Text": {"body": text}} if value is None else value


def clock(seconds: float) -> str:
    """A duration as hours, minutes and seconds to a tenth, rounded first: 59.95 s become a
    minute.
    """
    minutes, tenths = divmod(round(seconds * 10), 600)
    return f"{minutes // 60:02}:{minutes % 60:02}:{tenths / 10:04.1f}"


def facts(execution: Execution) -> list[tuple[str, Any]]:
    """The execution's known facts as labels and values, for the printable result."""
    described = execution.description
    end = execution.ended_at or timezone.now()
    seconds = max((end - execution.started_at).total_seconds(), 0)
    known = [
        ("Started", f"{execution.started_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Runtime", clock(seconds)),
        ("Status", execution.get_status_display()),
        ("Id", execution.fid),
        ("Name", execution.agent_name),
        ("Version", _text(described.get("version"))),
        ("Description", _text(described.get("description"))),
        ("Author", _text(described.get("author"))),
        ("Organization", _text(described.get("organization"))),
        ("kodosumi", _text(described.get("kodosumi"))),
    ]
    return [(label, str(value)[:MAX_FACT_LENGTH]) for label, value in known if value]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
