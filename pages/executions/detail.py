"""The pages of an execution: its result, its log and its events."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.db.models import Count, QuerySet
from django.db.models.functions import Length
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from core.formatting import absolute_time, shortened
from executions import queries
from executions.actions import delete_execution, stop_execution
from executions.described import MAX_TAGS
from executions.log_lines import MAX_LINE_LENGTH, short_line
from executions.models import Execution, ExecutionError, ExecutionFile, sees_all
from executions.rendering import render_result
from executions.sanitizing import limited_time
from organizations.actors import Scope
from pages.confirmation import ASKING_METHODS, Confirmation, ask_first, is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.band import band_of
from pages.executions.errors import error_of
from pages.executions.facts import facts_of, runs_url
from pages.executions.inputs import inputs_of
from pages.executions.log_lines import beginning_of_message, lines_of, tail_of
from pages.executions.neighbours import neighbours_of
from pages.executions.output import shown_result, shown_steps
from pages.executions.page_context import milliseconds
from pages.executions.page_query import to_datetime
from pages.executions.presentation import events_of, steps_of
from pages.executions.questions import questions_of
from pages.executions.status_track import phases_of
from pages.executions.step_bars import with_bars
from pages.lists import CountedPaginator, page_of
from pages.templatetags.agentidp import shorten_id

EVENTS_A_PAGE = 100
MAX_ERRORS = 20
MAX_FILES = 1_000
MAX_KINDS = 40
PAGE_RENDER_SECONDS = 2.0
"""Processor time for rendering on one page; the oldest steps are rendered last."""
DELETED = (
    "will be deleted with its events and files. Only the fact that it was deleted is kept. "
    "This cannot be undone."
)
GOES_ON = "It runs elsewhere and will continue there."
TAB_ICONS = {
    "running": "img/favicon-running.svg",
    "awaiting": "img/favicon-awaiting.svg",
    "finished": "img/favicon-finished.svg",
    "error": "img/favicon-error.svg",
}


def own_execution(request: OrganizationRequest, fid: str) -> Execution:
    """The execution; raises a 404 error unless the person may see it."""
    if not fid.isprintable():
        raise Http404
    visible = Execution.objects.for_organization(request.organization).visible_to(request.actor)
    found = visible.select_related("user", "agent", "credential").filter(fid=fid).first()
    if found is None:
        raise Http404
    return found


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
    rows = with_bars(found, steps["rows"], phases, error_type=error_type)
    steps["shown"] = shown_steps(request, rows, phases, has_ended=found.has_ended)
    context = {
        **shell(request, found, now),
        **questions_of(found),
        **neighbours_of(found, request.actor),
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
def events(request: OrganizationRequest, fid: str) -> HttpResponse:
    """Show all events as they were reported."""
    found = own_execution(request, fid)
    shows_traces = sees_all(request.actor)
    rows = events_of(found)
    counts = dict(rows.order_by("kind").values_list("kind").annotate(Count("sequence")))
    kind = request.GET.get("kind", "")
    if kind in counts:
        rows = rows.filter(kind=kind)
    rows = rows.order_by("sequence").annotate(
        text=beginning_of_message(MAX_LINE_LENGTH), length=Length("message")
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
                "text": short_line(kind_of_it, text, shows_traces=shows_traces),
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


def title_of(execution: Execution) -> str:
    """Its task if it has one, since an agent has many runs."""
    return shortened((execution.summary or "").strip() or execution.agent_name, 120)


def subject_of(execution: Execution) -> str:
    """The run's name: its task if it has one, since an agent has many runs."""
    name = shortened(execution.agent_name, 60)
    task = str(execution.description.get("summary") or "")
    if not task or task == execution.agent_name:
        return f"The run {shorten_id(execution.fid)} of {name}"
    return f"The run “{shortened(task, 80)}” of {name}"


def started_text(execution: Execution) -> str:
    started = absolute_time(execution.started_at, timezone.now())
    by = f" by {execution.user.name}" if execution.user else ""
    return f"Its id is {shorten_id(execution.fid)}; it was started at {started}{by}."


def stopping_of(execution: Execution) -> Confirmation:
    return Confirmation(
        address=reverse("executions:stop", args=[execution.fid]),
        key=f"stop-{execution.pk}",
        button="Stop",
        verb="Stop run",
        title="Stop this run?",
        subject=subject_of(execution),
        facts=(started_text(execution),),
        text="will be cancelled, and whoever runs it can no longer write to it. What it has "
        "produced so far is kept.",
    )


def deletion_of(execution: Execution) -> Confirmation:
    return Confirmation(
        address=reverse("executions:delete", args=[execution.fid]),
        key=f"delete-{execution.pk}",
        button="Delete",
        verb="Delete run",
        title="Delete this run?",
        subject=subject_of(execution),
        facts=(started_text(execution),),
        text=DELETED if execution.has_ended else f"{DELETED} {GOES_ON}",
    )


def change_view(
    change: Callable[..., object], ask: Callable[[Execution], Confirmation], sentence: str
) -> Callable[[HttpRequest, str], HttpResponseBase]:
    """A view that confirms and makes a change of an execution."""

    @require_http_methods(ASKING_METHODS)
    @within_organization("executions:read", "executions:write")
    def view(request: OrganizationRequest, fid: str) -> HttpResponse:
        found = own_execution(request, fid)
        back = reverse("executions:detail", args=[found.fid])
        if question := ask_first(request, ask(found), back=back, back_label=found.agent_name):
            return question
        said = sentence.format(found.agent_name)
        changed = is_done(request, lambda: change(found, actor=request.actor), said)
        if changed and change is delete_execution:
            return redirect("executions:list")
        return redirect("executions:detail", fid)

    return view


stop = change_view(
    stop_execution, stopping_of, "The run of {} was stopped. What it has produced so far is kept."
)
delete = change_view(delete_execution, deletion_of, "The run of {} was deleted.")


# What the pages show


def shell(request: OrganizationRequest, execution: Execution, now: float) -> dict[str, Any]:
    """The context shared by all pages of an execution."""
    may_control = request.actor.may(Scope.EXECUTIONS_WRITE)
    return {
        "execution": execution,
        "about": execution.description,
        "secret_hint": execution.credential.hint_at(execution.started_at)
        if execution.credential
        else "",
        "tags": execution.tags[:MAX_TAGS],
        "title": title_of(execution),
        "facts": facts_of(execution, now),
        "runs_url": runs_url(execution),
        "tab_icon": TAB_ICONS.get(execution.status, "img/favicon.svg"),
        "heard_at": None if execution.end_time is None else to_datetime(execution.end_time),
        "result_url": f"/outputs/raw/{quote(execution.fid)}" if execution.final else "",
        "streams": [],
        "print_url": f"/outputs/html/{quote(execution.fid)}",
        "may_stop": may_control and not execution.has_ended and not execution.is_imported,
        "may_delete": may_control and (execution.has_ended or execution.is_imported),
        "stopping": stopping_of(execution),
        "deletion": deletion_of(execution),
        "zone": request.zone,
    }


def streams_of(execution: Execution, *names: str) -> list[str]:
    """The addresses at which the page hears what happens next; none once it has ended."""
    return (
        [] if execution.has_ended else [f"/outputs/{name}/{quote(execution.fid)}" for name in names]
    )


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
