"""The steps of a run on its own scale of time: when each began and how long it took."""

from typing import Any

from core.formatting import shortened
from executions.models import Execution
from pages.executions.page_query import to_datetime
from pages.executions.status_track import THINNEST, WIDTH
from pages.executions.timeline import COLOURS

Status = Execution.Status
MARK = 8
"""The width of a bar too short to be drawn."""
ENDS: dict[str, str] = {Status.FINISHED: "Finished", Status.CANCELLED: "Stopped"}


def with_bars(
    execution: Execution, steps: list[dict[str, Any]], phases: dict[str, Any], *, error_type: str
) -> list[dict[str, Any]]:
    """The steps between the run's start and end, each with its bar up to the next one."""
    length = phases["length_ms"]
    rows = [_edge(execution.start_time, 0.0, _started(execution)), *steps]
    if execution.has_ended:
        end = execution.end_time or execution.start_time
        rows.append(_edge(end, length, _ended(execution, error_type)))
    places = [min(row["after_ms"] or 0.0, length) for row in rows] + [length]
    for number, row in enumerate(rows):
        start, end = places[number], max(places[number + 1], places[number])
        row["took_ms"] = end - start if end > start else None
        row["bars"] = _bars(start / length * WIDTH, end / length * WIDTH, phases)
    if execution.status == Status.ERROR and steps:
        steps[-1]["bars"] = _in_colour(steps[-1]["bars"], "bad")
    if execution.has_ended:
        rows[-1]["bars"] = _in_colour(rows[-1]["bars"], COLOURS[execution.status])
    return rows


def _edge(timestamp: float, after_ms: float, title: str) -> dict[str, Any]:
    return {"title": title, "after_ms": after_ms, "at": to_datetime(timestamp), "is_edge": True}


def _started(execution: Execution) -> str:
    return f"Started by {shortened(execution.user.name, 60)}" if execution.user else "Started"


def _ended(execution: Execution, error_type: str) -> str:
    return ENDS.get(execution.status) or f"Ended with {error_type or 'an error'}"


def _bars(start: float, end: float, phases: dict[str, Any]) -> list[dict[str, str]]:
    """The statuses between these places of the axis; at least a mark in the one at its start."""
    found = []
    for phase in phases["bars"]:
        begin = max(float(phase["x"]), start)
        width = min(float(phase["x"]) + float(phase["width"]), end) - begin
        if width >= THINNEST:
            found.append({"x": f"{begin:.1f}", "width": f"{width:.1f}", "colour": phase["colour"]})
    if found:
        return found
    colours = [bar["colour"] for bar in phases["bars"] if float(bar["x"]) <= start + 0.05]
    place = f"{min(start, WIDTH - MARK):.1f}"
    return [{"x": place, "width": f"{MARK}", "colour": colours[-1] if colours else "ink-3"}]


def _in_colour(bars: list[dict[str, str]], colour: str) -> list[dict[str, str]]:
    return [bar | {"colour": colour} for bar in bars]
