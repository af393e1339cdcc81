"""What engines write as JSON text, as values that PostgreSQL can hold."""

import json
import math
import re
from typing import Any

from core.parsers import measure_json

MAX_DEPTH = 100
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def read_json(text: str) -> Any:
    """The value; None if the text is not JSON, or nested too deep to be shown.

    jsonb refuses NUL, halves of surrogate pairs and what is no number, so these are replaced.
    """
    if measure_json(text.encode("utf-8", "replace")).depth > MAX_DEPTH:
        return None
    try:
        return _storable(json.loads(text, parse_constant=lambda name: None))
    except (ValueError, RecursionError):
        return None


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: str) -> str:
    return UNSTORABLE.sub("\ufffd", value) if UNSTORABLE.search(value) else value
