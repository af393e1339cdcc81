"""The lines of a run's log on its pages: the newest ones, and the few that matter now."""

from collections import Counter
from typing import Any

from django.db.models import Case, OuterRef, QuerySet, Subquery, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Left
from django.utils.html import escape

from core.formatting import counted
from executions.errors import OPERATORS_ONLY
from executions.log_lines import CUT, LOG, MAX_LINE_LENGTH, short_line
from executions.models import Execution, ExecutionError, ExecutionEvent
from pages.executions.page_context import milliseconds
from pages.executions.page_query import to_datetime
from pages.executions.presentation import events_of

Kind = ExecutionEvent.Kind
MAX_LINES = 1_000
AFTER_LINE = 200
"""How many lines follow the one that a link names."""
MAX_BYTES, CUT_LENGTH = 5 * 1024**2, 500
"""Of all lines as HTML, where each quote takes six bytes; longer lines have so many characters in a
log that would be larger.
"""
TAIL = 5


def beginning_of_message(*, shows_traces: bool) -> Combinable:
    """As much of an event's message as a line shows, and one character more, which says that it
    goes on. Without `shows_traces` it is the error's message for everyone instead of its text.
    """
    beginning = Left("message", MAX_LINE_LENGTH + 1)
    if shows_traces:
        return beginning
    errors = ExecutionError.objects.filter(
        organization_id=OuterRef("organization_id"),
        execution_id=OuterRef("execution_id"),
        sequence=OuterRef("sequence"),
    )
    found = Subquery(errors.values("message")[:1])
    message = Coalesce(found, Value(OPERATORS_ONLY), output_field=TextField())
    return Case(When(kind=Kind.ERROR, then=message), default=beginning, output_field=TextField())


def lines_of(execution: Execution, *, shows_traces: bool, line: int = 0) -> dict[str, Any]:
    """The newest lines, or those around the event number `line`."""
    rows = _written(execution)
    later = 0
    if line:
        after = rows.filter(sequence__gt=line).order_by("sequence")
        last = list(after.values_list("sequence", flat=True)[: AFTER_LINE + 1])
        if later := len(last[AFTER_LINE:]):
            rows = rows.filter(sequence__lte=last[AFTER_LINE - 1])
    rows = rows.order_by("-sequence")[: MAX_LINES + 1]
    found = _read(rows, shows_traces=shows_traces)[::-1]
    shown = found[-MAX_LINES:]
    return {
        "rows": _small_enough([_line(execution, *row) for row in shown]),
        "is_cut": len(found) > len(shown),
        "goes_on": bool(later),
    }


def _small_enough(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines, shortened where all of them together would be too much for a page."""
    if sum(len(escape(line["text"]).encode()) for line in lines) > MAX_BYTES:
        for line in lines:
            if len(line["text"]) > CUT_LENGTH:
                line["text"] = line["text"][:CUT_LENGTH] + CUT
    return lines


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
    lines = {row[0]: _line(execution, *row) for row in _read(chosen, shows_traces=False)}
    last = [lines[number] for number, _ in newest[:TAIL][::-1] if number in lines]
    shown = lines.get(worst) if execution.has_ended else None
    return {
        "lines": last,
        "line": shown or (last[-1] if last else None),
        "counts": _counts(Counter(kind for _, kind in newest)),
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


def _read(rows: QuerySet[ExecutionEvent], *, shows_traces: bool) -> list[Any]:
    rows = rows.annotate(text=beginning_of_message(shows_traces=shows_traces))
    return list(rows.values_list("sequence", "timestamp", "kind", "text"))


def _line(
    execution: Execution, sequence: int, timestamp: float, kind: str, text: str
) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "kind": kind,
        "after_ms": milliseconds(timestamp - execution.start_time),
        "at": to_datetime(timestamp),
        "text": short_line(kind, text, shows_traces=True),
    }
