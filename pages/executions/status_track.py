"""The course of an execution: its statuses on a true time scale."""

from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Left

from executions.models import Execution, ExecutionEvent
from pages.executions.timeline import COLOURS

Kind, Status = ExecutionEvent.Kind, Execution.Status
READ = (Kind.STATUS, Kind.LOCK, Kind.LEASE)
MAX_CHANGES = 1_000
WIDTH = 1_000
"""The width of the drawing in its own units."""
THINNEST = 2
EventSummary = tuple[str, float, str]
"""Kind, time and the first characters of an event."""


@dataclass(frozen=True)
class Phase:
    """A status with its start and end in Unix seconds."""

    word: str
    start: float
    end: float


def phases_of(execution: Execution, now: float) -> dict[str, Any]:
    """The phases of a run: the axis of executions/steps.html, and its legend."""
    events: list[EventSummary] = list(
        ExecutionEvent.objects.filter(
            organization_id=execution.organization_id, execution=execution, kind__in=READ
        )
        .order_by("timestamp", "sequence")
        .annotate(word=Left("message", 32))
        .values_list("kind", "timestamp", "word")[:MAX_CHANGES]
    )
    start = execution.start_time
    end = now if not execution.has_ended else max(execution.end_time or start, start)
    phases = read_phases(events, execution, end)
    length = max(end - start, 0.001)
    scale = WIDTH / length
    return {
        "bars": [
            {
                "word": phase.word,
                "colour": COLOURS.get(phase.word, "ink-3"),
                "x": f"{(phase.start - start) * scale:.1f}",
                "width": f"{max((phase.end - phase.start) * scale, THINNEST):.1f}",
                "ms": 1000 * (phase.end - phase.start),
            }
            for phase in phases
        ],
        "legend": _legend(phases),
        "is_live": not execution.has_ended,
        "length_ms": 1000 * length,
    }


def _legend(phases: list[Phase]) -> list[dict[str, Any]]:
    """Each status once, with all the time spent in it."""
    spent: dict[str, float] = {}
    for phase in phases:
        spent[phase.word] = spent.get(phase.word, 0) + phase.end - phase.start
    return [
        {"word": word, "colour": COLOURS.get(word, "ink-3"), "ms": 1000 * seconds}
        for word, seconds in spent.items()
    ]


def read_phases(events: list[EventSummary], execution: Execution, end: float) -> list[Phase]:
    """The statuses in the events, without the final one of an ended execution."""
    word: str = Status.QUEUED
    base, since, locks = word, execution.start_time, 0
    found = []
    for kind, timestamp, text in events:
        if kind == Kind.STATUS and text.strip().lower() in Status.values:
            base = text.strip().lower()
        locks += (kind == Kind.LOCK) - (kind == Kind.LEASE)
        following = Status.AWAITING if locks > 0 and base not in Execution.FINAL else base
        if following != word:
            if timestamp > since:
                found.append(Phase(word, since, timestamp))
            word, since = following, timestamp
    if word not in Execution.FINAL:
        found.append(Phase(word, since, max(end, since)))
    return found
