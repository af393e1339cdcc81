"""The open questions of a waiting run: text, deadline, and who can answer."""

import json
from typing import Any

from django.conf import settings
from django.db.models.functions import Left
from django.utils import timezone

from executions.event_log import lock_id
from executions.json_text import read_json
from executions.models import Execution, ExecutionEvent
from executions.results import open_locks
from pages.executions.page_context import milliseconds
from pages.executions.page_query import to_datetime
from pages.executions.presentation import as_text, as_time, events_of, in_words, untagged

MAX_QUESTIONS = 5
MAX_READ = 30
"""Newest locks. A run that asks more at once has its oldest questions among its events."""
MAX_QUESTION_LENGTH = 2_000
MAX_LOCK_LENGTH = 20_000
"""Characters. A longer one would be cut and thus invalid JSON; its question stays in the events."""


def questions_of(execution: Execution) -> dict[str, Any]:
    """The open questions, oldest first, and the number of further ones."""
    is_open = set(open_locks(execution))
    locks = events_of(execution).filter(kind=ExecutionEvent.Kind.LOCK).order_by("-sequence")
    rows = locks.annotate(start=Left("message", MAX_LOCK_LENGTH)).values_list("timestamp", "start")
    found: dict[str, tuple[float, str]] = {}
    for timestamp, message in rows[:MAX_READ] if is_open else ():
        if (lock := lock_id(message)) in is_open and lock not in found:
            found[lock] = timestamp, message
    questions = [
        _question(execution, lock, *found[lock]) for lock in list(found)[: -MAX_QUESTIONS - 1 : -1]
    ]
    return {
        "questions": questions,
        "more_questions": len(is_open) - len(questions) if questions else 0,
        "answer_url": _answer_url(execution) if questions else "",
    }


def _question(execution: Execution, lock: str, timestamp: float, message: str) -> dict[str, Any]:
    payload = untagged(read_json(message))
    payload = payload if isinstance(payload, dict) else {}
    now, ends_at = timezone.now(), as_time(payload.get("expires"))
    answer = {"lid": lock, "result": {"answer": "yes"}}
    body = json.dumps({"events": [{"kind": "lease", "message": answer}]})
    return {
        "text": in_words(payload.get("data"))[:MAX_QUESTION_LENGTH],
        "name": as_text(payload.get("name"))[:120] if payload.get("name") else "",
        "asked_at": to_datetime(timestamp),
        "waits_ms": milliseconds(now.timestamp() - timestamp),
        "ends_at": ends_at,
        "is_over": ends_at is not None and ends_at <= now,
        "command": (
            f"curl -s -w '\\n' {settings.ISSUER}/api/v1/executions/{execution.fid}/events "
            f"-H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' "
            f"-d '{body}'"
        )
        if "'" not in lock
        else "",
    }


def _answer_url(execution: Execution) -> str:
    """The page at which the program itself asks people, if its description names one."""
    url = execution.description.get("base_url") or execution.description.get("app_url")
    is_page = isinstance(url, str) and url[:8].lower().startswith(("http://", "https://"))
    return str(url) if is_page else ""
