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
MAX_BARS = 2_000
"""On one page. Steps whose times follow each other divide the run's statuses between them, and have
fewer; where times jump to and fro, each step may have all of them.
"""
Bar = dict[str, str]
Span = tuple[float, float, str]
"""Where a status begins on the axis and where it ends, and its colour."""
ENDS: dict[str, str] = {Status.FINISHED: "Finished", Status.CANCELLED: "Stopped"}


def with_bars(
    execution: Execution, steps: dict[str, Any], phases: dict[str, Any], *, error_type: str
) -> list[dict[str, Any]]:
    """The steps (presentation.steps_of) between the run's start and end, each with its bar up to
    the next one.
    """
    length = phases["length_ms"]
    rows = [_edge(execution.start_time, 0.0, _started(execution))]
    if steps["is_cut"]:
        rows.append({"title": "Earlier steps are not shown", "after_ms": None, "at": None})
    rows += steps["rows"]
    if execution.has_ended:
        end = execution.end_time or execution.start_time
        rows.append(_edge(end, length, _ended(execution, error_type)))
    places = [min(row["after_ms"] or 0.0, length) for row in rows] + [length]
    spans, left = _spans(phases), MAX_BARS
    for number, row in reversed(list(enumerate(rows))):  # the newest have the first choice
        start, end = places[number], max(places[number + 1], places[number])
        row["took_ms"] = end - start if end > start else None
        row["bars"] = _bars(start / length * WIDTH, end / length * WIDTH, spans, left)
        left -= len(row["bars"])
    if execution.status == Status.ERROR and steps["rows"]:
        newest = steps["rows"][-1]
        newest["bars"] = _in_colour(newest["bars"], "bad")
    if execution.has_ended:
        rows[-1]["bars"] = _in_colour(rows[-1]["bars"], COLOURS[execution.status])
    return rows


def _edge(timestamp: float, after_ms: float, title: str) -> dict[str, Any]:
    return {"title": title, "after_ms": after_ms, "at": to_datetime(timestamp)}


def _started(execution: Execution) -> str:
    return f"Started by {shortened(execution.user.name, 60)}" if execution.user else "Started"


def _ended(execution: Execution, error_type: str) -> str:
    return ENDS.get(execution.status) or f"Ended with {error_type or 'an error'}"


def _spans(phases: dict[str, Any]) -> list[Span]:
    found = [(float(bar["x"]), float(bar["width"]), bar["colour"]) for bar in phases["bars"]]
    return [(x, x + width, colour) for x, width, colour in found]


def _bars(start: float, end: float, spans: list[Span], most: int) -> list[Bar]:
    """The statuses between these places of the axis; at least a mark in the one at its start. If
    they are more than `most`, the one that took most of the time stands for all.
    """
    found = []
    for begin, over, colour in spans:
        x = max(begin, start)
        width = min(over, end) - x
        if width >= THINNEST:
            found.append((x, width, colour))
    if len(found) > max(most, 1):
        found = [(start, end - start, _longest(found))]
    if found:
        return [_bar(*each) for each in found]
    colours = [colour for begin, _, colour in spans if begin <= start + 0.05]
    place = f"{min(start, WIDTH - MARK):.1f}"
    return [{"x": place, "width": f"{MARK}", "colour": colours[-1] if colours else "ink-3"}]


def _longest(bars: list[tuple[float, float, str]]) -> str:
    """The colour of most of their length."""
    lengths: dict[str, float] = {}
    for _, width, colour in bars:
        lengths[colour] = lengths.get(colour, 0.0) + width
    return max(lengths, key=lambda colour: lengths[colour])


def _bar(x: float, width: float, colour: str) -> Bar:
    return {"x": f"{x:.1f}", "width": f"{width:.1f}", "colour": colour}


def _in_colour(bars: list[Bar], colour: str) -> list[Bar]:
    return [bar | {"colour": colour} for bar in bars]
