"""The event log: the state of an execution follows from its events, whoever reports them.

Appending locks the execution's row. That keeps its sequence free of gaps, and guarantees a reader
who has seen event n that no smaller one appears later.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from django.db import connection, transaction

from core.errors import InvalidValue
from core.ids import uuid7
from core.text import normalized
from executions.described import fitting
from executions.error_groups import limit_groups
from executions.errors import read_error
from executions.json_text import read_json
from executions.models import (
    UNKNOWN_AGENT,
    EventAfterEnd,
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionHasEnded,
    IllegalTransition,
)
from executions.wakeup import announce_on_commit
from organizations.models import Organization

Kind, Status = ExecutionEvent.Kind, Execution.Status
MARKS = frozenset({Kind.STATUS, Kind.FINAL, Kind.META})
STATUSES = frozenset(Status.values)
MAX_LOCKS = 1000
"""The maximum number of open locks, because every reader of the execution gets all of them."""


@dataclass(frozen=True)
class NewEvent:
    """An event to append: `timestamp` in Unix seconds, `message` as the engine wrote it."""

    timestamp: float
    kind: str
    message: str


class EventRow(Protocol):
    """The fields of an ExecutionEvent; imports use the lighter LightEvent."""

    @property
    def sequence(self) -> int: ...
    @property
    def timestamp(self) -> float: ...
    @property
    def kind(self) -> str: ...
    @property
    def message(self) -> str: ...


class LightEvent(NamedTuple):
    """A row for insert_events, much cheaper to create than an ExecutionEvent."""

    execution_id: str
    sequence: int
    timestamp: float
    kind: str
    message: str


@transaction.atomic
def append_events(
    execution: Execution, events: Sequence[NewEvent], *, is_strict: bool = True, **fields: Any
) -> Execution:
    """Append the events, bring the execution's state up to date, and return the locked row.

    `is_strict` is for a single reporter: its events count in the order of their sequence, and an
    illegal change of status or an event after the end is refused. An import takes events as it
    finds them, ordered by time. `fields` are saved with the state.
    """
    locked = Execution.objects.select_for_update().without_content()
    execution = locked.get(organization_id=execution.organization_id, pk=execution.pk)
    return append_to_locked(execution, events, is_strict=is_strict, **fields)


def append_to_locked(
    execution: Execution, events: Sequence[NewEvent], *, is_strict: bool = True, **fields: Any
) -> Execution:
    """Like `append_events`, for an execution whose row this transaction has already locked.

    Lock it with `without_content`: saving writes back every field that was read, and inputs or
    results may be megabytes.
    """
    first = execution.last_sequence + 1
    rows = [
        ExecutionEvent(
            organization_id=execution.organization_id,
            execution_id=execution.pk,
            sequence=sequence,
            timestamp=event.timestamp,
            kind=event.kind,
            message=event.message,
        )
        for sequence, event in enumerate(events, first)
    ]
    errors = apply_events(execution, rows, is_strict=is_strict)
    for name, value in fields.items():
        setattr(execution, name, value)
    execution.save(force_update=True)
    ExecutionEvent.objects.bulk_create(rows)
    limit_groups(execution.organization_id, errors)
    ExecutionError.objects.bulk_create(errors)
    announce_on_commit()
    return execution


def apply_events(
    execution: Execution, rows: Sequence[EventRow], *, is_strict: bool = False
) -> list[ExecutionError]:
    """Apply the new rows to `execution` without saving, and return the errors among them.

    With `is_strict` events are ordered by sequence, because a reporter's clock may be wrong or
    change during a run. An import orders by time, then sequence: it reads what several threads
    wrote by one clock.
    """
    if not rows:
        return []
    before = execution.status
    if is_strict and execution.has_ended:
        raise ExecutionHasEnded(status=before)
    is_first = execution.last_sequence == 0
    errors = []
    reached = execution.end_time or 0.0
    for row in rows if is_strict else sorted(rows, key=lambda row: (row.timestamp, row.sequence)):
        if is_strict and execution.has_ended:
            raise EventAfterEnd(status=before, sequence=row.sequence)
        if execution.status == Status.AWAITING:
            execution.waiting_seconds += max(row.timestamp - reached, 0)
        reached = max(reached, row.timestamp)
        if row.kind == Kind.ERROR:
            errors.append(_apply_error(execution, row, is_strict))
        elif row.kind == Kind.STATUS:
            _apply_status(execution, row, before if is_strict else "")
        elif row.kind in HANDLERS:
            HANDLERS[row.kind](execution, row, is_strict)
        if row.kind in MARKS:
            execution.marked_time = max(execution.marked_time or 0, row.timestamp)
    earliest = min(row.timestamp for row in rows)
    latest = max(row.timestamp for row in rows)
    execution.start_time = earliest if is_first else min(execution.start_time, earliest)
    execution.end_time = max(execution.end_time or latest, latest)
    execution.last_sequence = max(execution.last_sequence, max(row.sequence for row in rows))
    return errors


def _apply_status(execution: Execution, row: EventRow, kept: str) -> None:
    """Set the status that the row reports.

    With `kept` an illegal change is refused, and the error says that the status is still `kept`;
    without it an invalid row is ignored.
    """
    wanted = row.message.strip().lower()
    if kept:
        if wanted != execution.status and wanted not in Execution.TRANSITIONS[execution.status]:
            raise IllegalTransition(
                f"An execution that is {execution.status} cannot become {wanted[:64]}.",
                status=kept,
                sequence=row.sequence,
            )
    elif wanted not in STATUSES or row.timestamp < (execution.status_time or 0):
        return
    execution.status_time = row.timestamp
    if wanted == execution.status:
        return
    execution.status = wanted
    if wanted == Status.RUNNING and execution.open_locks:
        execution.status = Status.AWAITING
    if execution.has_ended:
        execution.lease_expires_at = None


def _apply_meta(execution: Execution, row: EventRow, is_strict: bool) -> None:
    if execution.meta:
        return  # The first value counts.
    value = read_json(row.message)
    if isinstance(value, dict):
        execution.meta = fitting(value, row.message)
        name = execution.description.get("summary") or execution.description.get("entry_point")
        is_unknown = execution.agent_id is None and execution.agent_name == UNKNOWN_AGENT
        if isinstance(name, str) and is_unknown:
            execution.agent_name = normalized(name)[:255]


def _apply_inputs(execution: Execution, row: EventRow, is_strict: bool) -> None:
    if execution.inputs is None:
        execution.inputs = read_json(row.message)


def _apply_final(execution: Execution, row: EventRow, is_strict: bool) -> None:
    execution.final = row.message


def _apply_lock(execution: Execution, row: EventRow, is_strict: bool) -> None:
    lock = lock_id(row.message)
    if lock and lock not in execution.open_locks:
        if len(execution.open_locks) < MAX_LOCKS:
            execution.open_locks = [*execution.open_locks, lock]
        elif is_strict:
            problem = f"An execution waits for at most {MAX_LOCKS:,} locks at a time."
            raise InvalidValue.of("events", problem)
    if execution.open_locks and execution.status in {Status.STARTING, Status.RUNNING}:
        execution.status = Status.AWAITING


def _apply_lease(execution: Execution, row: EventRow, is_strict: bool) -> None:
    lock = lock_id(row.message)
    execution.open_locks = [known for known in execution.open_locks if known != lock]
    if not execution.open_locks and execution.status == Status.AWAITING:
        execution.status = Status.RUNNING


def lock_id(message: str) -> str:
    """The id that connects a lock with its lease; empty if the message has none."""
    value = read_json(message)
    inner = value.get("dict", value) if isinstance(value, dict) else {}
    found = inner.get("lid") if isinstance(inner, dict) else None
    return found[:64] if isinstance(found, str) else ""


def _apply_error(execution: Execution, row: EventRow, is_strict: bool) -> ExecutionError:
    readable = read_error(row.message)
    if is_strict or execution.error_time is None or row.timestamp >= execution.error_time:
        execution.error, execution.error_time = readable.message, row.timestamp
    return ExecutionError(
        id=uuid7(),
        organization_id=execution.organization_id,
        execution_id=execution.pk,
        sequence=row.sequence,
        timestamp=row.timestamp,
        error_type=readable.error_type,
        message=readable.message,
        fingerprint=readable.fingerprint(),
    )


HANDLERS: dict[str, Callable[[Execution, EventRow, bool], None]] = {
    Kind.META: _apply_meta,
    Kind.INPUTS: _apply_inputs,
    Kind.FINAL: _apply_final,
    Kind.LOCK: _apply_lock,
    Kind.LEASE: _apply_lease,
}


INSERT = f"""
    INSERT INTO {ExecutionEvent._meta.db_table}
        (organization_id, execution_id, sequence, timestamp, kind, message)
    SELECT %s, execution_id, sequence, timestamp, kind, message
    FROM json_to_recordset(%s::json) AS event (
        execution_id uuid, sequence integer, timestamp double precision, kind text, message text
    )
"""  # noqa: S608 - no user input


def insert_events(organization: Organization, events: Sequence[LightEvent]) -> None:
    """Insert events of many executions whose state apply_events has already updated.

    They are sent as JSON: Django's objects and psycopg's arrays took half of an import's time.
    """
    if events:
        rows_json = json.dumps([event._asdict() for event in events], ensure_ascii=False)
        with connection.cursor() as cursor:
            cursor.execute(INSERT, [organization.pk, rows_json])
