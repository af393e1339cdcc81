"""JSON as RFC 8259 means it, within limits that keep one request from hurting the others."""

import json
from collections.abc import Iterable, Mapping
from math import isinf
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MAXIMUM_DEPTH = 64
MAXIMUM_DIGITS = 100


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
    _check_depth(text)
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
    try:
        _check_text(value)
    except _UnstorableText as error:
        place = ".".join(reversed(error.place)) or "A text"
        raise ParseError(f"{place} contains a NUL or half of a surrogate pair.") from None
    return value


def _check_depth(text: str) -> None:
    depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAXIMUM_DEPTH:
                raise ParseError(f"The JSON is nested deeper than {MAXIMUM_DEPTH} levels.")
        elif character in "]}":
            depth -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is not JSON.")


def _parse_integer(digits: str) -> int:
    if len(digits) > MAXIMUM_DIGITS:
        raise ParseError(f"A number has more than {MAXIMUM_DIGITS} digits.")
    return int(digits)


def _parse_float(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ParseError("A number is too large.")
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ParseError("A name appears twice in one JSON object.")
    return names


class _UnstorableText(Exception):
    """`place` leads to the text, from within: its name, that of the object around it …"""

    def __init__(self) -> None:
        super().__init__()
        self.place: list[str] = []


def _check_text(value: Any) -> None:
    """PostgreSQL can store neither NUL nor lone surrogates."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
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
