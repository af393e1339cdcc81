"""What the pages of one execution share."""

from typing import Any
from urllib.parse import quote

from django.http import Http404

from core.formatting import shortened
from executions.models import Execution
from pages.decorators import OrganizationRequest
from pages.executions.facts import facts_of, runs_url, tags_of
from pages.executions.page_query import to_datetime

TAB_ICONS = {
    "running": "img/favicon-running.svg",
    "awaiting": "img/favicon-awaiting.svg",
    "finished": "img/favicon-finished.svg",
    "error": "img/favicon-error.svg",
}


def own_execution(request: OrganizationRequest, fid: str) -> Execution:
    """The execution; raises a 404 error unless the person may see it."""
    if not fid.isprintable():
        raise Http404
    visible = Execution.objects.for_organization(request.organization).visible_to(request.actor)
    found = visible.select_related("user", "agent", "credential").filter(fid=fid).first()
    if found is None:
        raise Http404
    return found


def task_of(execution: Execution) -> str:
    """What it does, in words; empty if its program does not say."""
    return (execution.summary or "").strip()


def title_of(execution: Execution) -> str:
    """Its task if it has one, since an agent has many runs."""
    return shortened(task_of(execution) or execution.agent_name, 120)


def shell(request: OrganizationRequest, execution: Execution, now: float) -> dict[str, Any]:
    """The context shared by all pages of an execution."""
    return {
        "execution": execution,
        "about": execution.description,
        "secret_hint": execution.credential.hint_at(execution.started_at)
        if execution.credential
        else "",
        "tags": tags_of(execution),
        "title": title_of(execution),
        "facts": facts_of(execution, now),
        "runs_url": runs_url(execution),
        "tab_icon": TAB_ICONS.get(execution.status, "img/favicon.svg"),
        "heard_at": None if execution.end_time is None else to_datetime(execution.end_time),
        "result_url": f"/outputs/raw/{quote(execution.fid)}" if execution.final else "",
        "streams": [],
        "print_url": f"/outputs/html/{quote(execution.fid)}",
        "zone": request.zone,
    }


def streams_of(execution: Execution, *names: str) -> list[str]:
    """The addresses at which the page hears what happens next; none once it has ended."""
    return (
        [] if execution.has_ended else [f"/outputs/{name}/{quote(execution.fid)}" for name in names]
    )
