"""An execution's `meta`, kept as it was emitted: with or without its type tag, in any shape, but
limited in size.
"""

from typing import Any

from core.parsers import measure_json

MAX_META_LENGTH, MAX_META_VALUES = 32_000, 256
"""Characters of JSON, and its values. Lists read it with each of up to a thousand rows, and a value
takes a hundred bytes of memory however short its text is.
"""
SHOWN_FIELDS = frozenset(
    {"summary", "description", "tags", "author", "organization", "version", "kodosumi", "app_url"}
    | {"base_url", "entry_point", "deprecated", "fid"}
)
"""The fields that are shown somewhere."""
MAX_TEXT_LENGTH, MAX_TAG_LENGTH, MAX_TAGS = 1000, 64, 32


def fitting(meta: dict[str, Any], text: str) -> dict[str, Any]:
    """Return `meta`, cut to the beginning of the shown fields when the text that it was read from
    is too long or has too many values. The event itself keeps it whole.
    """
    if len(text) <= MAX_META_LENGTH and _values_in(text) <= MAX_META_VALUES:
        return meta
    shown = {name: value for name, value in described(meta).items() if name in SHOWN_FIELDS}
    kept = {name: _beginning(value) for name, value in shown.items()}
    return {"dict": {name: value for name, value in kept.items() if value is not None}}


def _values_in(text: str) -> int:
    return measure_json(text.encode("utf-8", "replace")).values


def _beginning(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_TEXT_LENGTH]
    if isinstance(value, list):
        return [tag[:MAX_TAG_LENGTH] for tag in value[:MAX_TAGS] if isinstance(tag, str)]
    return value if isinstance(value, bool) else None


def described(meta: Any) -> dict[str, Any]:
    """The fields of the first meta event without its type tag; empty when it has none."""
    inner = meta.get("dict", meta) if isinstance(meta, dict) else {}
    return inner if isinstance(inner, dict) else {}


def summary_of(meta: Any) -> str | None:
    found = described(meta).get("summary")
    return found if isinstance(found, str) else None


def tags_of(meta: Any) -> list[str]:
    found = described(meta).get("tags")
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []
