"""Strict JSON (RFC 8259) within limits that protect a process from single requests.

Every check runs in C over the whole text, or only where something unusual occurs: reading a
megabyte costs a few times as much as Python's own parser, and the sender never controls the
recursion.
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
"""orjson turns an integer that exceeds 64 bits into a float."""
MAX_NAMES = 10_000
"""In one object."""
MAX_VALUES = 50_000
"""In one text, at all depths: each takes some hundred bytes of memory, however short it is."""

MAX_READ_TOGETHER = 64 * 1024
"""Size in bytes above which texts are parsed one at a time. That takes no longer, since parsers
share one core, and needs the memory of only one."""
_one_large_text = Lock()

CONTAINERS = (dict, list)
FEW_ESCAPES = 10_000
"""Up to this many, a regular expression is faster than two replacements."""
FEW_CONTAINERS = 1_000
"""Up to this many, names are counted after parsing, otherwise during it."""

ESCAPED = re.compile(rb"\\[\\\"]")
# NUL and surrogates.
UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
# Brackets become +1 and -1 as signed bytes; their running sum is the depth.
STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
WITHOUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
AS_ZEROS = bytes.maketrans(b"123456789E", b"000000000e")
LONG_INTEGER = b"0" * MAX_DIGITS_OF_64_BITS
WITHOUT_STRUCTURE = bytes(set(range(256)) - set(b"[{,:0123456789"))
ESCAPED_NUL = rb"\u0000"
ESCAPED_COLON = rb"\u003"
"""The prefix of an escaped colon, whose last digit may be of either case."""


class StrictJSONParser(BaseParser):
    """Refuses what Python accepts: NaN, duplicate names, lone surrogates, NUL, deep nesting."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parse_json(stream.read())


def parse_json(content: bytes) -> Any:
    """Parse the bytes as JSON. Raise ParseError (400) if they are invalid or exceed a limit."""
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
    """The text may exceed a limit: the slower parser decides, and reports the reason."""


def _read_escapes(content: bytes) -> Any:
    """Parse a text with escape sequences.

    Raise _Unusual if its structure, with brackets inside strings counted as well, exceeds a limit.
    To find the end of such strings would take longer than to parse them.
    """
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
    value = orjson.loads(content)  # rejects surrogates
    colons = kept.count(b":")
    # Other colons are inside strings, or a name is repeated and the value has fewer of them.
    if colons != _count_names(value) and (
        ESCAPED_COLON in content or colons != orjson.dumps(value).count(b":")
    ):
        raise _Unusual
    return value


def _count_names(value: Any) -> int:
    """The number of names in all objects.

    Raise ParseError if the value is too deep or one object has too many.
    """
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
    """Measurements of a JSON text before it is parsed.

    For invalid JSON they may be wrong from the first error on, where a parser stops.
    """

    values: int
    """An upper bound."""
    names: int
    """In all objects together."""
    depth: int
    """For more than MAX_VALUES values, only the depth of the first ones."""
    containers: int
    has_unusual_numbers: bool
    """Whether a number has an exponent or more than MAX_DIGITS digits."""
    has_long_integers: bool
    """Whether an integer may exceed 64 bits."""
    may_be_unstorable: bool
    """Whether escape sequences may encode NUL or a surrogate. UTF-8 cannot contain surrogates, nor
    JSON a raw NUL."""


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
    """The parsed value, and the number of names in all its objects."""
    if shape.containers <= FEW_CONTAINERS and not shape.has_long_integers:
        with suppress(orjson.JSONDecodeError):  # on an error, the other parser decides
            value = orjson.loads(text)
            return value, _count_names(value)
    names = 0

    def count_names(members: dict[str, Any]) -> dict[str, Any]:
        nonlocal names
        names += _checked_length(members)
        return members

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


def _checked_length(members: dict[str, Any]) -> int:
    if len(members) > MAX_NAMES:
        raise ParseError(f"A JSON object has more than {MAX_NAMES:,} names.")
    return len(members)


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
    """Whether the value may contain NUL or a surrogate; True for integers beyond 64 bits, too."""
    try:
        return rb"\u0000" in orjson.dumps(value)  # rejects surrogates
    except orjson.JSONEncodeError:
        return True


class _UnstorableText(Exception):
    """A string with NUL or a surrogate; `place` is the path to it, innermost name first."""

    def __init__(self) -> None:
        super().__init__()
        self.place: list[str] = []


def _refuse_unstorable_text(value: Any) -> None:
    """Raise ParseError with the path to the string: PostgreSQL can store neither NUL nor lone
    surrogates."""
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
