"""Strict parsing of values in queries and headers.

An invalid value raises InvalidValue (400), which names the parameter.
"""

from collections.abc import Container, Iterable

from django.http import QueryDict

from core.errors import InvalidValue

MAX_DIGITS = 9
"""How many digits a number may have when its limit has fewer; leading zeros are harmless."""


def refuse_others(query: QueryDict, known: Iterable[str], repeatable: Container[str] = ()) -> None:
    """Raise InvalidValue for a parameter that is unknown, or repeated without being repeatable: a
    misspelled filter must not widen a list."""
    known = set(known)
    for name, values in query.lists():
        if name not in known:
            raise InvalidValue.of(name, "This parameter is unknown.")
        if len(values) > 1 and name not in repeatable:
            raise InvalidValue.of(name, "Give this parameter once.")


def is_whole_number(text: str, *, maximum: int, minimum: int = 0) -> bool:
    """Whether the text is a number within these limits, in ASCII digits and without a sign."""
    is_number = text.isascii() and text.isdigit()
    # Python refuses to parse numbers of thousands of digits.
    is_short = len(text) <= max(MAX_DIGITS, len(str(maximum)))
    return is_number and is_short and minimum <= int(text) <= maximum


def parse_whole_number(
    text: str, name: str, *, maximum: int, minimum: int = 0, problem: str = ""
) -> int:
    """The number within these limits. Raise InvalidValue with `problem` for anything else."""
    if not is_whole_number(text, maximum=maximum, minimum=minimum):
        raise InvalidValue.of(
            name, problem or f"Must be a whole number from {minimum} to {maximum}."
        )
    return int(text)


def whole_number(
    query: QueryDict, name: str, *, default: int, maximum: int, minimum: int = 1
) -> int:
    """A query parameter as an integer within these limits."""
    text = query.get(name)
    if text is None:
        return default
    return parse_whole_number(text, name, maximum=maximum, minimum=minimum)


def flag(query: QueryDict, name: str, *, default: bool = False) -> bool:
    """A query parameter as a boolean."""
    text = query.get(name, str(default)).lower()
    if text not in {"true", "false", "1", "0"}:
        raise InvalidValue.of(name, "Must be true or false.")
    return text in {"true", "1"}


def require_choice(text: str, name: str, choices: Iterable[str]) -> str:
    """The text itself. Raise InvalidValue if it is not one of the choices."""
    if text not in choices:
        raise InvalidValue.of(name, f"Must be one of {', '.join(choices)}.")
    return text
