"""The page of an execution's events."""

from urllib.parse import quote

from django.db.models import Count
from django.db.models.functions import Length
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from executions.log_lines import short_line
from executions.models import sees_all
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.log_lines import beginning_of_message
from pages.executions.page_context import milliseconds
from pages.executions.page_query import to_datetime
from pages.executions.presentation import events_of
from pages.executions.run_page import own_execution, shell
from pages.lists import CountedPaginator, page_of

EVENTS_A_PAGE = 100
MAX_KINDS = 40


@require_safe
@within_organization("executions:read")
def events(request: OrganizationRequest, fid: str) -> HttpResponse:
    """Show all events as they were reported."""
    found = own_execution(request, fid)
    rows = events_of(found)
    counts = dict(rows.order_by("kind").values_list("kind").annotate(Count("sequence")))
    kind = request.GET.get("kind", "")
    if kind in counts:
        rows = rows.filter(kind=kind)
    rows = rows.order_by("sequence").annotate(
        text=beginning_of_message(shows_traces=sees_all(request.actor)), length=Length("message")
    )
    columns = ("sequence", "timestamp", "kind", "text", "length")
    total = counts.get(kind, sum(counts.values()))
    paginator = CountedPaginator(rows, total, EVENTS_A_PAGE)
    page = page_of(request, rows.values_list(*columns, named=True), paginator=paginator)
    context = {
        **shell(request, found, timezone.now().timestamp()),
        "page": page,
        "events": [
            {
                "sequence": sequence,
                "kind": kind_of_it,
                "at": to_datetime(timestamp),
                "after_ms": milliseconds(timestamp - found.start_time),
                "text": short_line(kind_of_it, text, shows_traces=True),
                "length": length,
            }
            for sequence, timestamp, kind_of_it, text, length in page.object_list
        ],
        "kinds": [
            {
                "label": label,
                "count": count,
                "url": f"?kind={quote(label)}",
                "current": label == kind,
            }
            for label, count in sorted(
                sorted(counts.items(), key=lambda item: -item[1])[:MAX_KINDS]
            )
        ],
        "kind": kind if kind in counts else "",
    }
    return render(request, "executions/events.html", context)
