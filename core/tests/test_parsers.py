"""The JSON parser refuses exactly what a character-by-character parser refuses, says where, and
needs no loop over the text."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from core.parsers import FEW_ESCAPES, MAX_DEPTH, MAX_NAMES, MAX_VALUES, measure_json, parse_json
from core.tests.profiling import calls

MEGABYTE = 1024 * 1024

# Fragments that form valid and invalid JSON: whole values, parts of structures, and escapes.
PIECES = [
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b" ", b"\n", b"a", b"1", b"-", b"e9", b"."),
    *(b'"a"', b'"a":', b'{"a":1}', b"[1,2]", b'""', rb'"\""', rb'"\\"', rb'"["', rb'"\\\"{"'),
    *(rb"\u0000", rb"\u0041", rb"\ud83d", rb"\ude00", rb"\uD83D\uDE00", rb"\\ud83d", b"\xf0\x9f"),
    *(b'{"a":1,"b":2}', b'{"a":1,"a":2}', b"1e5", b"1E+5", b"0.5", b"1" * 99, b"E400", b"1" * 400),
    *(b"true", b"null", b"NaN", b"Infinity", b"1e400", b"9" * 101, b"\x00", b"\xff", "ü".encode()),
]
ANYTHING = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
SURROGATES = st.lists(
    st.sampled_from([r"\ud83d", r"\ude00", r"\\", r"\"", "a", r"\u0000", r"\u0041", r"\uDBFF"]),
    max_size=12,
).map(lambda parts: f'["{"".join(parts)}"]'.encode())
# Few names, so that objects often repeat one.
NAMES = st.recursive(
    st.sampled_from(["1", "-0", "1e400", "1e-400", "9" * 100, "9" * 101 + ".5", '"a:{"', '"\\""']),
    lambda inner: st.lists(st.tuples(st.sampled_from("abc"), inner), max_size=3).map(
        lambda pairs: "{" + ",".join(f'"{name}": {value}' for name, value in pairs) + "}"
    ),
).map(str.encode)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
)


def characters_outside_strings(text: str) -> str:
    kept, in_string, escaped = [], False, False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string, escaped = True, False
        else:
            kept.append(character)
    return "".join(kept)


def depth_of(text: str) -> int:
    depth = deepest = 0
    for character in characters_outside_strings(text):
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest


def is_storable(value: Any) -> bool:
    if isinstance(value, str):
        return not any(each == "\x00" or "\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, dict):
        return all(is_storable(each) for pair in value.items() for each in pair)
    return not isinstance(value, list) or all(map(is_storable, value))


def read_slowly(content: bytes) -> Any:
    """A reference parser that works character by character.

    Raises ValueError for anything to be refused.
    """
    text = content.decode()
    if depth_of(text) > MAX_DEPTH:
        raise ValueError("depth")

    def names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("duplicate")
        return dict(pairs)

    def refuse(name: str) -> None:
        raise ValueError(name)

    def integer(digits: str) -> int:
        if len(digits) > 100:
            raise ValueError("digits")
        return int(digits)

    def number(digits: str) -> float:
        if float(digits) in {float("inf"), float("-inf")}:
            raise ValueError("infinite")
        return float(digits)

    value = json.loads(
        text,
        object_pairs_hook=names,
        parse_constant=refuse,
        parse_int=integer,
        parse_float=number,
    )
    if not is_storable(value):
        raise ValueError("unstorable")
    return value


def outcome(read: Callable[[bytes], Any], content: bytes) -> str:
    """The value as JSON, or "refused"."""
    try:
        return json.dumps(read(content))
    except (ParseError, ValueError):
        return "refused"


@given(ANYTHING | SURROGATES | NAMES)
@example(rb'"\ud83d\\\ude00"')
@example(rb'"\\ud83d\ude00"')
@example(rb'"\\\ud83d\ude00"')
@example(rb'["\\", "[", "\\\\\"]"]')
@example(rb'{"a": 1, "a": 2, "b": "\u003a"}')
@example(rb'{"a": 1, "a": 2, "b": "\u003A"}')
@example(rb'{"a": {"b": 1, "b": ":"}, "c": "\n"}')
@example(rb'["\n", "a:b", {"c:d": 99999999999999999999}]')
@example(rb'["\n", ' + b"[" * 64 + b"]" * 65)
@example(rb'"\n' + b"[" * 65 + b'"')
@example(b"[" * 65 + b"]" * 65)
@example(b"[" * 64 + b"]" * 64)
def test_the_same_is_refused_as_by_a_reader_of_every_character(content: bytes) -> None:
    assert outcome(parse_json, content) == outcome(read_slowly, content)


@pytest.mark.parametrize("after", [b'{"a": 1}', b'{"a": 1, "a": 2}', b"[" * 64 + b"]" * 64])
@pytest.mark.parametrize(
    "last", [rb"\\", rb"\"", rb"\\\"[", rb"\u0000", rb"\\ud83d", rb"\ud83d", rb"\ud83d\ude00"]
)
def test_texts_of_very_many_escapes_are_read_alike(last: bytes, after: bytes) -> None:
    content = b'["' + rb"\n" * (FEW_ESCAPES + 1) + last + b'", ' + after + b"]"

    assert outcome(parse_json, content) == outcome(read_slowly, content)


@given(VALUES, st.booleans())
def test_what_may_be_stored_comes_back(value: Any, ascii: bool) -> None:
    content = json.dumps(value, ensure_ascii=ascii).encode("utf-8", "replace")

    assert outcome(parse_json, content) == outcome(read_slowly, content)


@given(VALUES)
def test_depth_is_measured_before_anything_is_parsed(value: Any) -> None:
    text = json.dumps(value)

    shape = measure_json(text.encode())

    assert shape.depth == depth_of(text)


def nest(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"a": NaN}', "NaN is not JSON."),
        (b'{"a": -Infinity}', "-Infinity is not JSON."),
        (b'{"a": 1, "a": 1}', "A name appears twice in one JSON object."),
        (b'{"a": 1e400}', "A number is too large."),
        (b"9" * 101, "A number has more than 100 digits."),
        (b"\xff", "The body is not UTF-8."),
        (b"[1", "The body is not valid JSON."),
        (b'"\x00"', "The body is not valid JSON."),
        (json.dumps(nest(1, 65)).encode(), "The JSON is nested deeper than 64 levels."),
        (b"[" * 40_000, "The JSON is nested deeper than 64 levels."),
        (b"[" * 500_000, "The JSON has more than 50,000 values."),
        (rb'{"a": [1, {"b": "\u0000"}]}', "a.1.b contains a NUL or half of a surrogate pair."),
        (rb'{"a": ["\ud83d\ude00", "\ud83d"]}', "a.1 contains a NUL or half of a surrogate pair."),
        (rb'{"\udfff": 1}', "A text contains a NUL or half of a surrogate pair."),
    ],
    ids=lambda each: str(each[:30]),
)
def test_a_refusal_says_what_is_wrong_and_where(content: bytes, sentence: str) -> None:
    with pytest.raises(ParseError) as refusal:
        parse_json(content)

    assert str(refusal.value.detail) == sentence


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        ([1] * (MAX_VALUES - 1), True),
        ([1] * MAX_VALUES, False),
        (['"'] + [1] * (MAX_VALUES - 2), True),
        (['"'] + [1] * (MAX_VALUES - 1), False),
        ([[]] * (MAX_VALUES // 2 + 1), False),
        ({str(number): 1 for number in range(MAX_NAMES)}, True),
        ({str(number): 1 for number in range(MAX_NAMES + 1)}, False),
        ([",[{" * 50_000] * 5, True),
        (['"' * 20_001 + "[" * 70], True),
    ],
    ids=[
        "all",
        "one more",
        "all, escaped",
        "one more, escaped",
        "containers",
        "all names",
        "one name more",
        "texts",
        "quotes",
    ],
)
def test_the_number_of_values_is_bounded(value: Any, is_taken: bool) -> None:
    content = json.dumps(value).encode()

    assert (outcome(parse_json, content) != "refused") == is_taken


LINE = "What an agent says about its work. " * 20
LARGE = {
    "events": json.dumps(
        {"events": [{"kind": "stdout", "message": LINE, "sequence": n} for n in range(1, 1200)]}
    ),
    "emoji": json.dumps({"message": "🙂" * 85_000}),
    "names": json.dumps({f"name {number}": number for number in range(45_000)}),
    "commas in texts": json.dumps(["a,[{"] * 90_000),
    "escapes": '"' + r"\"" * 500_000 + '"',
    "deep": "[" * 500_000 + "]" * 500_000,
    "flat": "[" + "[]," * 300_000 + "[]]",
    "NUL at the end": json.dumps(["a" * 10] * 60_000 + ["\x00"]),
}


def seconds(do: Callable[[], object]) -> float:
    """CPU time, as the minimum of several runs, which other programs disturb least."""
    tries = []
    for _ in range(5):
        began = time.thread_time()
        do()
        tries.append(time.thread_time() - began)
    return min(tries)


@pytest.mark.parametrize("kind", LARGE)
def test_a_megabyte_is_read_at_once(kind: str) -> None:
    content = LARGE[kind].encode()
    assert len(content) <= MEGABYTE

    # How much slower it is than the plain parser is measured by benchmarks/json_reader.py. Here
    # only what no machine could explain: a loop in Python over the text, or quadratic time in C.
    objects = LARGE[kind].count("{") if kind == "events" else 0
    assert calls(lambda: outcome_only(content)) < 100 + 5 * objects
    plain = seconds(lambda: json.loads(LARGE["events"]))
    assert seconds(lambda: outcome_only(content)) < 50 * plain


def outcome_only(content: bytes) -> None:
    with suppress(ParseError):
        parse_json(content)
