"""What a run was started with, as the rows of a small table."""

from collections.abc import Iterator
from typing import Any

from executions.models import Execution
from executions.sanitizing import plain_text
from pages.executions.presentation import as_text, untagged

MAX_INPUTS = 200
MAX_INPUTS_LENGTH = 200_000
MAX_DEPTH = 3
"""Levels of objects that become names of their own: address.city.street."""


def inputs_of(execution: Execution) -> list[tuple[str, str]]:
    payload = untagged(execution.inputs)
    if payload in (None, {}):
        return []
    if not isinstance(payload, dict):
        return [("Input", value_text(payload))]
    rows: list[tuple[str, str]] = []
    characters = MAX_INPUTS_LENGTH
    left = 0
    for name, value in _named(payload, MAX_DEPTH):
        if len(rows) == MAX_INPUTS or characters < 0:
            left += 1
            continue
        rows.append((plain_text(name), value_text(value)))
        characters -= len(rows[-1][1])
    if left:
        rows.append(("…", f"and {left:,} more; see the events."))
    return rows


def _named(payload: dict[str, Any], depth: int, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in payload.items():
        value = untagged(value)
        if name == "_global_" and not prefix:
            continue
        if isinstance(value, dict) and value and depth > 1:
            yield from _named(value, depth - 1, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def value_text(value: Any) -> str:
    """A value as a person writes it: yes or no, and a list of words with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return as_text(", ".join(value_text(each) for each in value))
    return as_text(value)
