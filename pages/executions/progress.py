"""How far a run says that it is, in one line."""

import re
from typing import Any

from core.formatting import shortened
from executions.models import ExecutionEvent
from executions.sanitizing import plain_text
from pages.executions.presentation import untagged, value_or_text

Kind = ExecutionEvent.Kind
MAX_LENGTH = 160
MAX_READ = 4_000
"""Characters of a step that are read for it; a longer JSON text tells nothing here."""
MARKS = re.compile(r"^[#>*+\-\s]+|[*_`]{1,3}")
"""What Markdown puts before and around words."""
TEXTS = ("body", "raw", "text", "title", "output", "result")


def first_words(message: str) -> str:
    """The first line of what a step says, without its form."""
    payload = untagged(value_or_text(message)) if len(message) <= MAX_READ else ""
    if isinstance(payload, dict) and len(payload) == 1:
        inner = next(iter(payload.values()))
        payload = inner if isinstance(inner, dict) else payload
    if isinstance(payload, dict):
        payload = next((payload[name] for name in TEXTS if isinstance(payload.get(name), str)), "")
    lines = (MARKS.sub("", line).strip() for line in str(payload or "").splitlines())
    line = next((line for line in lines if line and not line.startswith("<")), "")
    return shortened(plain_text(line), MAX_LENGTH)


def progress_of(steps: list[dict[str, Any]]) -> str:
    """The words of the newest step that has any; empty if none has."""
    for step in reversed(steps):
        if step["kind"] in {Kind.ACTION, Kind.RESULT}:
            words = first_words(step.get("message", ""))
        else:
            words = step["title"] if step["kind"] == Kind.AGENT else ""
        if words:
            return str(words)
    return ""
