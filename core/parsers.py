"""JSON as RFC 8259 means it, within limits that keep one request from hurting the others.

Every check is made by code in C over the whole text, or only where something unusual stands in it:
reading a megabyte costs a few times what Python's own reader takes, and never a recursion that
the sender chooses.
"""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import accumulate, chain
from math import isinf
from threading import Lock
from typing import IO, Any, NamedTuple, NoReturn

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from core.memory import count_values

MAX_DEPTH = 64
MAX_DIGITS = 100
MAX_DIGITS_OF_64_BITS = 19
"""orjson makes a float of an integer that 64 bits do not hold."""
MAX_NAMES = 10_000
"""Of one object."""
MAX_VALUES = 50_000
"""Of one text, at all depths: each is some hundred bytes of memory, whatever it weighs here."""

MAX_READ_TOGETHER = 64 * 1024
"""Bytes of a text. Larger ones are read one after the other, which takes no longer, since readers
share one processor, and needs the memory of one."""
_one_large_text = Lock()

CONTAINERS = (dict, list)
FEW_ESCAPES = 10_000
"""A search is faster for these, two replacements are for more."""
FEW_CONTAINERS = 1_000
"""Whose names are counted after reading; of more while reading."""

ESCAPED = re.compile(rb"\\[\\\"]")
# NUL, and halves of surrogate pairs.
UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
# Brackets count up and down as signed bytes; nothing else says how deep the text is.
STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
WITHOUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
AS_ZEROS = bytes.maketrans(b"123456789E", b"000000000e")
LONG_INTEGER = b"0" * MAX_DIGITS_OF_64_BITS
WITHOUT_STRUCTURE = bytes(set(range(256)) - set(b"[{,:0123456789"))
ESCAPED_NUL = rb"\u0000"
ESCAPED_COLON = rb"\u003"
"""The beginning of it, in either case."""


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
    if len(content) <= MAX_READ_TOGETHER:
        return _parse(content)
    with _one_large_text:
        return _parse(content)


def _parse(content: bytes) -> Any:
    if b"\\" in content:
        with suppress(_Unusual, orjson.JSONDecodeError):
            return _read_escapes(content)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.") from error
    shape = measure_json(content)
    count_values(min(shape.values, MAX_VALUES))
    if shape.values > MAX_VALUES:
        raise ParseError(f"The JSON has more than {MAX_VALUES:,} values.")
    if shape.depth > MAX_DEPTH:
        _refuse_depth()
    value, names = _read(text, shape)
    if names != shape.names:
        raise ParseError("A name appears twice in one JSON object.")
    if shape.may_be_unstorable and _is_unstorable(value):
        _refuse_unstorable_text(value)
    return value


class _Unusual(Exception):
    """It may keep the limits, or not: the slower reader decides, and says why not."""


def _read_escapes(content: bytes) -> Any:
    """The value of a text with escape sequences, if what stands within its strings keeps all limits
    as well; else _Unusual. To find where such strings end would take longer than to read them."""
    kept = content.translate(AS_ZEROS, WITHOUT_STRUCTURE)
    containers = kept.count(b"[") + kept.count(b"{")
    values = containers + kept.count(b",") + 1
    if values > MAX_VALUES:
        raise _Unusual
    if LONG_INTEGER in kept and LONG_INTEGER in content.translate(AS_ZEROS):
        raise _Unusual
    if ESCAPED_NUL in content:
        raise _Unusual
    count_values(values)
    value = orjson.loads(content)  # Refuses surrogates.
    colons = kept.count(b":")
    # Other colons stand in strings, or a name appears twice: then the value has fewer.
    if colons != _count_names(value) and (
        ESCAPED_COLON in content or colons != orjson.dumps(value).count(b":")
    ):
        raise _Unusual
    return value


def _count_names(value: Any) -> int:
    """Of all objects together; refuses what is too deep, or has too many in one object."""
    names = depth = 0
    level = [value]
    while containers := [each for each in level if type(each) in CONTAINERS]:
        depth += 1
        if depth > MAX_DEPTH:
            _refuse_depth()
        objects = [each for each in containers if type(each) is dict]
        names += sum(map(_checked_length, objects))
        level = [*chain.from_iterable(map(dict.values, objects))]
        if len(objects) < len(containers):
            level += chain.from_iterable(each for each in containers if type(each) is list)
    return names


class Shape(NamedTuple):
    """What a JSON text says about its value before it is parsed. Of what is no JSON it may be
    wrong from the first error on, where a reader stops."""

    values: int
    """At most."""
    names: int
    """Of all objects together."""
    depth: int
    """Beyond MAX_VALUES that of the beginning."""
    containers: int
    has_unusual_numbers: bool
    """Some with an exponent, or with more than MAX_DIGITS digits."""
    has_long_integers: bool
    """Some that 64 bits may not hold."""
    may_be_unstorable: bool
    """Escape sequences may spell NUL or half of a surrogate pair; UTF-8 has no surrogates and JSON
    no raw NUL."""


def measure_json(content: bytes) -> Shape:
    escapes = content.count(b"\\") if b"\\" in content else 0
    may_be_unstorable = False
    if 0 < escapes <= FEW_ESCAPES:
        content = ESCAPED.sub(b"", content)
        may_be_unstorable = UNSTORABLE.search(content) is not None
    elif escapes:
        if rb"\"" in content:
            content = content.replace(rb"\\", b"").replace(rb"\"", b"")
        may_be_unstorable = rb"\u" in content
    if b'"' in content:
        content = b"".join(content.split(b'"')[::2])
    steps = content.translate(STEPS, WITHOUT_BRACKETS)
    depths = accumulate(memoryview(steps)[: 2 * MAX_VALUES].cast("b"))
    containers = steps.count(b"\x01")
    zeros = content.translate(AS_ZEROS)
    return Shape(
        values=content.count(b",") + containers + 1,
        names=content.count(b":"),
        depth=max(depths, default=0),
        containers=containers,
        has_unusual_numbers=b"0e" in zeros or b"0" * (MAX_DIGITS + 1) in zeros,
        has_long_integers=LONG_INTEGER in zeros,
        may_be_unstorable=may_be_unstorable,
    )


def _read(text: str, shape: Shape) -> tuple[Any, int]:
    """The value, and how many names its objects have together."""
    if shape.containers <= FEW_CONTAINERS and not shape.has_long_integers:
        with suppress(orjson.JSONDecodeError):  # The other reader keeps it, or says what is wrong.
            value = orjson.loads(text)
            return value, _count_names(value)
    names = 0

    def count_names(found: dict[str, Any]) -> dict[str, Any]:
        nonlocal names
        names += _checked_length(found)
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
    return value, names


def _checked_length(found: dict[str, Any]) -> int:
    if len(found) > MAX_NAMES:
        raise ParseError(f"A JSON object has more than {MAX_NAMES:,} names.")
    return len(found)


def _refuse_depth() -> NoReturn:
    raise ParseError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


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


def _is_unstorable(value: Any) -> bool:
    """Or perhaps not, where the value has integers of more than 64 bits."""
    try:
        return rb"\u0000" in orjson.dumps(value)  # Refuses surrogates.
    except orjson.JSONEncodeError:
        return True


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
