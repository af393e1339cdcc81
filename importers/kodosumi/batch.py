"""Writing what was read of many executions in one transaction."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Self

from django.db import IntegrityError

from executions.actions import remove_execution
from executions.error_groups import limit_groups
from executions.event_log import LightEvent, apply_events, insert_events
from executions.models import DeletedExecution, Execution, ExecutionError, new_execution
from executions.wakeup import announce_on_commit
from importers.kodosumi.databases import MonitorRow
from importers.kodosumi.folders import ExecutionFolder
from importers.kodosumi.people import People
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

MAX_ROWS = 20_000
MAX_CHARACTERS = 32 << 20


@dataclass
class Reading:
    """Data read for an execution and not yet written."""

    folder: ExecutionFolder
    created: float
    """The execution's start, unless an event gives another."""
    after: int
    """The last row of the previous read."""
    rows: list[MonitorRow] = field(default_factory=list)


@dataclass
class Batch:
    readings: list[Reading] = field(default_factory=list)
    deletions: list[ExecutionFolder] = field(default_factory=list)
    row_count: int = 0
    characters: int = 0

    @property
    def is_full(self) -> bool:
        """Whether the batch has reached the limit for memory or for one transaction."""
        return self.row_count >= MAX_ROWS or self.characters >= MAX_CHARACTERS

    @property
    def folders(self) -> list[ExecutionFolder]:
        return [*(reading.folder for reading in self.readings), *self.deletions]

    def start(self, folder: ExecutionFolder, created: float, after: int) -> Reading:
        reading = Reading(folder, created, after)
        self.readings.append(reading)
        return reading

    def add(self, reading: Reading, row: MonitorRow) -> None:
        reading.rows.append(row)
        self.row_count += 1
        self.characters += len(row.message)

    def split(self) -> list[Self]:
        return [
            *(type(self)(readings=[reading]) for reading in self.readings),
            *(type(self)(deletions=[folder]) for folder in self.deletions),
        ]


@dataclass
class Written:
    """The changes of a batch; `executions` holds the written ones by fid."""

    executions: dict[str, Execution] = field(default_factory=dict)
    imported: int = 0
    updated: int = 0
    deleted: int = 0
    events: int = 0
    refused: list[ExecutionFolder] = field(default_factory=list)
    """Folders whose ids belong to other executions."""


def write(batch: Batch, people: People, actor: Actor) -> Written:
    """Write the whole batch or nothing, judged by the locked rows rather than earlier reads."""
    written = Written()
    here = {
        "organization": actor.organization,
        "fid__in": [folder.fid for folder in batch.folders],
    }
    with organization_scope(actor.organization):
        locked = Execution.objects.filter(**here).without_content().select_for_update()
        known = {execution.fid: execution for execution in locked.order_by("id")}
        dead = people.deleted(batch.folders)
        alive = [reading for reading in batch.readings if reading.folder not in dead]
        _write_readings(alive, known, people, actor.organization, written)
        deleted: list[Execution] = []
        for folder in batch.deletions:
            execution = known.get(folder.fid)
            if execution is None:
                continue  # It was never here, and what its folder is named like may be another's.
            if not people.have(execution, folder):
                written.refused.append(folder)
                continue
            deleted.append(copy(execution))  # deleting takes the key from the other one
            remove_execution(execution)
            written.deleted += 1
        for execution in deleted:  # last, so that recording waits for nothing else of the batch
            record_event(
                AuditAction.EXECUTION_DELETED,
                execution,
                actor=actor,
                reason="deleted at the source",
            )
        announce_on_commit()
    return written


def _write_readings(
    readings: Sequence[Reading],
    known: dict[str, Execution],
    people: People,
    organization: Organization,
    written: Written,
) -> None:
    new: list[Execution] = []
    events: list[LightEvent] = []
    errors: list[ExecutionError] = []
    for reading in readings:
        execution = known.get(reading.folder.fid)
        is_new = execution is None
        if execution is None:
            if reading.after:
                continue  # It was deleted after its first rows were written.
            execution = new_execution(
                organization,
                fid=reading.folder.fid,
                source=Execution.Source.KODOSUMI,
                status=Execution.Status.STARTING,
                user=people.get(reading.folder.user),
                start_time=reading.created,
                source_position=0,
            )
            new.append(execution)
            known[execution.fid] = execution
        elif not people.have(execution, reading.folder):
            written.refused.append(reading.folder)
            continue
        # Another import may have written in the meantime.
        rows = [row for row in reading.rows if row.id > (execution.source_position or 0)]
        if not rows and not is_new:
            continue
        made = _events(execution, rows)
        errors += apply_events(execution, made)
        events += made
        if rows:
            execution.source_position = rows[-1].id
        written.executions[execution.fid] = execution
        if not is_new:
            execution.save(force_update=True)
            written.updated += 1
    Execution.objects.bulk_create(new)
    _require_unused(organization, [each.fid for each in new])
    insert_events(organization, events)
    limit_groups(organization.pk, errors)
    ExecutionError.objects.bulk_create(errors)
    written.imported += len(new)
    written.events += len(events)


def _require_unused(organization: Organization, fids: Sequence[str]) -> None:
    """Raise IntegrityError if one was created and deleted since the tombstones were read.

    From the insertion on nobody else can do that. Each folder is then written alone, and judged by
    the tombstones that are there by then.
    """
    if DeletedExecution.objects.filter(organization=organization, fid__in=fids).exists():
        raise IntegrityError("An execution with this id was deleted in the meantime.")


def _events(execution: Execution, rows: Sequence[MonitorRow]) -> list[LightEvent]:
    """The rows as events with sequence numbers of AgentIdP, since an engine's may have gaps.

    A row without a usable time gets the time of the row before it.
    """
    key = str(execution.pk)
    time = execution.start_time if execution.end_time is None else execution.end_time
    made = []
    for sequence, row in enumerate(rows, execution.last_sequence + 1):
        time = time if row.timestamp is None else row.timestamp
        made.append(LightEvent(key, sequence, time, row.kind, row.message))
    return made
