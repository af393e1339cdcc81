"""A run beside the list: what one looks up before opening it, or instead."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from executions.models import Execution
from executions.rendering import render_result
from executions.sanitizing import limited_time
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.band import band_of
from pages.executions.detail import PAGE_RENDER_SECONDS, errors_of
from pages.executions.output import shown_result
from pages.executions.presentation import steps_of
from pages.executions.questions import questions_of
from pages.executions.run_page import own_execution, shell


@require_safe
@within_organization("executions:read")
def peek(request: OrganizationRequest, fid: str) -> HttpResponse:
    """Show the essentials as a fragment for the list; a full page is the execution's own."""
    found = own_execution(request, fid)
    if not getattr(request, "htmx", False):
        return redirect("executions:detail", found.fid)
    is_running = found.status == Execution.Status.RUNNING
    has_failed = found.status == Execution.FAILED
    with limited_time(PAGE_RENDER_SECONDS):
        result = render_result(found.final)
        steps = steps_of(found)["rows"] if is_running else []
    context = {
        **shell(request, found, timezone.now().timestamp()),
        **questions_of(found),
        "band": band_of(
            found, request.actor, errors_of(request, found) if has_failed else [], steps
        ),
        "result": shown_result(request, result) if result else None,
        "run_url": reverse("executions:detail", args=[found.fid]),
    }
    return render(request, "executions/peek.html", context)
