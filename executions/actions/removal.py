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
    UnfinishedDeletion,
    Upload,
    UploadPart,
)
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.tenancy.shares import share_of
from organizations.tenancy.thread_slots import OrganizationBusy, slots
from organizations.tenancy.turns import LOW_PRIORITY, MAINTENANCE, lock_of, queue_turn_on_commit

Kind, Status = ExecutionEvent.Kind, Execution.Status
REMOVE_FOLDERS = "executions.remove_folders"
FOLDERS_AT_ONCE = 8
"""The maximum number of executions whose files one request removes itself."""
FOLDERS_OF_JOB = 20
"""The maximum number of executions whose files one job removes: with a bucket, a few seconds."""
REMOVE_LEFT_ROWS = "executions.remove_left_rows"
EVENTS_AT_ONCE = 20_000
"""The maximum number of events that one request deletes itself. The worker deletes those of larger
executions."""


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
    has_rows_left: bool


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

    Of a large one the worker deletes the events and errors, which nobody can find meanwhile. A live
    execution is refused unless `stop` is set, which ends it first. Deleting an imported one removes
    only the record kept here and does not affect the system it came from.
    """
    removed = _remove(execution, actor=actor, stop=stop, most=EVENTS_AT_ONCE)
    _record([removed], actor)
    if removed.has_rows_left:
        queue_turn_on_commit(REMOVE_LEFT_ROWS, execution.organization_id)
    if removed.has_files:
        _remove_folders_on_commit(execution.organization_id, [execution.pk])


@transaction.atomic
def delete_executions(executions: Sequence[Execution], *, actor: Actor) -> None:
    """Delete several executions, all or none; live ones are stopped first.

    Many folders of files are left to the worker: a bucket needs a request or two for each
    execution, which would keep a web thread waiting. Many events are left to it as well.
    """
    removed, room = [], EVENTS_AT_ONCE
    for each in executions:
        removed.append(_remove(each, actor=actor, stop=True, most=room))
        if not removed[-1].has_rows_left:
            room -= removed[-1].execution.last_sequence
    _record(removed, actor)
    if any(each.has_rows_left for each in removed):
        queue_turn_on_commit(REMOVE_LEFT_ROWS, actor.organization.pk)
    keys = [each.execution.pk for each in removed if each.has_files]
    organization_id = actor.organization.pk
    if len(keys) > FOLDERS_AT_ONCE:
        _leave_to_worker(organization_id, keys)
    else:
        _remove_folders_on_commit(organization_id, keys)


def _remove(execution: Execution, *, actor: Actor, stop: bool, most: int) -> Removed:
    """Delete one execution's rows, but leave its events and errors if it has more than `most`
    events. Its audit events are recorded later.
    """
    execution = locked(execution)
    _require_control(execution, actor)
    happened = [AuditAction.EXECUTION_DELETED]
    if not execution.has_ended and not execution.is_imported:
        if not stop:
            raise ExecutionIsLive(status=execution.status)
        execution = _cancel(execution)
        happened.insert(0, AuditAction.EXECUTION_STOPPED)
    before = copy(execution)  # deleting takes the key from the other one
    is_large = execution.last_sequence > most
    has_files = _remove_rows(execution, leaves_many=is_large)
    return Removed(before, happened, has_files, has_rows_left=is_large)


def _cancel(execution: Execution) -> Execution:
    return append_to_locked(execution, [NewEvent(moment(execution), Kind.STATUS, Status.CANCELLED)])


def _record(removed: Sequence[Removed], actor: Actor) -> None:
    """After all rows are gone, which takes a moment: meanwhile nothing else could be recorded, and
    threads would wait that serve everybody."""
    for each in removed:
        for action in each.happened:
            record_event(action, each.execution, actor=actor)


def remove_execution(execution: Execution, *, leaves_many: bool = False) -> None:
    """Delete the execution's rows, leave a tombstone, and delete its files after the commit.

    `leaves_many` leaves events and errors to retention.remove_left_rows().
    """
    organization_id, key = execution.organization_id, execution.pk
    if _remove_rows(execution, leaves_many=leaves_many):
        _remove_folders_on_commit(organization_id, [key])


def _remove_rows(execution: Execution, *, leaves_many: bool) -> bool:
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
    if leaves_many:
        UnfinishedDeletion.objects.create(
            organization_id=execution.organization_id,
            pk=execution.pk,
            last_sequence=execution.last_sequence,
        )
    for model in (Upload,) if leaves_many else (Upload, ExecutionError, ExecutionEvent):
        model._default_manager.filter(**owned_by_execution).delete()
    files, _ = ExecutionFile.objects.filter(**owned_by_execution).delete()
    execution.delete()
    return bool(files or execution.input_file_count or execution.output_file_count)


def _remove_folders_on_commit(organization_id: UUID, keys: Sequence[UUID]) -> None:
    transaction.on_commit(lambda: _remove_folders(organization_id, keys), robust=True)


def _remove_folders(organization_id: UUID, keys: Sequence[UUID]) -> None:
    """The storage may take long, and the request has given its place back when it commits."""
    try:
        with slots.hold(share_of(organization_id)):
            for key in keys:
                remove_folder(organization_id, key)
    except OrganizationBusy:
        _leave_to_worker(organization_id, keys)


def _leave_to_worker(organization_id: UUID, keys: Sequence[UUID]) -> None:
    """Queue the removal of the folders, in several jobs if they are many. Those of an organization
    run one after another.
    """
    lock = lock_of(REMOVE_FOLDERS, organization_id)
    for start in range(0, len(keys), FOLDERS_OF_JOB):
        app.configure_task(
            REMOVE_FOLDERS, queue=MAINTENANCE, priority=LOW_PRIORITY, lock=lock
        ).defer(
            organization_id=str(organization_id),
            execution_ids=list(map(str, keys[start : start + FOLDERS_OF_JOB])),
        )


def _require_control(execution: Execution, actor: Actor) -> None:
    """Require executions:write for own executions, and an operator or the system for others'."""
    is_visible = Execution.objects.filter(pk=execution.pk).visible_to(actor).exists()
    if not (is_visible and (actor.kind == "staff" or actor.may(Scope.EXECUTIONS_WRITE))):
        raise Forbidden("You can stop and delete only your own executions.")
