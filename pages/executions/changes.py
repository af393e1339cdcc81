"""Stopping and deleting an execution, each after a confirmation."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from core.formatting import absolute_time, shortened
from executions.actions import delete_execution, stop_execution
from executions.models import Execution
from organizations.actors import Actor, Scope
from pages.confirmation import ASKING_METHODS, Confirmation, ask_first, is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.executions.run_page import own_execution, task_of
from pages.templatetags.agentidp import shorten_id

DELETED = (
    "will be deleted with its events and files. Only the fact that it was deleted is kept. "
    "This cannot be undone."
)
GOES_ON = "It runs elsewhere and will continue there."


def subject_of(execution: Execution) -> str:
    """The run's name in a sentence."""
    name, task = shortened(execution.agent_name, 60), task_of(execution)
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


def changes_of(execution: Execution, actor: Actor) -> dict[str, Any]:
    """The context of executions/run_actions.html: what the actor may do with the execution."""
    may_control = actor.may(Scope.EXECUTIONS_WRITE)
    return {
        "may_stop": may_control and not execution.has_ended and not execution.is_imported,
        "may_delete": may_control and (execution.has_ended or execution.is_imported),
        "stopping": stopping_of(execution),
        "deletion": deletion_of(execution),
    }


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
