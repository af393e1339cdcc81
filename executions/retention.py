"""Removal of expired executions, abandoned uploads, and events and files that were not removed with
their execution.

Rows are deleted in short transactions of at most 500, so that nobody waits for them. An execution
with more events is deleted without them, and they follow.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection

from core.database_clock import ago, database_time
from executions.actions import remove_execution
from executions.file_storage import execution_folders, remove_folder
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
from organizations.tenancy.every import in_every_organization
from organizations.tenancy.scope import organization_scope

BATCH = 500
EVENTS = 5000
"""Events in a transaction that deletes what nobody can read, and so nobody waits for."""
DAY = 24 * 3600
UPLOADS_LAST = timedelta(days=2)


def expire_all() -> int:
    """Delete the expired executions of every organization; return how many there were."""
    keeping = Organization.objects.filter(execution_retention_days__isnull=False).order_by("id")
    return in_every_organization(expire, keeping)


def expire(organization: Organization, *, batch: int = BATCH) -> int:
    """Delete executions that ended longer ago than the organization's retention; return how
    many.
    """
    if organization.execution_retention_days is None:
        return 0
    days = organization.execution_retention_days
    actor = Actor.for_system(organization, "retention")
    with organization_scope(organization):
        before = database_time().timestamp() - days * DAY
        due = _ended_before(organization, before).count()
        if not due:
            return 0
        # Committed first, so that nothing is deleted without a record, whatever happens then.
        record_event(
            AuditAction.EXECUTION_EXPIRY_STARTED,
            organization,
            actor=actor,
            executions=due,
            days=days,
        )
    expired = 0
    try:
        while True:
            with organization_scope(organization):
                done, is_all = _expire_some(organization, before, batch)
            expired += done
            if is_all:
                return expired
    finally:
        with organization_scope(organization):
            record_event(
                AuditAction.EXECUTION_EXPIRED,
                organization,
                actor=actor,
                executions=expired,
                days=days,
            )
        remove_left_rows(organization)


def _expire_some(organization: Organization, before: float, batch: int) -> tuple[int, bool]:
    """Delete up to `batch` rows; return the number of deleted executions and whether none is
    left.
    """
    old = (
        _ended_before(organization, before)
        .order_by("start_time", "id")
        .without_content()
        .select_for_update(skip_locked=True)
    )
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


def _ended_before(organization: Organization, before: float) -> ExecutionQuerySet:
    return Execution.objects.for_organization(organization).filter(
        start_time__lt=before, end_time__lt=before, status__in=Execution.FINAL
    )


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


def remove_all_left_rows() -> int:
    """Do what `remove_left_rows` does in every organization."""
    return in_every_organization(remove_left_rows)


def remove_left_rows(organization: Organization, *, batch: int = EVENTS) -> int:
    """Delete the events and errors that large executions left when they were deleted; return how
    many executions there were.
    """
    removed = 0
    while True:
        with organization_scope(organization):
            done, is_all = _remove_some_left(organization, batch)
        removed += done
        if is_all:
            return removed


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


def remove_left_folders(*, batch: int = BATCH) -> int:
    """Delete leftover files of deleted executions; return how many folders were removed.

    Files are left over when the disk refused or the process ended after the commit. Folders of
    anything else stay.
    """

    def remove(organization: Organization) -> int:
        removed = 0
        for keys in batched(execution_folders(organization.pk), batch):
            with organization_scope(organization):
                deleted = DeletedExecution.objects.for_organization(organization)
                left = list(deleted.filter(pk__in=keys).values_list("pk", flat=True))
            removed += sum(remove_folder(organization.pk, key) for key in left)
        return removed

    return in_every_organization(remove)


def prune_uploads(*, batch: int = BATCH) -> int:
    """Delete incomplete uploads that began more than two days ago; return how many."""

    def prune(organization: Organization) -> int:
        pruned = 0
        while True:
            with organization_scope(organization):
                done, is_all = _prune_some(organization, batch)
            pruned += done
            if is_all:
                return pruned

    return in_every_organization(prune)


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


def batched(keys: Iterable[UUID], size: int) -> Iterator[list[UUID]]:
    """Yield the keys in lists of `size`."""
    rest = iter(keys)
    while found := list(islice(rest, size)):
        yield found
