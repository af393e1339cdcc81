"""The hub's database queries: how far executions have come, and their new events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from executions.json_text import tagged_text
from executions.models import Execution, ExecutionEvent
from organizations.stream_access import Viewer, as_json
from organizations.tenancy.scope import organization_scope

MAX_EVENTS = 500
MAX_BYTES = 64 * 1024
"""A batch ends with the event that exceeds this size."""
MAX_MESSAGE_BYTES = 1024 * 1024
"""In bytes. Of a larger event a stream shows the beginning, or where to find it."""
MAX_EXCERPT = 64 * 1024
"""Characters of that beginning."""
EVENT_OVERHEAD_BYTES = 400
"""The approximate overhead of an event, in bytes, beside its message."""

HEADS = """
SELECT id, last_sequence, status, NULL::integer AS ended, NULL::bigint AS appeared
FROM executions_heads(%s::uuid[], %s::uuid[])
"""
ENDED = "UNION ALL SELECT NULL, NULL, NULL, tokens_ended_viewers(%s::jsonb), NULL "
APPEARED = """UNION ALL
SELECT NULL, NULL, NULL, NULL,
    executions_appeared(%s::uuid[], %s::text[], %s::uuid[], %s::uuid[])
"""

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
    """An execution with viewers."""

    organization_id: UUID
    execution_id: UUID


class Awaited(NamedTuple):
    """An execution that may not exist yet, and who may see it; without agent or user: everybody."""

    organization_id: UUID
    fid: str
    agent_id: UUID | None = None
    person_id: UUID | None = None


class Head(NamedTuple):
    """The position that an execution has reached."""

    last_sequence: int
    status: str

    @property
    def has_ended(self) -> bool:
        return self.status in Execution.FINAL


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An event for viewers, shared by all of them."""

    sequence: int
    timestamp: float
    kind: str
    message: str


@dataclass(eq=False)
class Batch:
    """Consecutive events, shared by viewers at the same position together with their serialized
    form.
    """

    events: list[LiveEvent]
    size: int = 0
    """The approximate size in bytes, including the serialized form."""
    written: dict[object, bytes] = field(default_factory=dict)

    @property
    def last_sequence(self) -> int:
        return self.events[-1].sequence

    @property
    def has_errors(self) -> bool:
        return any(event.kind == ExecutionEvent.Kind.ERROR for event in self.events)


@dataclass(frozen=True)
class News:
    """The results of a poll."""

    heads: dict[UUID, Head]
    """The heads of the executions that exist."""
    ended: set[Viewer]
    """The viewers whose access has ended."""
    appeared: set[Awaited]


def read_news(
    watched: Sequence[Watched],
    viewers: Sequence[Viewer] = (),
    awaited: Sequence[Awaited] = (),
) -> News:
    """Read the state of all watched and awaited executions and viewers in one statement.

    It runs in autocommit, so that it is the only statement. Each row costs the database 10 to 30
    microseconds.
    """
    statement = HEADS
    parameters: list[Any] = [
        [each.organization_id for each in watched],
        [each.execution_id for each in watched],
    ]
    if viewers:
        statement += ENDED
        parameters.append(as_json(viewers))
    if awaited:
        statement += APPEARED
        parameters += map(list, zip(*awaited, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall()
    return News(
        {key: Head(last, status) for key, last, status, *_ in rows if key is not None},
        {viewers[ended] for *_, ended, _ in rows if ended is not None},
        {awaited[place - 1] for *_, place in rows if place is not None},
    )


def read_events(watched: Watched, after: int) -> Batch | None:
    """The events after the sequence number `after`, about MAX_BYTES at most; None if there are
    none.

    There are no gaps: appending locks the execution's row and numbers under that lock, so an event
    is never committed before one with a smaller number (event_log.py).
    """
    with organization_scope(watched.organization_id), connection.cursor() as cursor:
        cursor.execute(
            EVENTS,
            [
                *(watched.organization_id, watched.execution_id, after, MAX_EVENTS),
                *(MAX_MESSAGE_BYTES, list(ExecutionEvent.PLAIN), MAX_EXCERPT, MAX_BYTES),
            ],
        )
        events = [
            LiveEvent(sequence, timestamp, kind, _shown(message, size))
            for sequence, timestamp, kind, message, size in cursor.fetchall()
        ]
    # Each message is held once as text, and once or twice in serialized form.
    size = sum(EVENT_OVERHEAD_BYTES + 3 * len(each.message) for each in events)
    return Batch(events, size) if events else None


def _shown(message: str | None, size: int) -> str:
    if message is None:
        note = f"This event has {size} bytes: too large for a stream."
        return tagged_text(note)
    if size > MAX_MESSAGE_BYTES:
        return f"{message}\n… cut off: {size} bytes in all"
    return message
