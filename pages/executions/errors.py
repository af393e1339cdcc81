"""Errors in groups; those of a chosen group one by one, with their context."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.formatting import counted
from core.keyset import Keyset
from executions import queries
from executions.long_words import with_breaks
from executions.models import ExecutionError, sees_all
from executions.queries import ErrorGroup
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.api_calls import error_calls
from pages.executions.error_query import ErrorQuery
from pages.executions.error_states import state_context
from pages.executions.page_context import page_context, wider_windows
from pages.executions.page_query import to_datetime
from pages.lists import CountedPaginator, moment_of, page_of
from pages.saved_views.menu import with_views

GROUPS_A_PAGE = 50
ERRORS_A_PAGE = 20
MAX_TRACE_LENGTH = 20_000
SPARKS = 30
LAST_SEEN = Keyset.by("-last_seen", "fingerprint")


@require_safe
@within_organization("executions:read")
@with_views("errors")
def errors(request: OrganizationRequest) -> HttpResponse:
    """List the window's errors by group; `group` selects one, and lists its errors one by one."""
    query = ErrorQuery.from_request(request)
    found = errors_of(query) if query.group else groups_of(query)
    context = {"views": request.views.showing(query.state(group=query.group)), **found}
    if not found["page"].paginator.count and query.statistics.total:
        context["empty_state"] = no_errors(query)
    return render(request, "executions/errors.html", page_context(query, **context))


def groups_of(query: ErrorQuery) -> dict[str, Any]:
    """A page of the groups in the wanted states."""
    request, pages = query.request, []

    def choose(groups: Any, total: int) -> list[dict[str, Any]]:
        paginator = CountedPaginator(groups, total, GROUPS_A_PAGE)
        pages.append(page_of(request, groups, keyset=LAST_SEEN, paginator=paginator))
        return list(pages[0].object_list)

    found = queries.error_groups(
        *query.scope,
        query.filters,
        states=query.states,
        choose=choose,
        # Later errors would move their group while somebody pages, who would then miss it.
        until=moment_of(request),
        zone=request.zone,
    )
    (page,) = pages
    page.object_list = list(found.rows)
    return {
        "page": page,
        "api_calls": error_calls(query, page, group=""),
        "groups": [group_of(query, group, found.step) for group in found.rows],
    }


def errors_of(query: ErrorQuery) -> dict[str, Any]:
    """The chosen group: its numbers, its state, and a page of its errors."""
    filters = replace(query.filters, fingerprint=query.group)
    groups = queries.error_groups(*query.scope, filters, limit=1, zone=query.request.zone)
    rows = queries.errors(*query.scope, filters)
    total = queries.count_errors(*query.scope, filters)
    newer = 0
    if query.seen:
        newer = rows.filter(created_at__gt=query.seen).order_by().count()
        rows = rows.filter(created_at__lte=query.seen)
    if sees_all(query.request.actor):
        rows = queries.with_texts(rows)
    paginator = CountedPaginator(rows, total - newer, ERRORS_A_PAGE)
    page = page_of(query.request, rows, paginator=paginator)
    chosen = group_of(query, groups.rows[0], groups.step) if groups.rows else None
    state = groups.rows[0].state if groups.rows else queries.state_of(*query.scope, query.group)
    return {
        "is_group": True,
        "chosen": chosen,
        "first_version": queries.first_version(*query.scope, query.group) if chosen else "",
        "chosen_name": chosen["group"].message if chosen else query.group,
        "all_groups_url": query.url(),
        "by_agent": [
            {"name": name, "count": count, "url": query.url(group=query.group, name=name)}
            for name, count in queries.count_errors_by_agent(*query.scope, filters)
        ],
        "page": page,
        "errors": [error_of(error) for error in page.object_list],
        "newer": newer,
        "api_calls": error_calls(query, page, group=query.group),
        "newest_url": query.url(group=query.group),
        **state_context(query, state),
    }


def no_errors(query: ErrorQuery) -> dict[str, Any]:
    """The empty state where executions ran without any errors."""
    if query.group:
        return {
            "title": "No errors of this group in this period",
            "text": "There may be errors in other groups.",
            "links": [{"label": "All groups", "url": query.url()}],
        }
    if query.states and queries.count_errors(*query.scope, query.filters):
        return {
            "title": "No errors in these states",
            "text": "All groups of this period are in other states.",
            "links": [{"label": "Any state", "url": query.any_state_url}],
        }
    within = " within the filters" if query.is_narrowed else ""
    return {
        "title": "No errors in this period",
        "text": f"{counted(query.statistics.total, 'executions')} ran{within}, and none reported "
        f"an error{failed_silently(query.statistics.failed)}. "
        "Errors appear here grouped by cause, each with its tracebacks.",
        "links": wider_windows(query)[-1:] if queries.has_errors(*query.scope) else [],
    }


def failed_silently(number: int) -> str:
    """The end of a sentence: how many failed without reporting an error; empty if none did."""
    if not number:
        return ""
    return f": {number:,} failed without giving a reason"


def group_of(query: ErrorQuery, group: ErrorGroup, step: str) -> dict[str, Any]:
    return {
        "group": group,
        "agents": agents_in(group),
        "all_agents": ", ".join(group.agent_names),
        "first_at": to_datetime(group.first_seen),
        "last_at": to_datetime(group.last_seen),
        "spark": fewer_bars(group.sparkline),
        "spark_label": f"At most {max(group.sparkline):,} in one {step}",
        "url": query.url(group=group.fingerprint),
    }


def agents_in(group: ErrorGroup) -> str:
    names = group.agent_names
    return names[0] if group.agents == 1 else f"{group.agents:,} agents: {', '.join(names)}"


def fewer_bars(counts: Sequence[int]) -> list[int]:
    """The counts summed into at most SPARKS bars, which fit a small chart."""
    width = -(-len(counts) // SPARKS)
    return [sum(counts[start : start + width]) for start in range(0, len(counts), width)]


def error_of(error: ExecutionError) -> dict[str, Any]:
    """An error for its card, with the trace if `queries.with_texts` has read it."""
    execution = error.execution
    trace = getattr(error, "text", None) or ""
    says_no_more = trace.strip() == error.message.strip()
    return {
        "error": error,
        "execution": execution,
        "type": "" if error.message.startswith(error.error_type) else error.error_type,
        "key": f"{execution.fid} {error.sequence}",
        "at": to_datetime(error.timestamp),
        "trace": "" if says_no_more else with_breaks(trace[:MAX_TRACE_LENGTH]),
        "is_cut": len(trace) > MAX_TRACE_LENGTH,
    }
