"""Stopping and deleting executions; both are written to the audit log."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from procrastinate.contrib.django import app

from core.errors import DomainError, Forbidden
from executions.actions.access import locked, moment
from executions.event_log import NewEvent, append_to_locked
from executions.file_storage import remove_folder
from executions.models import (
    DeletedExecution,
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionFile,
    ExecutionHasEnded,
    Upload,
    UploadPart,
)
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.tenancy.thread_slots import OrganizationBusy, slots

Kind, Status = ExecutionEvent.Kind, Execution.Status
MAINTENANCE = "maintenance"
REMOVE_FOLDERS = "executions.remove_folders"
FOLDERS_AT_ONCE = 8
"""The maximum number of executions whose files one request removes itself."""


class ExecutionIsLive(DomainError):
    code = "EXECUTION_LIVE"
    message = "The execution has not ended. Stop it first."


class ExecutionIsImported(DomainError):
    code = "EXECUTION_IMPORTED"
    message = (
        "This execution was imported: it runs elsewhere and must be stopped there. "
        "Its record can be deleted here."
    )


@dataclass(frozen=True)
class Removed:
    """An execution whose rows are gone, as it was before, and what happened to it."""

    execution: Execution
    happened: list[AuditAction]
    has_files: bool


@transaction.atomic
def stop_execution(execution: Execution, *, actor: Actor) -> Execution:
    """Cancel a live execution and keep its record; its engine cannot write to it any more.

    An imported execution runs elsewhere and cannot be stopped from here.
    """
    execution = locked(execution)
    _require_control(execution, actor)
    if execution.is_imported and not execution.has_ended:
        raise ExecutionIsImported(status=execution.status)
    if execution.has_ended:
        if execution.status == Status.CANCELLED:
            return execution
        raise ExecutionHasEnded(
            f"The execution is {execution.status} already.", status=execution.status
        )
    execution = _cancel(execution)
    record_event(AuditAction.EXECUTION_STOPPED, execution, actor=actor)
    return execution


@transaction.atomic
def delete_execution(execution: Execution, *, actor: Actor, stop: bool = False) -> None:
    """Delete an execution with its events and files; only a tombstone stays.

    A live execution is refused unless `stop` is set, which ends it first. Deleting an imported one
    removes only the record kept here and does not affect the system it came from.
    """
    removed = _remove(execution, actor=actor, stop=stop)
    _record([removed], actor)
    if removed.has_files:
        _remove_folders_on_commit(execution.organization_id, [execution.pk])


@transaction.atomic
def delete_executions(executions: Sequence[Execution], *, actor: Actor) -> None:
    """Delete several executions, all or none; live ones are stopped first.

    Many folders of files are left to the worker: a bucket needs a request or two for each
    execution, which would keep a web thread waiting.
    """
    removed = [_remove(each, actor=actor, stop=True) for each in executions]
    _record(removed, actor)
    keys = [each.execution.pk for each in removed if each.has_files]
    organization_id = actor.organization.pk
    if len(keys) > FOLDERS_AT_ONCE:
        _leave_to_worker(organization_id, keys)
    else:
        _remove_folders_on_commit(organization_id, keys)


def _remove(execution: Execution, *, actor: Actor, stop: bool) -> Removed:
    """Delete one execution's rows. Its audit events are recorded later."""
    execution = locked(execution)
    _require_control(execution, actor)
    happened = [AuditAction.EXECUTION_DELETED]
    if not execution.has_ended and not execution.is_imported:
        if not stop:
            raise ExecutionIsLive(status=execution.status)
        execution = _cancel(execution)
        happened.insert(0, AuditAction.EXECUTION_STOPPED)
    before = copy(execution)  # deleting takes the key from the other one
    return Removed(before, happened, _remove_rows(execution))


def _cancel(execution: Execution) -> Execution:
    return append_to_locked(execution, [NewEvent(moment(execution), Kind.STATUS, Status.CANCELLED)])


def _record(removed: Sequence[Removed], actor: Actor) -> None:
    """After all rows are gone, which takes seconds for millions of them: meanwhile nothing else
    could be recorded, and threads would wait that serve everybody."""
    for each in removed:
        for action in each.happened:
            record_event(action, each.execution, actor=actor)


def remove_execution(execution: Execution) -> None:
    """Delete the execution's rows, leave a tombstone, and delete its files after the commit."""
    organization_id, key = execution.organization_id, execution.pk
    if _remove_rows(execution):
        _remove_folders_on_commit(organization_id, [key])


def _remove_rows(execution: Execution) -> bool:
    """Delete the execution's rows and return whether it had files.

    Orphaned files that a failed request left in the storage are removed at night
    (executions.retention).
    """
    owned_by_execution: dict[str, Any] = {
        "organization_id": execution.organization_id,
        "execution": execution,
    }
    DeletedExecution.leave(
        execution.organization_id,
        execution.fid,
        key=execution.pk,
        agent_id=execution.agent_id,
        user_id=execution.user_id,
    )
    UploadPart.objects.filter(
        organization_id=execution.organization_id,
        upload__in=Upload.objects.filter(**owned_by_execution),
    ).delete()
    for model in (Upload, ExecutionError, ExecutionEvent):
        model._default_manager.filter(**owned_by_execution).delete()
    files, _ = ExecutionFile.objects.filter(**owned_by_execution).delete()
    execution.delete()
    return bool(files or execution.input_file_count or execution.output_file_count)


def _remove_folders_on_commit(organization_id: UUID, keys: Sequence[UUID]) -> None:
    transaction.on_commit(lambda: _remove_folders(organization_id, keys), robust=True)


def _remove_folders(organization_id: UUID, keys: Sequence[UUID]) -> None:
    """The storage may take long, and the request has given its place back when it commits."""
    try:
        with slots.hold(organization_id):
            for key in keys:
                remove_folder(organization_id, key)
    except OrganizationBusy:
        _leave_to_worker(organization_id, keys)


def _leave_to_worker(organization_id: UUID, keys: Sequence[UUID]) -> None:
    app.configure_task(REMOVE_FOLDERS, queue=MAINTENANCE).defer(
        organization_id=str(organization_id), execution_ids=list(map(str, keys))
    )


def _require_control(execution: Execution, actor: Actor) -> None:
    """Require executions:write for own executions, and an operator or the system for others'."""
    is_visible = Execution.objects.filter(pk=execution.pk).visible_to(actor).exists()
    if not (is_visible and (actor.kind == "staff" or actor.may(Scope.EXECUTIONS_WRITE))):
        raise Forbidden("You can stop and delete only your own executions.")
