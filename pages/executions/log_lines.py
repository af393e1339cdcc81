"""The lines of a run's log on its pages: the newest ones, and the few that matter now."""

from collections import Counter
from typing import Any

from django.db.models import Case, QuerySet, When
from django.db.models.functions import Left

from core.formatting import counted
from executions.log_lines import LOG, MAX_LINE_LENGTH, short_line
from executions.models import Execution, ExecutionEvent
from pages.executions.page_context import milliseconds
from pages.executions.page_query import to_datetime
from pages.executions.presentation import MAX_STEP_LENGTH, events_of

Kind = ExecutionEvent.Kind
MAX_LINES = 1_000
AFTER_LINE = 200
"""How many lines follow the one that a link names."""
TAIL = 5


def beginning_of_message(most: int) -> Left:
    """The beginning of the message, but more of an error, whose part for everyone is at its end."""
    return Left("message", Case(When(kind=Kind.ERROR, then=MAX_STEP_LENGTH), default=most))


def lines_of(execution: Execution, *, shows_traces: bool, line: int = 0) -> dict[str, Any]:
    """The newest lines, or those around the event number `line`."""
    rows = _written(execution)
    later = 0
    if line:
        after = rows.filter(sequence__gt=line).order_by("sequence")
        last = list(after.values_list("sequence", flat=True)[: AFTER_LINE + 1])
        if later := len(last[AFTER_LINE:]):
            rows = rows.filter(sequence__lte=last[AFTER_LINE - 1])
    found = _read(rows.order_by("-sequence")[: MAX_LINES + 1], MAX_LINE_LENGTH + 1)[::-1]
    shown = found[-MAX_LINES:]
    return {
        "rows": [_line(execution, *row, shows_traces=shows_traces) for row in shown],
        "is_cut": len(found) > len(shown),
        "goes_on": bool(later),
    }


def tail_of(execution: Execution) -> dict[str, Any]:
    """The last lines, the worst of the newest ones, and how many of each kind there are.

    Errors are their messages for everyone: a trace has a place of its own.
    """
    newest = list(
        _written(execution).order_by("-sequence").values_list("sequence", "kind")[:MAX_LINES]
    )
    worst = next(
        (number for bad in (Kind.ERROR, Kind.STDERR) for number, kind in newest if kind == bad), 0
    )
    wanted = {number for number, _ in newest[:TAIL]} | {worst}
    chosen = events_of(execution).filter(sequence__in=wanted).order_by("sequence")
    lines = {
        row[0]: _line(execution, *row, shows_traces=False) for row in _read(chosen, MAX_LINE_LENGTH)
    }
    last = [lines[number] for number, _ in newest[:TAIL][::-1] if number in lines]
    shown = lines.get(worst) if execution.has_ended else None
    return {
        "lines": last,
        "line": shown or (last[-1] if last else None),
        "counts": _counts(Counter(kind for _, kind in newest)),
        "has_trouble": bool(worst),
    }


def _counts(kinds: Counter[str]) -> str:
    total = kinds.total()
    words = [f"{total:,} or more lines" if total == MAX_LINES else counted(total, "lines")]
    if kinds[Kind.STDERR]:
        words.append(f"{kinds[Kind.STDERR]:,} on stderr")
    if kinds[Kind.ERROR]:
        words.append(counted(kinds[Kind.ERROR], "errors"))
    return ", ".join(words)


def _written(execution: Execution) -> QuerySet[ExecutionEvent]:
    # What came after the execution was read comes again in the stream, which goes on from there.
    return events_of(execution).filter(kind__in=LOG, sequence__lte=execution.last_sequence)


def _read(rows: QuerySet[ExecutionEvent], most: int) -> list[Any]:
    rows = rows.annotate(text=beginning_of_message(most))
    return list(rows.values_list("sequence", "timestamp", "kind", "text"))


def _line(
    execution: Execution,
    sequence: int,
    timestamp: float,
    kind: str,
    text: str,
    *,
    shows_traces: bool,
) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "kind": kind,
        "after_ms": milliseconds(timestamp - execution.start_time),
        "at": to_datetime(timestamp),
        "text": short_line(kind, text, shows_traces=shows_traces),
    }
