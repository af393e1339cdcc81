"""An execution's `meta`, kept as it was emitted: with or without its type tag, in any shape, but
limited in size.
"""

from typing import Any

MAX_META_LENGTH = 32_000
"""Characters of JSON. Lists read it with each of up to a thousand rows."""
SHOWN_FIELDS = frozenset(
    {"summary", "description", "tags", "author", "organization", "version", "kodosumi", "app_url"}
    | {"base_url", "entry_point", "deprecated", "fid"}
)
"""The fields that are shown somewhere."""
MAX_TEXT_LENGTH, MAX_TAG_LENGTH, MAX_TAGS = 1000, 64, 32


def fitting(meta: dict[str, Any], characters: int) -> dict[str, Any]:
    """Return `meta`, cut to the beginning of the shown fields when its text is too long.

    `characters` is the length of the text it was read from. The event itself keeps it whole.
    """
    if characters <= MAX_META_LENGTH:
        return meta
    shown = {name: value for name, value in described(meta).items() if name in SHOWN_FIELDS}
    kept = {name: _beginning(value) for name, value in shown.items()}
    return {"dict": {name: value for name, value in kept.items() if value is not None}}


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
