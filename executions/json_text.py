"""JSON text from engines, read as values that PostgreSQL can store and written with the type
tags that say how to show them.
"""

import json
import math
import re
from typing import Any

from core.parsers import measure_json

MAX_DEPTH = 100
"""The maximum nesting of lists and objects that are shown."""
SPACES = 2
"""By which each level is indented."""
MAX_GROWTH, MAX_SMALL_GROWTH = 4, 2_000
"""By how many times its length, and how many characters, indentation may lengthen a text."""
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def read_json(text: str) -> Any:
    """The value; None if the text is not JSON or nested too deeply to be shown.

    NUL, unpaired surrogates and numbers such as NaN are replaced, because jsonb refuses them.
    """
    if is_too_deep(text):
        return None
    try:
        return _storable(json.loads(text, parse_constant=lambda name: None))
    except (ValueError, RecursionError):
        return None


def is_too_deep(text: str, most: int = MAX_DEPTH) -> bool:
    """Whether the JSON is nested more deeply than is shown; decided without parsing it."""
    return measure_json(text.encode("utf-8", "replace")).depth > most


def grows_too_long(text: str) -> bool:
    """Whether the JSON would be many times as long with each value on an indented line: one digit
    that is deeply nested has two hundred spaces before it.
    """
    shape = measure_json(text.encode("utf-8", "replace"))
    return SPACES * shape.depth * shape.values > MAX_GROWTH * len(text) + MAX_SMALL_GROWTH


def indented(value: Any) -> str:
    """The value as JSON text to be read, on several lines unless that would be far too long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if grows_too_long(text) else json.dumps(value, indent=SPACES, ensure_ascii=False)


def compact(value: Any) -> str:
    """The value as JSON text without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def tagged(value: Any) -> str:
    """A plain value as JSON text that carries its type."""
    return compact({type(value).__name__: value})


def tagged_text(body: str, form: str = "Text") -> str:
    """Text as JSON tagged with the form in which to show it: `Text` or `Markdown`."""
    return compact({form: {"body": body}})


def with_form(value: Any) -> str:
    """A result as tagged JSON text.

    A string is tagged as text; an object such as `{"Markdown": {"body": "…"}}` names its form
    itself.
    """
    if isinstance(value, str):
        return tagged_text(value)
    names_form = isinstance(value, dict) and len(value) == 1 and next(iter(value))[:1].isupper()
    return compact(value) if names_form else tagged(value)


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
