"""Complete exports, sent in batches. A body is sent after the request's transaction has ended,
so each batch enters the organization's scope anew.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from django.db.models import Func, IntegerField
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from core.csv_files import csv_line, for_spreadsheets
from core.fast_path.responses import LongResponse
from core.keyset import Keyset
from core.long_responses import PIECE, ROWS_PER_FETCH, Piece, gather, in_pieces
from executions import queries
from executions.errors import read_error
from executions.log_lines import LOG, whole_line
from executions.models import Execution, ExecutionEvent, sees_all
from organizations.tenancy.scope import organization_scope
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.listing import runtime_ms
from pages.executions.page_query import PageQuery, to_datetime
from pages.executions.presentation import events_of
from pages.executions.run_page import own_execution

BATCH = 1_000
BYTES = Func("message", function="OCTET_LENGTH", output_field=IntegerField())
COLUMNS = (
    *(
        "execution_id",
        "agent",
        "summary",
        "tags",
        "user",
        "user_id",
        "status",
        "started_utc",
        "started_local",
    ),
    *("runtime_seconds", "waiting_seconds", "files_up", "files_down", "error"),
    *("input_tokens", "output_tokens", "cost_usd"),
)


@require_safe
@within_organization("executions:read")
def executions(request: OrganizationRequest) -> HttpResponseBase:
    """Export every matching execution as CSV, newest first."""
    query = PageQuery.from_request(request)
    rows = queries.executions(*query.scope, query.filters)
    lines = queries.in_batches(
        request.organization, rows, Keyset.of(rows), lambda row: csv_line(csv_row(query, row))
    )
    lines = for_spreadsheets(chain([csv_line(COLUMNS)], lines))
    return attachment(request, lines, f"executions-{timezone.localdate()}.csv", "text/csv")


def csv_row(query: PageQuery, execution: Execution) -> tuple[Any, ...]:
    """A row with the columns COLUMNS; times to the second, in UTC and in the page's zone."""
    runtime = runtime_ms(execution, query.now.timestamp())
    return (
        execution.fid,
        execution.agent_name,
        execution.summary,
        ", ".join(execution.tags),
        execution.user.name if execution.user else "",
        execution.user.external_id if execution.user else "",
        execution.status,
        execution.started_at.isoformat(timespec="seconds"),
        execution.started_at.astimezone(query.request.zone).isoformat(timespec="seconds"),
        "" if runtime is None else f"{runtime / 1000:.3f}",
        f"{execution.waiting_seconds:.3f}",
        execution.input_file_count,
        execution.output_file_count,
        execution.error,
        execution.input_tokens,
        execution.output_tokens,
        execution.cost,
    )


@require_safe
@within_organization("executions:read")
def log(request: OrganizationRequest, fid: str) -> HttpResponseBase:
    """Export an execution's log as text: time (UTC), stream and line."""
    found = own_execution(request, fid)
    shows_traces = sees_all(request.actor)

    def line(event: ExecutionEvent) -> str:
        text = whole_line(event.kind, event.message, shows_traces=shows_traces)
        time = to_datetime(event.timestamp).isoformat(timespec="milliseconds")
        return f"{time} {event.kind} {text}\n"

    lines = all_events(found, line, LOG)
    return attachment(request, lines, f"log-{found.pk}.txt", "text/plain")


@require_safe
@within_organization("executions:read")
def events(request: OrganizationRequest, fid: str) -> HttpResponseBase:
    """Export all events as they were reported, one JSON object a line."""
    found = own_execution(request, fid)
    shows_traces = sees_all(request.actor)
    lines = all_events(found, lambda event: event_line(event, shows_traces=shows_traces))
    return attachment(request, lines, f"events-{found.pk}.jsonl", "application/jsonl")


def event_line(event: ExecutionEvent, *, shows_traces: bool) -> str:
    is_hidden = event.kind == ExecutionEvent.Kind.ERROR and not shows_traces
    body = {
        "sequence": event.sequence,
        "timestamp": event.timestamp,
        "kind": event.kind,
        "message": read_error(event.message).message if is_hidden else event.message,
    }
    return json.dumps(body, ensure_ascii=False) + "\n"


def all_events(
    execution: Execution, line: Callable[[ExecutionEvent], str], kinds: tuple[str, ...] = ()
) -> Iterator[str]:
    """The lines of the events in order; only of these kinds, if given."""

    def read(reached: int | None) -> Piece[int]:
        with organization_scope(execution.organization_id):
            rows = events_of(execution).filter(sequence__gt=reached or 0).order_by("sequence")
            rows = rows.filter(kind__in=kinds) if kinds else rows
            sizes = rows.annotate(size=BYTES).values_list("sequence", "size")
            last = last_of_batch(sizes[:BATCH].iterator(ROWS_PER_FETCH))
            found = rows.filter(sequence__lte=last).iterator(ROWS_PER_FETCH)
            return gather(found, line, lambda event: event.sequence)

    return in_pieces(read)


def last_of_batch(sizes: Iterable[tuple[int, int]]) -> int:
    """The sequence number at which a batch reaches its size limit, or the last one.

    Events may be large, and a cursor fetches several at a time.
    """
    last = total = 0
    for sequence, size in sizes:
        last, total = sequence, total + size
        if total >= PIECE:
            break
    return last


def attachment(
    request: OrganizationRequest, lines: Iterator[str], name: str, content_type: str
) -> HttpResponseBase:
    return LongResponse(
        lines,
        caller=request.actor.id,
        content_type=f"{content_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
