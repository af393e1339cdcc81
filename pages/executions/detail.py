"""The pages of an execution: its result, its log and its files."""

import re
from typing import Any
from urllib.parse import quote

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from executions import queries
from executions.models import Execution, ExecutionError, ExecutionFile, sees_all
from executions.rendering import render_result
from executions.sanitizing import limited_time
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.band import band_of
from pages.executions.changes import changes_of
from pages.executions.comparison import comparison_of
from pages.executions.errors import error_of
from pages.executions.inputs import inputs_of
from pages.executions.log_lines import lines_of, tail_of
from pages.executions.neighbours import neighbours_of
from pages.executions.output import shown_result, shown_steps
from pages.executions.page_query import to_datetime
from pages.executions.presentation import steps_of
from pages.executions.questions import questions_of
from pages.executions.run_page import own_execution, shell, streams_of
from pages.executions.status_track import phases_of
from pages.executions.step_bars import with_bars

MAX_ERRORS = 20
MAX_FILES = 1_000
PAGE_RENDER_SECONDS = 2.0
"""Processor time for rendering on one page; the oldest steps are rendered last."""


@require_safe
@within_organization("executions:read")
def execution(request: OrganizationRequest, fid: str) -> HttpResponse:
    """Show what matters about an execution now, its result, its steps and all facts."""
    found = own_execution(request, fid)
    now = timezone.now().timestamp()
    with limited_time(PAGE_RENDER_SECONDS):
        result, steps = render_result(found.final), steps_of(found)
    errors, phases = errors_of(request, found), phases_of(found, now)
    band = band_of(found, request.actor, errors, steps["rows"])
    error_type = errors[0]["error"].error_type if errors else ""
    rows = with_bars(found, steps, phases, error_type=error_type)
    steps["shown"] = shown_steps(request, rows, phases, has_ended=found.has_ended)
    neighbours = neighbours_of(found, request.actor)
    previous = neighbours["previous_run"]
    context = {
        **shell(request, found, now),
        **questions_of(found),
        **neighbours,
        "comparison": comparison_of(found, previous, request.actor, to_datetime(now)),
        **changes_of(found, request.actor),
        "band": band,
        "result": shown_result(request, result) if result else None,
        "steps": steps,
        # The newest error of a failed run is in the band.
        "errors": errors[1:] if band["kind"] == "failed" else errors,
        "inputs": inputs_of(found),
        **files_of(found),
        "phases": phases,
        "tail": tail_of(found),
        "streams": streams_of(found, "main", "stdio"),
    }
    return render(request, "executions/detail.html", context)


@require_safe
@within_organization("executions:read")
def log(request: OrganizationRequest, fid: str) -> HttpResponse:
    """Show the log line by line, oldest first; `line` names one of them by its event's number."""
    found = own_execution(request, fid)
    text = request.GET.get("line", "")
    line = int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
    lines = lines_of(found, shows_traces=sees_all(request.actor), line=line)
    context = {
        **shell(request, found, timezone.now().timestamp()),
        "lines": lines,
        "streams": [] if lines["goes_on"] else streams_of(found, "stdio"),
    }
    return render(request, "executions/log.html", context)


@require_safe
@within_organization("executions:read")
def files(request: OrganizationRequest, fid: str) -> HttpResponse:
    """Show the files as a fragment for the dialog of the list; a full page is the execution's
    own.
    """
    found = own_execution(request, fid)
    if not getattr(request, "htmx", False):
        return redirect(f"{reverse('executions:detail', args=[found.fid])}#files")
    context = {"execution_of_dialog": found, **files_of(found)}
    return render(request, "executions/files.html", context)


def errors_of(request: OrganizationRequest, execution: Execution) -> list[dict[str, Any]]:
    rows: QuerySet[ExecutionError] = ExecutionError.objects.filter(
        organization_id=execution.organization_id, execution=execution
    )
    if sees_all(request.actor):
        rows = queries.with_texts(rows)
    found = list(rows[:MAX_ERRORS])
    for error in found:
        error.execution = execution
    return [error_of(error) for error in found]


def files_of(execution: Execution) -> dict[str, Any]:
    """The files of both areas with their download URLs."""
    rows = ExecutionFile.objects.filter(
        organization_id=execution.organization_id, execution=execution
    )
    found: dict[str, list[dict[str, Any]]] = {"in": [], "out": []}
    for file in rows.order_by("area", "path")[:MAX_FILES]:
        path = quote(f"{execution.fid}/{file.area}/{file.path}")
        found[file.area].append({"file": file, "url": f"/files/{path}"})
    return {
        "files": [
            {"title": "Uploaded", "rows": found["in"]},
            {"title": "Output files", "rows": found["out"]},
        ],
        "has_files": any(found.values()),
    }
