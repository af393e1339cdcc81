"""Stopping and deleting executions; both are written to the audit log."""

from collections.abc import Sequence
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
        "This execution was imported: it runs elsewhere, and has to be stopped there. "
        "Here its record can be deleted."
    )


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
    execution = append_to_locked(
        execution, [NewEvent(moment(execution), Kind.STATUS, Status.CANCELLED)]
    )
    record_event(AuditAction.EXECUTION_STOPPED, execution, actor=actor)
    return execution


@transaction.atomic
def delete_execution(execution: Execution, *, actor: Actor, stop: bool = False) -> None:
    """Delete an execution with its events and files; only a tombstone stays.

    A live execution is refused unless `stop` is set, which ends it first. Deleting an imported one
    removes only the record kept here and does not affect the system it came from.
    """
    if _delete(execution, actor=actor, stop=stop):
        _remove_folder_on_commit(execution.organization_id, execution.pk)


@transaction.atomic
def delete_executions(executions: Sequence[Execution], *, actor: Actor) -> None:
    """Delete several executions, all or none; live ones are stopped first.

    Many folders of files are left to the worker: a bucket needs a request or two for each
    execution, which would keep a web thread waiting.
    """
    keys = [each.pk for each in executions if _delete(each, actor=actor, stop=True)]
    organization_id = actor.organization.pk
    if len(keys) > FOLDERS_AT_ONCE:
        app.configure_task(REMOVE_FOLDERS, queue=MAINTENANCE).defer(
            organization_id=str(organization_id), execution_ids=list(map(str, keys))
        )
        return
    for key in keys:
        _remove_folder_on_commit(organization_id, key)


def _delete(execution: Execution, *, actor: Actor, stop: bool) -> bool:
    """Delete one execution. Return whether its files still have to be removed."""
    execution = locked(execution)
    _require_control(execution, actor)
    if not execution.has_ended and not execution.is_imported:
        if not stop:
            raise ExecutionIsLive(status=execution.status)
        execution = stop_execution(execution, actor=actor)
    record_event(AuditAction.EXECUTION_DELETED, execution, actor=actor)
    return _remove_rows(execution)


def remove_execution(execution: Execution) -> None:
    """Delete the execution's rows, leave a tombstone, and delete its files after the commit."""
    organization_id, key = execution.organization_id, execution.pk
    if _remove_rows(execution):
        _remove_folder_on_commit(organization_id, key)


def _remove_rows(execution: Execution) -> bool:
    """Delete the execution's rows and return whether it had files.

    Orphaned files that a failed request left in the storage are removed at night
    (executions.retention).
    """
    owned_by_execution: dict[str, Any] = {
        "organization_id": execution.organization_id,
        "execution": execution,
    }
    DeletedExecution.objects.create(
        id=execution.pk,
        organization_id=execution.organization_id,
        fid=execution.fid,
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


def _remove_folder_on_commit(organization_id: UUID, key: UUID) -> None:
    transaction.on_commit(lambda: remove_folder(organization_id, key), robust=True)


def _require_control(execution: Execution, actor: Actor) -> None:
    """Require executions:write for own executions, and an operator or the system for others'."""
    is_visible = Execution.objects.filter(pk=execution.pk).visible_to(actor).exists()
    if not (is_visible and (actor.kind == "staff" or actor.may(Scope.EXECUTIONS_WRITE))):
        raise Forbidden("You can stop and delete only your own executions.")
