"""Errors in groups, and individually with their context."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.formatting import counted
from executions import queries
from executions.models import ExecutionError, sees_all
from executions.queries import ErrorGroup, ErrorGroups
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.page_context import page_context, wider_windows
from pages.executions.page_query import PageQuery, to_datetime
from pages.lists import CountedPaginator, page_of

SHOWN_GROUPS = 6
MAX_GROUPS = 100
ERRORS_A_PAGE = 20
MAX_TRACE_LENGTH = 20_000
SPARKS = 30


@require_safe
@within_organization("executions:read")
def errors(request: OrganizationRequest) -> HttpResponse:
    """List the window's errors by group and individually; `group` selects a single group."""
    query = PageQuery.from_request(request)
    group = chosen_group(request)
    filters = replace(query.filters, fingerprint=group)
    rows = queries.errors(*query.scope, filters)
    total = queries.count_errors(*query.scope, filters)
    context: dict[str, Any] = {}
    if group:
        newest = rows.first()
        context["chosen"] = newest.message if newest else group
        context["all_groups_url"] = query.url()
        context["agents"] = [
            {"name": name, "count": count, "url": query.url(group=group, name=name)}
            for name, count in queries.count_errors_by_agent(*query.scope, filters)
        ]
    elif total:
        context |= groups_of(query, wants_all=request.GET.get("groups") == "all")
    newer = 0
    if query.seen:
        newer = rows.filter(created_at__gt=query.seen).order_by().count()
        rows = rows.filter(created_at__lte=query.seen)
    if sees_all(request.actor):
        rows = queries.with_texts(rows)
    paginator = CountedPaginator(rows, total - newer, ERRORS_A_PAGE)
    page = page_of(request, rows, paginator=paginator)
    shown = list(page.object_list)
    context |= {
        "page": page,
        "errors": [error_of(error) for error in shown] if group else with_groups(query, shown),
        "newer": newer,
        "newest_url": query.url(group=group or None),
    }
    if not total and query.statistics.total:
        context["empty_state"] = no_errors(query, is_group=bool(group))
    return render(request, "executions/errors.html", page_context(query, **context))


def no_errors(query: PageQuery, *, is_group: bool) -> dict[str, Any]:
    """The empty state where executions ran without any errors."""
    if is_group:
        return {
            "title": "No errors of this group in this period",
            "text": "There may be errors in other groups.",
            "links": [{"label": "All groups", "url": query.url()}],
        }
    within = " within the filters" if query.is_narrowed else ""
    return {
        "title": "No errors in this period",
        "text": f"{counted(query.statistics.total, 'executions')} ran{within}, and none reported "
        f"an error{failed_silently(query.statistics.failed)}. "
        "Errors appear here with their tracebacks, grouped by cause.",
        "links": wider_windows(query)[-1:] if queries.has_errors(*query.scope) else [],
    }


def failed_silently(number: int) -> str:
    """The end of a sentence: how many failed without reporting an error; empty if none did."""
    if not number:
        return ""
    return f": {number:,} failed without giving a reason"


def chosen_group(request: OrganizationRequest) -> str:
    group = request.GET.get("group", "").strip()
    return group if group.isprintable() and len(group) <= 40 else ""


def groups_of(query: PageQuery, *, wants_all: bool) -> dict[str, Any]:
    limit = MAX_GROUPS if wants_all else SHOWN_GROUPS
    found: ErrorGroups = queries.error_groups(
        *query.scope,
        query.filters,
        choose=lambda groups: list(groups[:limit]),
        zone=query.request.zone,
    )
    more = min(found.total, MAX_GROUPS) - len(found.rows)
    return {
        "groups": [group_of(query, group, found.step) for group in found.rows],
        "all_groups_url": query.url(groups="all") if more else "",
        "all_groups_label": f"all {found.total:,} groups",
    }


def group_of(query: PageQuery, group: ErrorGroup, step: str) -> dict[str, Any]:
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
    return names[0] if len(names) == 1 else f"{len(names):,} agents: {', '.join(names)}"


def with_groups(query: PageQuery, errors: Sequence[ExecutionError]) -> list[dict[str, Any]]:
    """The errors as cards, each linked to its group unless it is the only one in it."""
    fingerprints = {error.fingerprint for error in errors}
    totals = queries.group_totals(*query.scope, query.filters, fingerprints)
    return [
        error_of(error)
        | {
            "alike": total.errors if (total := totals.get(error.fingerprint)) else 1,
            "group_url": query.url(group=error.fingerprint),
        }
        for error in errors
    ]


def fewer_bars(counts: Sequence[int]) -> list[int]:
    """The counts summed into at most SPARKS bars, which fit a small chart."""
    width = -(-len(counts) // SPARKS)
    return [sum(counts[start : start + width]) for start in range(0, len(counts), width)]


def error_of(error: ExecutionError) -> dict[str, Any]:
    """An error for its card, with the trace if `queries.with_texts` has read it."""
    execution = error.execution
    trace = getattr(error, "text", None) or ""
    return {
        "error": error,
        "execution": execution,
        "type": "" if error.message.startswith(error.error_type) else error.error_type,
        "key": f"{execution.fid} {error.sequence}",
        "at": to_datetime(error.timestamp),
        "trace": trace[:MAX_TRACE_LENGTH] if trace.strip() != error.message.strip() else "",
        "is_cut": len(trace) > MAX_TRACE_LENGTH,
    }
