"""What people take away. A body is sent after the request's transaction has ended, so each batch
enters the organization anew."""

from collections.abc import Iterator

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from executions.models import Execution, sees_all
from executions.views.asked import at
from executions.views.detail import own_execution
from executions.views.told import LOG, events_of, told_text
from organizations.decorators import OrganizationRequest, within_organization
from organizations.scope import organization_scope

BATCH = 1_000


@require_safe
@within_organization("executions:read")
def log(request: OrganizationRequest, fid: str) -> HttpResponseBase:
    """What an execution wrote, as text: a time (UTC), where it was written, and the line."""
    found = own_execution(request, fid)
    return StreamingHttpResponse(
        log_lines(found, shows_traces=sees_all(request.actor)),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="log-{found.pk}.txt"'},
    )


def log_lines(execution: Execution, *, shows_traces: bool) -> Iterator[str]:
    reached = 0
    while True:
        with organization_scope(execution.organization_id):
            rows = events_of(execution).filter(kind__in=LOG, sequence__gt=reached)
            batch = list(rows.order_by("sequence")[:BATCH])
        for event in batch:
            text = told_text(event.kind, event.message, shows_traces=shows_traces)
            time = at(event.timestamp).isoformat(timespec="milliseconds")
            yield f"{time} {event.kind} {text}\n"
        if len(batch) < BATCH:
            return
        reached = batch[-1].sequence
