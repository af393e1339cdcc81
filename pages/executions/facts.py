"""The facts about a run, for the line under its title."""

from typing import Any
from urllib.parse import quote, urlencode

from django.urls import reverse
from django.utils.html import format_html

from core.formatting import absolute_time, counted, duration, money
from executions.described import MAX_TAGS
from executions.models import Execution
from pages.executions.listing import runtime_ms
from pages.executions.page_context import milliseconds
from pages.executions.page_query import ALL_TIME, to_datetime


def facts_of(execution: Execution, now: float) -> dict[str, Any]:
    """The context of executions/facts.html."""
    runtime: object = duration(runtime_ms(execution, now))
    if not execution.has_ended and execution.status != Execution.Status.AWAITING:
        start = f"{execution.start_time + execution.waiting_seconds:.3f}"
        runtime = format_html('<span data-elapsed-since="{}">{}</span>', start, runtime)
    up, down = execution.input_file_count, execution.output_file_count
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


def tags_of(execution: Execution) -> list[dict[str, str]]:
    """Its tags, each with the list of all runs that have it."""
    address = f"{reverse('executions:list')}?hours={ALL_TIME}&tag="
    return [{"name": tag, "url": f"{address}{quote(tag, '')}"} for tag in execution.tags[:MAX_TAGS]]


def runs_url(execution: Execution) -> str:
    """The list of all runs of the same agent."""
    whose = {"agent": str(execution.agent_id)} if execution.agent_id else {}
    query = urlencode({**(whose or {"name": execution.agent_name}), "hours": ALL_TIME})
    return f"{reverse('executions:list')}?{query}"
