"""Separating new events from repeated ones: a repeated batch changes nothing, a gap is refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.errors import DomainError
from executions.actions.access import moment
from executions.event_log import NewEvent
from executions.models import Execution, ExecutionEvent


class SequenceGap(DomainError):
    """The batch leaves a gap in the sequence; none of it was stored.

    `details` name the event and the sequence number that the execution expects next.
    """

    code = "SEQUENCE_GAP"
    message = "Events are missing before this one."


class SequenceConflict(DomainError):
    code = "SEQUENCE_CONFLICT"
    message = "The execution already has a different event with this sequence number."


IN_BATCH = "The batch has two different events with this sequence number. None of it was stored."


@dataclass(frozen=True)
class ReportedEvent:
    """An event as an engine reports it.

    `message` is the text that will be stored. Without a `timestamp` (Unix seconds) the event
    happened now; without a `sequence` it takes the next number.
    """

    kind: str
    message: str
    timestamp: float | None = None
    sequence: int | None = None


def new_events(execution: Execution, events: Sequence[ReportedEvent]) -> list[NewEvent]:
    """The reported events that the execution does not have yet, in order."""
    known = _recorded(execution, (event.sequence for event in events))
    kept = execution.last_sequence
    upcoming = kept + 1
    new = []
    for event in events:
        sequence = upcoming if event.sequence is None else event.sequence
        if sequence > upcoming:
            raise SequenceGap(
                f"Events are missing before the sequence number {sequence}. "
                f"None of the batch was stored: continue with {kept + 1}.",
                sequence=sequence,
                nextSequence=kept + 1,
            )
        if sequence < upcoming:
            if not _is_repeated(event, known[sequence]):
                raise SequenceConflict(IN_BATCH if sequence > kept else None, sequence=sequence)
            continue
        made = NewEvent(
            moment(execution) if event.timestamp is None else event.timestamp,
            event.kind,
            event.message,
        )
        known[sequence] = made
        new.append(made)
        upcoming += 1
    return new


def _recorded(execution: Execution, sequences: Iterable[int | None]) -> dict[int, NewEvent]:
    """The execution's events with these sequence numbers."""
    last = execution.last_sequence
    wanted = [sequence for sequence in sequences if sequence is not None and sequence <= last]
    if not wanted:
        return {}
    rows = ExecutionEvent.objects.filter(
        organization_id=execution.organization_id,
        execution_id=execution.pk,
        sequence__in=wanted,
    )
    return {row.sequence: NewEvent(row.timestamp, row.kind, row.message) for row in rows}


def _is_repeated(event: ReportedEvent, known: NewEvent) -> bool:
    is_same_time = event.timestamp is None or event.timestamp == known.timestamp
    return is_same_time and (event.kind, event.message) == (known.kind, known.message)
