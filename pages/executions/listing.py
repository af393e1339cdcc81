"""The list of executions."""

from typing import Any

from django.db.models import Case, F, FloatField, QuerySet, Value, When
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.keyset import Keyset, Term
from executions import queries
from executions.described import MAX_TAGS
from executions.models import Execution
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.api_calls import runs_call
from pages.executions.cell_filters import CellFilters
from pages.executions.page_context import milliseconds, page_context
from pages.executions.page_query import PageQuery
from pages.lists import CountedPaginator, moment_of, page_of, sort_of
from pages.saved_views.menu import with_views

NEWEST = "-started"
COLUMNS = {
    "status": "status",
    "agent": "agent_name",
    "user": "user__name",
    "started": "start_time",
    "runtime": "lasted",
    "files": "files",
    "cost": "cost",
}
"""What the table can be sorted by."""
NULLABLE = frozenset({"user__name", "lasted", "cost"})


@require_safe
@within_organization("executions:read")
@with_views("executions")
def executions(request: OrganizationRequest) -> HttpResponse:
    """List the executions of the window up to the time `seen`.

    Later ones are only counted, so that the rows do not move when the page refreshes itself.
    """
    query = PageQuery.from_request(request)
    now = query.now.timestamp()
    rows = queries.executions(*query.scope, query.filters)
    seen = query.seen
    newer = rows.filter(created_at__gt=seen).order_by().count() if seen else 0
    if newer:
        rows = rows.filter(created_at__lte=seen)
    sort = sort_of(request, COLUMNS, NEWEST)
    paginator = CountedPaginator(rows, query.statistics.total - newer)
    # Live runs get longer while one pages, so runtimes are those when the first page was read.
    moment = moment_of(request) or now
    page = page_of(
        request,
        with_measures(rows, moment),
        keyset=keyset_of(sort),
        paginator=paginator,
        moment=moment,
    )
    cells = CellFilters(query)
    context = page_context(
        query,
        views=request.views.showing(
            query.state(sort=sort if sort == request.GET.get("sort") else "")
        ),
        page=page,
        rows=[row_of(each, now) | {"cells": cells.of(each)} for each in page.object_list],
        has_cost=any(execution.cost is not None for execution in page.object_list),
        sort=sort,
        newer=newer,
        csv_url=query.url("executions:export"),
        rows_can_be_filtered=True,
        api_calls=[runs_call(query, page, is_newest_first=sort == NEWEST)],
        newest_url=query.url(sort=request.GET.get("sort")),
    )
    return render(request, "executions/list.html", context)


def with_measures(rows: QuerySet[Execution], now: float) -> QuerySet[Execution]:
    """Annotate executions with the sort values that are not columns."""
    return rows.annotate(
        lasted=Case(
            When(status__in=[*Execution.FINAL, Execution.Status.AWAITING], then=queries.RUNTIME),
            default=Value(now) - F("start_time") - F("waiting_seconds"),
            output_field=FloatField(),
        ),
        files=F("input_file_count") + F("output_file_count"),
    )


def keyset_of(sort: str) -> Keyset:
    """The order of the list; ties are newest first, and executions without a value come last
    either way.
    """
    name = COLUMNS[sort.removeprefix("-")]
    by = Term(name, is_descending=sort.startswith("-"), is_nullable=name in NULLABLE)
    return Keyset((by, Term("id", is_descending=True)))


def row_of(execution: Execution, now: float) -> dict[str, Any]:
    summary, tags = execution.summary, execution.tags[:MAX_TAGS]
    if summary == execution.agent_name:
        summary = None  # An imported run has no name but its subject.
    return {
        "execution": execution,
        "summary": summary,
        "tags": tags,
        "about": "\n".join(filter(None, [summary, ", ".join(tags)])),
        "user": execution.user,
        "started_at": execution.started_at,
        "runtime_ms": runtime_ms(execution, now),
    }


def runtime_ms(execution: Execution, now: float) -> float | None:
    """Milliseconds from the first to the last event, or to now while it runs, without time spent
    waiting for answers.
    """
    if execution.has_ended or execution.status == Execution.Status.AWAITING:
        return milliseconds(execution.runtime)
    return milliseconds(now - execution.start_time - execution.waiting_seconds)
