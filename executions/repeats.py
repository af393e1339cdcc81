"""Recognizing a repeated request, sent again because its answer was lost.

The execution may have changed since, so a digest of each sent field is kept for comparison.
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
    """A digest for each field that has a value."""
    return {name: _digest(value) for name, value in fields.items() if value not in (None, "")}


def remember(execution: Execution, request: str, fields: Mapping[str, Any]) -> None:
    """Remember the digests of this request's fields. Does not save."""
    execution.sent_digests = execution.sent_digests | {request: digests(fields)}


def changed_fields(
    execution: Execution, request: str, fields: Mapping[str, Any]
) -> dict[str, list[str]] | None:
    """The fields that differ from the earlier request, as an error's details.

    None when no such request is known.
    """
    before = execution.sent_digests.get(request)
    if before is None:
        return None
    now = digests(fields)
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return {name: ["This differs from what was sent before."] for name in changed}


def _digest(value: Any) -> str:
    serialized = json.dumps(value, ensure_ascii=False, default=str)
    text = json.dumps(json.loads(normalized(serialized)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
