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
from typing import IO, Any, NamedTuple, NoReturn

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MAX_DEPTH = 64
MAX_DIGITS = 100
MAX_NAMES = 10_000
"""Of one object."""
MAX_VALUES = 50_000
"""Of one text, at all depths: each is some hundred bytes of memory, whatever it weighs here."""

MAX_ESCAPES = 10_000
"""For the first ones a search is faster, for very many two replacements are."""

ESCAPED = re.compile(rb"\\[\\\"]")
# NUL, and halves of surrogate pairs.
UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
# Brackets count up and down as signed bytes; nothing else says how deep the text is.
STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
WITHOUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
AS_ZEROS = bytes.maketrans(b"123456789E", b"000000000e")


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
    shape = measure_json(content)
    if shape.values > MAX_VALUES:
        raise ParseError(f"The JSON has more than {MAX_VALUES:,} values.")
    if shape.depth > MAX_DEPTH:
        raise ParseError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    names = 0

    def count_names(found: dict[str, Any]) -> dict[str, Any]:
        nonlocal names
        names += len(found)
        if len(found) > MAX_NAMES:
            raise ParseError(f"A JSON object has more than {MAX_NAMES:,} names.")
        return found

    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=_parse_integer if shape.has_unusual_numbers else None,
            parse_float=_parse_float if shape.has_unusual_numbers else None,
            object_hook=count_names,
        )
    except (ValueError, RecursionError) as error:
        raise ParseError("The body is not valid JSON.") from error
    if names != shape.names:
        raise ParseError("A name appears twice in one JSON object.")
    if "\\" in text and _may_be_unstorable(text, value):
        _refuse_unstorable_text(value)
    return value


class Shape(NamedTuple):
    """What a JSON text says about its value before it is parsed. Of what is no JSON it may be
    wrong from the first error on, where a reader stops."""

    values: int
    """At most."""
    names: int
    """Of all objects together."""
    depth: int
    """Beyond MAX_VALUES that of the beginning."""
    has_unusual_numbers: bool
    """Some with an exponent, or with more than MAX_DIGITS digits."""


def measure_json(content: bytes) -> Shape:
    if b"\\" in content:
        content, escapes = ESCAPED.subn(b"", content, MAX_ESCAPES)
        if escapes == MAX_ESCAPES:
            content = content.replace(rb"\\", b"").replace(rb"\"", b"")
    if b'"' in content:
        content = b"".join(content.split(b'"')[::2])
    steps = content.translate(STEPS, WITHOUT_BRACKETS)
    depths = accumulate(memoryview(steps)[: 2 * MAX_VALUES].cast("b"))
    zeros = content.translate(AS_ZEROS)
    return Shape(
        values=content.count(b",") + steps.count(b"\x01") + 1,
        names=content.count(b":"),
        depth=max(depths, default=0),
        has_unusual_numbers=b"0e" in zeros or b"0" * (MAX_DIGITS + 1) in zeros,
    )


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


def _may_be_unstorable(text: str, value: Any) -> bool:
    """UTF-8 has no surrogates and JSON no raw NUL: only escape sequences can bring them."""
    if not UNSTORABLE.search(text):
        return False
    try:
        orjson.dumps(value)  # Refuses surrogates, and integers of more than 64 bits.
    except orjson.JSONEncodeError:
        return True
    return r"\u0000" in text


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
