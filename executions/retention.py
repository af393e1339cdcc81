"""Removal of expired executions, abandoned uploads, and events and files that were not removed with
their execution.

Rows are deleted in short transactions of at most 500, so that nobody waits for them. An execution
with more events is deleted without them, and they follow. Each function does one turn of its
organization (organizations/tenancy/turns.py).
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from django.db import connection

from core.database_clock import ago, database_time
from executions.actions import remove_execution
from executions.file_storage import execution_folders, remove_folder, storage_problem
from executions.models import (
    DeletedExecution,
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionFile,
    ExecutionQuerySet,
    UnfinishedDeletion,
    Upload,
    UploadPart,
)
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tenancy.turns import Turn

BATCH = 500
EVENTS = 5000
"""Events in a transaction that deletes what nobody can read, and so nobody waits for."""
UPLOADS_LAST = timedelta(days=2)
Item = TypeVar("Item")
Step = Callable[[Organization, int], tuple[int, bool]]
"""Deletes up to so many rows; returns how many executions or uploads went, and whether all have."""
MAX_REFUSED = 10
"""Folders that a storage may refuse to remove before it is asked whether it works at all."""


def expire(
    organization: Organization, turn: Turn | None = None, *, batch: int = BATCH, earlier: int = 0
) -> int:
    """Delete executions that ended, and were last heard of, longer ago than the organization's
    retention; return how many, with those of `earlier` turns. The last turn records them.
    """
    turn, days = turn or Turn(), organization.execution_retention_days
    if days is None:
        if earlier:  # switched off since
            _record(AuditAction.EXECUTION_EXPIRED, organization, earlier)
        return earlier
    with organization_scope(organization):
        before = database_time() - timedelta(days=days)
        due = _ended_before(organization, before).count()
    if not earlier:
        if not due:
            return 0
        # Committed first, so that nothing is deleted without a record, whatever happens then.
        _record(AuditAction.EXECUTION_EXPIRY_STARTED, organization, due)
    expired, steps = earlier, turn.left
    try:
        while turn.take():
            with organization_scope(organization):
                done, is_all = _expire_some(organization, before, batch)
            expired += done
            if is_all:
                break
    finally:
        if not turn.has_more:
            _record(AuditAction.EXECUTION_EXPIRED, organization, expired)
            remove_left_rows(organization, Turn(steps))  # the night finds what is left then
    return expired


def _record(action: AuditAction, organization: Organization, executions: int) -> None:
    actor, days = Actor.for_system(organization, "retention"), organization.execution_retention_days
    with organization_scope(organization):
        record_event(action, organization, actor=actor, executions=executions, days=days)


def _expire_some(organization: Organization, before: datetime, batch: int) -> tuple[int, bool]:
    """Delete up to `batch` rows; return the number of deleted executions and whether none is
    left.
    """
    old = _ended_before(organization, before).without_content().select_for_update(skip_locked=True)
    expired, room = 0, batch
    # Most executions have more than two rows besides, so a batch takes no more than these.
    found = list(old[: max(1, batch // 4)])
    for execution in found:
        if execution.last_sequence > batch:
            remove_execution(execution, leaves_many=True)
            expired, room = expired + 1, room - 2
            if room < 2:
                return expired, False
            continue
        room -= _delete_children(execution, room)
        if room < 2:  # the execution itself, and its tombstone
            return expired, False
        remove_execution(execution)
        expired, room = expired + 1, room - 2
    return expired, not found


def _ended_before(organization: Organization, before: datetime) -> ExecutionQuerySet:
    """The executions that ended before then by their engine's clock, and whose last event was
    received before then by ours: an engine may report late, or not know the time.
    """
    moment = before.timestamp()
    ended = Execution.objects.for_organization(organization).filter(
        start_time__lt=moment,
        end_time__lt=moment,
        changed_at__lt=before,
        status__in=Execution.FINAL,
    )
    return ended.order_by("changed_at", "id")


def _delete_children(execution: Execution, most: int) -> int:
    """Delete up to `most` of the execution's rows; return how many."""
    deleted = 0
    for model in (ExecutionEvent, ExecutionError, ExecutionFile):
        rows = model._default_manager.filter(
            organization_id=execution.organization_id, execution_id=execution.pk
        )
        deleted += _delete_some(rows, most - deleted)
    return deleted


def _delete_some(rows: Any, most: int) -> int:
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:most])
    if keys:
        rows.filter(pk__in=keys).delete()
    return len(keys)


def remove_left_rows(
    organization: Organization, turn: Turn | None = None, *, batch: int = EVENTS
) -> int:
    """Delete the events and errors that large executions left when they were deleted; return how
    many executions there were.
    """
    return _in_steps(_remove_some_left, organization, turn, batch)


def _remove_some_left(organization: Organization, batch: int) -> tuple[int, bool]:
    left = (
        UnfinishedDeletion.objects.for_organization(organization)
        .order_by("created_at", "id")
        .select_for_update(skip_locked=True)
        .first()
    )
    if left is None:
        return 0, True
    end = left.emptied_to + batch
    for model in (ExecutionEvent, ExecutionError):
        model._default_manager.filter(
            organization_id=organization.pk,
            execution_id=left.pk,
            sequence__gt=left.emptied_to,
            sequence__lte=end,
        ).delete()
    if end < left.last_sequence:
        left.emptied_to = end
        left.save(update_fields=["emptied_to"])
        return 0, False
    left.delete()
    return 1, False


def _in_steps(step: Step, organization: Organization, turn: Turn | None, batch: int) -> int:
    """Repeat the step, each time in a transaction of its own; return the sum of what it did."""
    turn, total = turn or Turn(), 0
    while turn.take():
        with organization_scope(organization):
            done, is_all = step(organization, batch)
        total += done
        if is_all:
            break
    return total


def drop_empty_partitions() -> list[str]:
    """Drop the partitions of events of past months whose executions are all deleted; return their
    names.

    Raise OperationalError if a lock is not free within half a second.
    """
    dropped: list[str] = []
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT executions_drop_partition()")
            (name,) = cursor.fetchone()
            if name is None:
                return dropped
            dropped.append(name)


def remove_left_folders(
    organization: Organization, turn: Turn | None = None, *, batch: int = BATCH
) -> int:
    """Delete leftover files of deleted executions; return how many folders were removed.

    Files are left over when the disk refused or the process ended after the commit. Folders of
    anything else stay. A storage that is away is left alone until the next night.
    """
    turn, removed, refused = turn or Turn(), 0, 0
    for keys in batched(execution_folders(organization.pk), batch):
        with organization_scope(organization):
            deleted = DeletedExecution.objects.for_organization(organization)
            left = list(deleted.filter(pk__in=keys).values_list("pk", flat=True))
        for key in left:
            if remove_folder(organization.pk, key):
                removed += 1
                if not turn.take():
                    return removed
            # One that is refused every night takes no step: it would have endless turns.
            elif (refused := refused + 1) % MAX_REFUSED == 0 and storage_problem():
                return removed
    return removed


def prune_uploads(
    organization: Organization, turn: Turn | None = None, *, batch: int = BATCH
) -> int:
    """Delete incomplete uploads that began more than two days ago; return how many."""
    return _in_steps(_prune_some, organization, turn, batch)


def _prune_some(organization: Organization, batch: int) -> tuple[int, bool]:
    upload = (
        Upload.objects.for_organization(organization)
        .filter(created_at__lt=ago(UPLOADS_LAST))
        .order_by("created_at")
        .select_for_update(skip_locked=True)
        .first()
    )
    if upload is None:
        return 0, True
    parts = UploadPart.objects.filter(organization_id=organization.pk, upload=upload)
    if _delete_some(parts, batch) == batch:
        return 0, False
    upload.delete()
    return 1, False


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`."""
    rest = iter(items)
    while found := list(islice(rest, size)):
        yield found
