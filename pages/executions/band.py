"""What matters about a run now, by its status: the top of its page."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from core.days import DAY
from executions import queries
from executions.errors import WITHOUT_MESSAGE
from executions.filters import Filters
from executions.frames import OwnFrame, own_frame
from executions.models import Execution, ExecutionError
from organizations.actors import Actor
from pages.executions.errors import fewer_bars
from pages.executions.page_query import to_datetime
from pages.executions.progress import progress_of

Status = Execution.Status
ALIKE_DAYS = 30


def band_of(
    execution: Execution, actor: Actor, errors: list[dict[str, Any]], steps: list[dict[str, Any]]
) -> dict[str, Any]:
    """The context of executions/band.html; `errors` and `steps` are those of the page."""
    if execution.status == Status.ERROR:
        return {"kind": "failed", **_failure(execution, actor, errors)}
    if execution.status == Status.RUNNING:
        return {"kind": "running", "progress": progress_of(steps)}
    if execution.status == Status.FINISHED:
        return {"kind": ""}
    return {"kind": str(execution.status)}


def _failure(execution: Execution, actor: Actor, errors: list[dict[str, Any]]) -> dict[str, Any]:
    if not errors:
        return {"message": execution.error or WITHOUT_MESSAGE}
    newest = errors[0]
    return {
        "message": newest["error"].message,
        "type": newest["type"],
        "at": newest["at"],
        "trace": newest["trace"],
        "is_cut": newest["is_cut"],
        "frame": _frame(newest["error"]),
        "alike": _alike(execution, actor, newest["error"]),
    }


def _frame(error: ExecutionError) -> OwnFrame | None:
    """Only for those for whom queries.with_texts has read the trace, and only of a whole one: the
    innermost frames are at its end.
    """
    text = getattr(error, "text", None) or ""
    return own_frame(text) if len(text) < queries.MAX_TEXT_LENGTH else None


def _alike(execution: Execution, actor: Actor, error: ExecutionError) -> dict[str, Any]:
    """What the actor may see of the error's group in the last days, and in how many other runs."""
    now = timezone.now()
    start, end = (now - ALIKE_DAYS * DAY).timestamp(), now.timestamp() + 1
    filters = Filters(start=start, end=end, fingerprint=error.fingerprint)
    found = queries.error_groups(execution.organization, actor, filters, limit=1)
    if not found.rows:
        return {"others": 0, "days": ALIKE_DAYS}
    group = found.rows[0]
    query = urlencode({"group": error.fingerprint, "hours": ALIKE_DAYS * 24})
    return {
        "others": group.executions - (start <= error.timestamp < end),
        "days": ALIKE_DAYS,
        "count": group.count,
        "agents": group.agents,
        "agent": group.agent_names[0],
        "state": group.state.state,
        "first_at": to_datetime(group.first_seen),
        "spark": fewer_bars(group.sparkline),
        "url": f"{reverse('executions:errors')}?{query}",
    }
