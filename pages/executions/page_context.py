"""The surroundings of the pages of executions: figures, tabs and empty states."""

from collections import Counter
from typing import Any

from django.conf import settings
from django.utils.html import format_html

from core.formatting import NOTHING, SPACE, counted, duration, number, percent
from executions import queries
from executions.models import Execution
from pages.executions.page_query import ALL_TIME, RANGES, PageQuery

TABS = (
    ("executions:list", "Runs"),
    ("executions:errors", "Errors"),
    ("executions:timeline", "Timeline"),
    ("executions:statistics", "Statistics"),
)


def milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else max(seconds, 0) * 1000


def page_context(query: PageQuery, **more: Any) -> dict[str, Any]:
    """The context of templates/executions/frame.html."""
    return {
        "query": query,
        "figures": figures(query),
        "tabs": tabs(query),
        "filters": query.page_filters,
        "is_unused": not query.all_time.total,
        "zone": query.request.zone,
        "seen": query.request.GET.get("seen") or f"{query.now.timestamp():.6f}",
        "search_hidden": query.kept("search"),
        "window_hidden": query.kept("hours", "from", "to"),
        "empty_state": empty_state(query),
        "import_command": "python manage.py import_kodosumi DATA_DIR "
        f"--organization {query.request.organization.public_id} --watch",
        "report_command": report_command(),
        **more,
    }


def report_command() -> str:
    return (
        f"curl -s -w '\\n' {settings.ISSUER}/api/v1/executions "
        '-H "Authorization: Bearer $TOKEN" '
        '-H "Content-Type: application/json" -d \'{"summary": "Weekly report"}\''
    )


def tabs(query: PageQuery) -> list[dict[str, Any]]:
    match = query.request.resolver_match
    here = match.view_name if match else ""
    errors = queries.count_errors(*query.scope, query.filters)
    return [
        {
            "label": label,
            "url": query.url(name),
            "count": errors if label == "Errors" else None,
            "current": name == here,
        }
        for name, label in TABS
    ]


def figures(query: PageQuery) -> list[dict[str, Any]]:
    """The figures above the list: of the matching executions, beside those of all time."""
    shown, live, ever = query.statistics, query.live, query.all_time
    is_part = shown.total != ever.total
    return [
        {
            "label": "Executions",
            "value": number(shown.total),
            "of": number(ever.total),
            "note": "match the filters" if query.is_narrowed else "in this period",
        },
        {
            "label": "Running now",
            "value": number(live[Execution.Status.RUNNING]),
            "of": number(ever.running),
            "note": waiting(live),
            "url": query.url("executions:list", hours=ALL_TIME, status="running"),
        },
        {
            "label": "Error rate",
            "value": rate(shown),
            "note": with_all_time(failed_in(shown), rate(ever) if is_part else ""),
            "url": query.url("executions:list", status=Execution.FAILED),
        },
        {
            "label": "Median runtime",
            "value": duration(milliseconds(shown.p50_runtime)),
            "note": slow(shown),
        },
    ]


def waiting(live: Counter[str]) -> str:
    counts = [(live[word], word) for word in ("awaiting", "starting", "queued")]
    return ", ".join(f"{count:,} {word}" for count, word in counts if count) or "none waiting"


def failed_in(statistics: queries.Statistics) -> str:
    if not statistics.total:
        return ""
    return f"{statistics.failed:,} failed" if statistics.failed else "none failed"


def slow(statistics: queries.Statistics) -> str:
    p95 = milliseconds(statistics.p95_runtime)
    return "" if p95 is None else f"p95{SPACE}{duration(p95)}"


def with_all_time(note: str, ever: str) -> str:
    """The note, followed by the figure for all time where it differs."""
    if not ever:
        return note
    comma = ", " if note else ""
    more = '{}<span class="figure-more">{}<span class="together">{} over all time</span></span>'
    return format_html(more, note, comma, ever)


def rate(statistics: queries.Statistics | queries.Totals) -> str:
    return percent(100 * statistics.error_rate) if statistics.total else NOTHING


def empty_state(query: PageQuery) -> dict[str, Any]:
    """The text and links to show when nothing matches."""
    if query.is_narrowed and query.in_window.total:
        return {
            "title": "Nothing matches",
            "text": f"{counted(query.in_window.total, 'executions')} ran in this period, but none "
            "match the filters and the search.",
            "links": [
                {"label": "Clear filters", "url": query.unnarrowed_url},
                *all_time_link(query),
            ],
        }
    return {
        "title": "Nothing ran in this period",
        "text": f"{counted(query.all_time.total, 'executions')} ran at other times.",
        "links": wider_windows(query),
    }


def all_time_link(query: PageQuery) -> list[dict[str, str]]:
    """A link to the same filters over all time, unless the window is all time already."""
    return [{"label": "Search all time", "url": each["url"]} for each in wider_windows(query)[-1:]]


def wider_windows(query: PageQuery) -> list[dict[str, str]]:
    """Links to longer windows in which something ran."""
    hours = query.hours or 0
    return [
        {"label": each["label"], "url": each["url"]}
        for each, length in zip(query.ranges, RANGES, strict=True)
        if length > hours and length >= 168
    ]
