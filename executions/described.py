"""What an execution says that it is about. Its `meta` is kept as it was emitted: with or without
its type tag, and of any shape."""

from typing import Any


def described(meta: Any) -> dict[str, Any]:
    """Without the type tag."""
    inner = meta.get("dict", meta) if isinstance(meta, dict) else {}
    return inner if isinstance(inner, dict) else {}


def summary_of(meta: Any) -> str | None:
    found = described(meta).get("summary")
    return found if isinstance(found, str) else None


def tags_of(meta: Any) -> list[str]:
    found = described(meta).get("tags")
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []
