"""Executions over time, as bars that link to their rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.formatting import day_of
from executions import queries
from executions.models import Execution
from executions.queries import Bucket, Buckets
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.api_calls import timeline_call
from pages.executions.earlier import Earlier
from pages.executions.page_context import page_context
from pages.executions.page_query import PageQuery, stamp

Status = Execution.Status
COLOURS: dict[str, str] = {
    Status.FINISHED: "heat-4",
    Status.RUNNING: "run",
    Status.AWAITING: "wait",
    Status.STARTING: "ink-3",
    Status.QUEUED: "series-7",
    Status.CANCELLED: "series-6",
    Status.ERROR: "bad",
}
"""The colour tokens of the statuses, in the order in which a bar is stacked."""
ALWAYS = frozenset({Status.FINISHED, Status.RUNNING, Status.ERROR})
HOURS_OF = {"hour": 1, "day": 24, "month": 0}


@require_safe
@within_organization("executions:read")
def timeline(request: OrganizationRequest) -> HttpResponse:
    """Show the executions of the window by when they started."""
    query = PageQuery.from_request(request)
    buckets = queries.count_over_time(*query.scope, query.filters, zone=request.zone)
    earlier = Earlier.of(query)
    before = earlier.totals(buckets) if earlier else {}
    context = page_context(
        query,
        chart=chart(query, buckets, earlier, before),
        comparisons=earlier.comparisons if earlier and before else [],
        zoom_out_url=zoom_out_url(query),
        api_calls=[timeline_call(query)],
    )
    return render(request, "executions/timeline.html", context)


def chart(
    query: PageQuery, buckets: Buckets, earlier: Earlier | None, before: Mapping[datetime, int]
) -> dict[str, Any]:
    """The bars of the timeline for components/chart_card.html; `before` has those of the period
    before.
    """
    rows = buckets.rows
    is_compared = earlier is not None and earlier.is_shown and bool(before)
    totals = Counter[str]()
    for bucket in rows:
        totals.update(bucket.by_status)
    shown = [word for word in COLOURS if totals[word] or word in ALWAYS]
    return {
        "id": "executions-timeline",
        "title": f"Executions per {buckets.step}",
        "summary": summary(query, buckets),
        "unit": "executions",
        "first_column": f"{buckets.step.capitalize()}, {query.request.zone}",
        "bucket_hours": HOURS_OF[buckets.step],
        "zoom": query.url(hours=None),
        "series": [
            {"label": str(word), "colour": COLOURS[word], "total": totals[word]} for word in shown
        ],
        "before": {"label": earlier.label} if earlier and is_compared else None,
        "points": points(query, buckets, shown, before if is_compared else {}) if totals else [],
    }


def points(
    query: PageQuery,
    buckets: Buckets,
    shown: Sequence[str],
    before: Mapping[datetime, int],
) -> list[dict[str, Any]]:
    zone = query.request.zone
    first_day = buckets.rows[0].start.astimezone(zone).date()
    found = []
    for bucket in buckets.rows:
        local = bucket.start.astimezone(zone)
        start, end = bucket.start.timestamp(), bucket.end.timestamp()
        found.append(
            {
                "start": stamp(start),
                "end": stamp(end),
                "label": label(query, bucket, buckets.step),
                "axis": axis(local, buckets.step),
                "hour": local.hour,
                "day": (local.date() - first_day).days,
                "count": bucket.total,
                "before": before[bucket.start] if before else None,
                "counts": [bucket.by_status.get(word, 0) for word in shown],
                "url": rows_url(query, start, end),
                "partial": bucket.end > query.now,
            }
        )
    return found


def rows_url(query: PageQuery, start: float, end: float) -> str:
    """The list of the executions in a bucket, limited to the window.

    A bucket that is not over has no end, so that nothing is missing from the list.
    """
    from_, to = query.filters.window
    start = start if from_ is None else max(start, from_)
    end = end if to is None else min(end, to)
    is_over = end <= query.now.timestamp()
    return query.url("executions:list", from_=stamp(start), to=stamp(end) if is_over else None)


def label(query: PageQuery, bucket: Bucket, step: str) -> str:
    zone = query.request.zone
    start, end = bucket.start.astimezone(zone), bucket.end.astimezone(zone)
    if step == "month":
        return f"{start:%B %Y}"
    day = f"{start:%a} {day_of(start, query.now)}"
    return day if step == "day" else f"{day}, {start:%H:%M}\N{EN DASH}{end:%H:%M}"


def axis(local: datetime, step: str) -> str:
    if step == "month":
        return f"{local:%b %Y}"
    return f"{local:%H:%M}" if step == "hour" and local.hour else f"{local.day} {local:%b}"


def summary(query: PageQuery, buckets: Buckets) -> str:
    """A sentence with the busiest bucket and the one with the most failures."""
    if not any(bucket.total for bucket in buckets.rows):
        return ""
    busiest = max(buckets.rows, key=lambda bucket: bucket.total)
    worst = max(buckets.rows, key=lambda bucket: bucket.failed)
    text = f"Most on {label(query, busiest, buckets.step)}: {busiest.total:,}"
    if worst.failed:
        text += f". Most failed on {label(query, worst, buckets.step)}: {worst.failed:,}"
    earlier = query.statistics.total - sum(bucket.total for bucket in buckets.rows)
    if query.filters.is_recent and earlier > 0:
        verb = "is" if earlier == 1 else "are"
        text += f". {earlier:,} that started earlier {verb} not in the bars"
    return text


def zoom_out_url(query: PageQuery) -> str:
    """The window doubled around its middle, for explicit bounds."""
    start, end = query.filters.window
    if query.hours is not None or start is None or end is None:
        return ""
    half = (end - start) / 2
    last = min(end + half, max(query.now.timestamp(), end))
    return query.url(from_=stamp(round(max(start - half, 0))), to=stamp(round(last)))
