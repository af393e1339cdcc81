"""JSON as RFC 8259 means it, within limits that keep one request from hurting the others.

Every check is made by code in C over the whole text, or only where something unusual stands in it:
reading a megabyte costs a few times what Python's own reader takes, and never a recursion that
the sender chooses.
"""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import isinf
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MAX_DEPTH = 64
MAX_DIGITS = 100
MAX_NAMES = 10_000
"""Of one object."""
MAX_VALUES = 50_000
"""Of one text, at all depths: each is some hundred bytes of memory, whatever it weighs here."""

# Brackets count up and down as signed bytes; what is neither a bracket, a comma nor the end of a
# string says nothing about the structure.
STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
WITHOUT_STRUCTURE = bytes(set(range(256)) - set(b'[]{},"'))
# NUL, or half of a surrogate pair without the other half.
UNSTORABLE = re.compile(
    r"\\u(?:0000|[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\u[dD])[c-fC-F]))"
)


class StrictJSONParser(BaseParser):
    """Refuses what Python lets pass: NaN, duplicate names, lone surrogates, NUL, deep nesting."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parse_json(stream.read())


def parse_json(content: bytes) -> Any:
    """The value that the bytes spell; ParseError (400) for anything unusual."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.") from error
    values, depth = measure_json(content)
    if values > MAX_VALUES:
        raise ParseError(f"The JSON has more than {MAX_VALUES:,} values.")
    if depth > MAX_DEPTH:
        raise ParseError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=_parse_integer,
            parse_float=_parse_float,
            object_pairs_hook=_unique_names,
        )
    except (ValueError, RecursionError) as error:
        raise ParseError("The body is not valid JSON.") from error
    if _may_be_unstorable(text):
        _refuse_unstorable_text(value)
    return value


def measure_json(content: bytes) -> tuple[int, int]:
    """How many values the text has at most, and how deeply it is nested, before it is parsed.

    Beyond MAX_VALUES the depth is that of the beginning. What is no JSON may be measured wrongly
    from its first error on, where a reader stops.
    """
    if b"\\" in content:
        content = content.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = content.translate(None, WITHOUT_STRUCTURE)
    marks = marks.replace(b'""', b"")  # of two strings in a row this makes one
    if b'"' in marks:
        marks = b"".join(marks.split(b'"')[::2])
    steps = marks.translate(STEPS, b",")
    depths = accumulate(memoryview(steps)[: 2 * MAX_VALUES].cast("b"))
    return marks.count(b",") + steps.count(b"\x01") + 1, max(depths, default=0)


def _refuse_constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is not JSON.")


def _parse_integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ParseError(f"A number has more than {MAX_DIGITS} digits.")
    return int(digits)


def _parse_float(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ParseError("A number is too large.")
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise ParseError(f"A JSON object has more than {MAX_NAMES:,} names.")
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ParseError("A name appears twice in one JSON object.")
    return names


def _may_be_unstorable(text: str) -> bool:
    """UTF-8 has no surrogates and JSON no raw NUL: only escape sequences can bring them."""
    if r"\u" not in text:
        return False
    # An escaped backslash begins no escape sequence, and parts the halves of a pair.
    return UNSTORABLE.search(text.replace(r"\\", "  ")) is not None


class _UnstorableText(Exception):
    """`place` leads to the text, from within: its name, that of the object around it …"""

    def __init__(self) -> None:
        super().__init__()
        self.place: list[str] = []


def _refuse_unstorable_text(value: Any) -> None:
    """PostgreSQL can store neither NUL nor lone surrogates."""
    try:
        _check_text(value)
    except _UnstorableText as error:
        place = ".".join(reversed(error.place)) or "A text"
        raise ParseError(f"{place} contains a NUL or half of a surrogate pair.") from None


def _check_text(value: Any) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _UnstorableText from None
        if "\x00" in value:
            raise _UnstorableText
    elif isinstance(value, dict):
        for name in value:
            _check_text(name)
        _check_items(value.items())
    elif isinstance(value, list):
        _check_items(enumerate(value))


def _check_items(items: Iterable[tuple[Any, Any]]) -> None:
    for place, item in items:
        try:
            _check_text(item)
        except _UnstorableText as error:
            error.place.append(str(place)[:64])
            raise
