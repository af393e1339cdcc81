"""The events of an execution in the form that its pages show.

Everything in them is plain text or passes rendering.py; none of it is trusted to have the format
that kodosumi writes.
"""

import json
from datetime import datetime
from typing import Any

from django.db.models import Exists, QuerySet
from django.db.models.functions import Left
from django.utils import timezone

from core.days import MAX_TIMESTAMP
from executions.json_text import indented
from executions.models import Execution, ExecutionEvent
from executions.queries.listing import BYTES_OF_MESSAGE
from executions.rendering import render_event
from executions.sanitizing import MAX_TAGS, TOO_COMPLEX, plain_text
from pages.executions.page_context import milliseconds
from pages.executions.page_query import to_datetime

Kind = ExecutionEvent.Kind
STEPS = (Kind.ACTION, Kind.RESULT, Kind.AGENT, Kind.LOCK, Kind.LEASE)
MAX_STEPS = 100
MAX_STEP_LENGTH = 300_000
MAX_STEPS_BYTES = 512 * 1024
"""Of all steps that a page renders; older steps are only named."""
MAX_INPUT_LENGTH = 20_000

WORDS = ("question", "prompt", "message", "text", "label", "title")
"""The keys under which programs put their question, in order of preference."""


def events_of(execution: Execution) -> QuerySet[ExecutionEvent]:
    """The events; none once the execution is deleted, although the worker may not have deleted them
    yet. A download reads on for a while."""
    own = {"organization_id": execution.organization_id}
    is_there = Exists(Execution.objects.filter(**own, pk=execution.pk))
    return ExecutionEvent.objects.filter(is_there, **own, execution=execution)


def steps_of(execution: Execution) -> dict[str, Any]:
    """The newest steps. Older ones among them are shortened when they are too much for a page."""
    newest = events_of(execution).filter(kind__in=STEPS).order_by("-sequence")
    found = list(
        newest.annotate(size=BYTES_OF_MESSAGE).values_list("sequence", "timestamp", "kind", "size")[
            : MAX_STEPS + 1
        ]
    )
    texts = _texts_within(newest, [(row[0], row[3]) for row in found[:MAX_STEPS]])
    tags = 2 * MAX_TAGS
    rows = []
    for sequence, timestamp, kind, _ in found[:MAX_STEPS]:
        is_left_out = tags < 0 or sequence not in texts
        text = "" if is_left_out else texts[sequence]
        step = step_of(execution, sequence, timestamp, kind, text)
        tags -= step.get("html", "").count("<")
        if is_left_out or tags < 0:
            step["html"] = TOO_COMPLEX
        rows.append(step)
    return {"rows": rows[::-1], "is_cut": len(found) > len(rows)}


def _texts_within(events: QuerySet[ExecutionEvent], sizes: list[tuple[int, int]]) -> dict[int, str]:
    """The messages of these events by sequence, as long as there is room; the others are not read.

    `sizes` are pairs of sequence and bytes.
    """
    left, chosen = MAX_STEPS_BYTES, []
    for sequence, size in sizes:
        if (size := min(size, MAX_STEP_LENGTH)) <= left:
            left -= size
            chosen.append(sequence)
    texts = events.filter(sequence__in=chosen).annotate(text=Left("message", MAX_STEP_LENGTH))
    return dict(texts.values_list("sequence", "text"))


def step_of(
    execution: Execution, sequence: int, timestamp: float, kind: str, message: str
) -> dict[str, Any]:
    step = {
        "sequence": sequence,
        "kind": kind,
        "title": kind.capitalize(),
        "after_ms": milliseconds(timestamp - execution.start_time),
        "at": to_datetime(timestamp),
    }
    if kind in {Kind.ACTION, Kind.RESULT}:
        return step | {"html": render_event(kind, message), "message": message}
    payload = untagged(value_or_text(message))
    if not isinstance(payload, dict):
        return step | {"text": as_text(payload)}
    if kind == Kind.LOCK:
        name = as_text(payload.get("name"))[:120]
        return step | {
            "title": f"Waiting for an answer: {name}",
            "text": in_words(payload.get("data")),
            "expires_at": (expires_at := as_time(payload.get("expires"))),
            "is_open": expires_at is not None and expires_at > timezone.now(),
        }
    if kind == Kind.LEASE:
        name = as_text(payload.get("name"))[:120]
        return step | {"title": f"Answered: {name}", "text": answer_of(payload.get("result"))}
    return step | agent_or_task(payload)


def agent_or_task(payload: dict[str, Any]) -> dict[str, str]:
    """CrewAI's description of the agent that works, and of its task."""
    for word, name, text in (("agent", "role", "goal"), ("task", "name", "description")):
        inner = payload.get(word)
        if isinstance(inner, dict):
            title = f"{word.capitalize()}: {as_text(inner.get(name))[:120]}"
            return {"title": title, "text": as_text(inner.get(text))}
    return {"text": as_text(payload)}


def untagged(value: Any) -> Any:
    """The value without the type tag of a dict, a text or a number."""
    plain = {"dict", "str", "int", "float", "bool"}
    if isinstance(value, dict) and len(value) == 1 and plain & set(value):
        return next(iter(value.values()))
    return value


def value_or_text(text: str) -> Any:
    """The parsed value, or the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def as_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        try:
            value = indented(value)
        except RecursionError:
            value = "This is nested too deeply to be shown."
    text = plain_text(value)
    return text if len(text) <= MAX_INPUT_LENGTH else f"{text[:MAX_INPUT_LENGTH]} …"


def in_words(data: Any) -> str:
    """The sentence in a program's question, otherwise all of it."""
    if isinstance(data, dict):
        for name in WORDS:
            text = data.get(name)
            if isinstance(text, str) and text.strip():
                return as_text(text)
    return as_text(data) if data not in (None, "", {}) else "The question has no text."


def answer_of(result: Any) -> str:
    """An answer's fields, one a line; otherwise all of it."""
    if isinstance(result, dict) and not any(
        isinstance(each, dict | list) for each in result.values()
    ):
        return "\n".join(f"{as_text(name)}: {as_text(value)}" for name, value in result.items())
    return as_text(result)


def as_time(value: Any) -> datetime | None:
    """The datetime of a reported number of Unix seconds; None if it is invalid."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return to_datetime(value) if is_number and 0 <= value <= MAX_TIMESTAMP else None
