"""What the hub asks the database: how far executions have come, and what they said since."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from executions.models import Execution, ExecutionEvent
from executions.record import tagged
from organizations.scope import organization_scope
from tokens.viewers import Viewer, as_json

MOST_EVENTS = 500
MOST_BYTES = 256 * 1024
"""A batch ends with the event that exceeds it."""
LARGEST_MESSAGE = 1024 * 1024
"""In bytes. Of a larger event a stream shows the beginning, or where to find it."""
SHOWN_OF_LARGER = 64 * 1024

HEADS = """
SELECT id, last_sequence, status, NULL::integer AS ended
FROM executions_heads(%s::uuid[], %s::uuid[])
"""
WITH_VIEWERS = HEADS + "UNION ALL SELECT NULL, NULL, NULL, tokens_ended_viewers(%s::jsonb)"

EVENTS = """
WITH following AS (
    SELECT sequence, timestamp, kind, message, octet_length(message) AS size
    FROM executions_executionevent
    WHERE organization_id = %s AND execution_id = %s AND sequence > %s
    ORDER BY sequence LIMIT %s
), measured AS (
    SELECT *, sum(size) OVER (ORDER BY sequence) - size AS before FROM following
)
SELECT sequence, timestamp, kind,
    CASE WHEN size <= %s THEN message WHEN kind = ANY (%s) THEN left(message, %s) END, size
FROM measured WHERE before < %s ORDER BY sequence
"""


class Watched(NamedTuple):
    """An execution that somebody looks at."""

    organization_id: UUID
    execution_id: UUID


class Head(NamedTuple):
    """How far an execution has come."""

    last_sequence: int
    status: str

    @property
    def has_ended(self) -> bool:
        return self.status in Execution.FINAL


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An event on its way to viewers, who share it."""

    sequence: int
    timestamp: float
    kind: str
    message: str


@dataclass(eq=False)
class Batch:
    """Events that follow one another; viewers at the same place share it, and what was written
    of it."""

    events: list[LiveEvent]
    written: dict[object, bytes] = field(default_factory=dict)

    @property
    def last_sequence(self) -> int:
        return self.events[-1].sequence


def read_heads(
    watched: Sequence[Watched], viewers: Sequence[Viewer] = ()
) -> tuple[dict[UUID, Head], set[Viewer]]:
    """The heads of those that exist, and which viewers may no longer look: one statement.

    Outside of a transaction, so that it is also the only one.
    """
    organizations = [each.organization_id for each in watched]
    executions = [each.execution_id for each in watched]
    with connection.cursor() as cursor:
        if viewers:
            cursor.execute(WITH_VIEWERS, [organizations, executions, as_json(viewers)])
        else:
            cursor.execute(HEADS, [organizations, executions])
        rows = cursor.fetchall()
    heads = {key: Head(last, status) for key, last, status, ended in rows if ended is None}
    return heads, {viewers[ended] for *_, ended in rows if ended is not None}


def read_events(watched: Watched, after: int) -> Batch | None:
    """The next events after the sequence number `after`, about MOST_BYTES of them at most; None
    when there are none.

    Without gaps: appending locks the execution's row and numbers under that lock, so an event is
    never committed before one with a smaller number (record.py).
    """
    with organization_scope(watched.organization_id), connection.cursor() as cursor:
        cursor.execute(
            EVENTS,
            [
                *(watched.organization_id, watched.execution_id, after, MOST_EVENTS),
                *(LARGEST_MESSAGE, list(ExecutionEvent.PLAIN), SHOWN_OF_LARGER, MOST_BYTES),
            ],
        )
        events = [
            LiveEvent(sequence, timestamp, kind, _shown(message, size))
            for sequence, timestamp, kind, message, size in cursor.fetchall()
        ]
    return Batch(events) if events else None


def _shown(message: str | None, size: int) -> str:
    if message is None:
        note = f"This event has {size} bytes: too large for a stream."
        return tagged_text(note)
    if size > LARGEST_MESSAGE:
        return f"{message}\n… cut off: {size} bytes in all"
    return message


def tagged_text(body: str) -> str:
    """A text as the JSON that kodosumi calls Text."""
    return tagged({"body": body}).replace('{"dict":', '{"Text":', 1)
