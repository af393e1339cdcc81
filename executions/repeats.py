"""The same request again, after its answer was lost: recognized by what was sent.

What an execution has become since does not count, so a digest of each field is kept.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from core.text import normalized
from executions.models import Execution

LENGTH = 32
"""Hexadecimal digits of a digest: 128 bits."""


def digests(fields: Mapping[str, Any]) -> dict[str, str]:
    """A digest for each field that says something."""
    return {name: _digest(value) for name, value in fields.items() if value not in (None, "")}


def remember(execution: Execution, request: str, fields: Mapping[str, Any]) -> None:
    """Keep what this request says. Saves nothing."""
    execution.sent_digests = execution.sent_digests | {request: digests(fields)}


def changed_fields(
    execution: Execution, request: str, fields: Mapping[str, Any]
) -> dict[str, list[str]] | None:
    """The fields of which something else was sent before, as an error's details; None when nothing
    is known of such a request."""
    before = execution.sent_digests.get(request)
    if before is None:
        return None
    now = digests(fields)
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return {name: ["This differs from what was sent before."] for name in changed}


def _digest(value: Any) -> str:
    told = json.dumps(value, ensure_ascii=False, default=str)
    text = json.dumps(json.loads(normalized(told)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
