"""Token requests of a window: what they have in common, and the requests themselves."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from analytics.requests.breakdown import break_down, count_before
from analytics.requests.rows import rows_of
from analytics.serializers import BREAKDOWN_COLUMNS, breakdown_rows
from core.csv_files import csv_text, for_spreadsheets
from pages.decorators import OrganizationRequest, within_organization
from pages.lists import CountedPaginator, page_of
from pages.requests.api_call import call_of
from pages.requests.breakdown import chart, empty_state, figures, newest, rankings
from pages.requests.findings import finding_of
from pages.requests.lines import lines_of
from pages.requests.page_query import RequestQuery
from pages.requests.window_menu import WindowMenu
from pages.saved_views.menu import with_views
from tokens.models import TokenEvent


@require_safe
@within_organization("agents:read")
@with_views("requests")
def token_requests(request: OrganizationRequest) -> HttpResponse:
    """Show the breakdown of the matching requests, and them as lines, newest first."""
    query = RequestQuery(request)
    found = break_down(request.organization, query.window, query.filters)
    before = None
    if query.is_compared:
        before = count_before(request.organization, query.window, query.filters)
    else:
        found = found.without_comparison()
    total = found.count()
    events = TokenEvent.objects.for_organization(request.organization)
    has_any = bool(total) or events.exists()
    context: dict[str, Any] = {
        "query": query,
        "window": WindowMenu(query),
        "filters": query.lists,
        "views": request.views.showing(query.state()),
        "finding": finding_of(query),
        "total": total,
        "figures": figures(query, found),
        "chart": chart(query, found, before),
        "rankings": rankings(query, found),
        "newest": newest(query, found),
        "csv_url": query.url().replace(request.path, f"{request.path}/breakdown.csv", 1),
        "api_calls": list(filter(None, [call_of(query)])),
        "empty_state": empty_state(query, found, has_any=has_any),
        "zone": request.zone,
        "page": None,
        "each_url": query.url(each=1),
    }
    if not total:
        pass
    elif "each" in request.GET:
        rows = rows_of(request.organization, query.filters, query.window)
        newest_first = rows.select_related("agent", "credential").order_by("-created_at", "-id")
        paginator = CountedPaginator(newest_first, total) if found.buckets_since is None else None
        context["page"] = page_of(
            request, newest_first, paginator=paginator, is_counted=paginator is not None
        )
    else:
        context |= lines_of(query)
    return render(request, "requests/list.html", context)


@require_safe
@within_organization("agents:read")
def breakdown_csv(request: OrganizationRequest) -> HttpResponse:
    """Export the breakdown as CSV, with the columns of the API."""
    query = RequestQuery(request)
    found = break_down(request.organization, query.window, query.filters)
    rows = ([row.get(name) for name in BREAKDOWN_COLUMNS] for row in breakdown_rows(found))
    return HttpResponse(
        for_spreadsheets([csv_text(BREAKDOWN_COLUMNS, rows)]),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="requests-{timezone.localdate()}.csv"'
        },
    )
