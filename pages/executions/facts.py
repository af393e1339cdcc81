"""The facts about a run, for the line under its title."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.urls import reverse
from django.utils.html import format_html

from core.formatting import absolute_time, counted, duration, money
from executions.models import Execution, ExecutionFile
from pages.executions.listing import runtime_ms
from pages.executions.page_context import milliseconds
from pages.executions.page_query import ALL_TIME, to_datetime


def facts_of(execution: Execution, now: float) -> dict[str, Any]:
    """The context of executions/facts.html."""
    runtime: object = duration(runtime_ms(execution, now))
    if not execution.has_ended and execution.status != Execution.Status.AWAITING:
        start = f"{execution.start_time + execution.waiting_seconds:.3f}"
        runtime = format_html('<span data-elapsed-since="{}">{}</span>', start, runtime)
    areas = ExecutionFile.objects.filter(
        organization_id=execution.organization_id, execution=execution
    ).order_by("area")
    counts = dict(areas.values_list("area").annotate(Count("id")))
    up, down = counts.get("in", 0), counts.get("out", 0)
    given, made = execution.input_tokens, execution.output_tokens
    used = None if given is None and made is None else (given or 0) + (made or 0)
    return {
        "started": absolute_time(execution.started_at, to_datetime(now)),
        "runtime": runtime,
        "waited": duration(milliseconds(execution.waiting_seconds))
        if execution.waiting_seconds > 0
        else "",
        "events": execution.last_sequence,
        "files": counted(up + down, "files") if up + down else "",
        "files_title": f"{up:,} up, {down:,} down",
        "tokens": counted(used, "model tokens") if used is not None else "",
        "tokens_title": f"{given or 0:,} in, {made or 0:,} out",
        "cost": money(execution.cost) if execution.cost is not None else "",
    }


def runs_url(execution: Execution) -> str:
    """The list of all runs of the same agent."""
    whose = {"agent": str(execution.agent_id)} if execution.agent_id else {}
    query = urlencode({**(whose or {"name": execution.agent_name}), "hours": ALL_TIME})
    return f"{reverse('executions:list')}?{query}"
