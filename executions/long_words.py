"""Text without places where lines can break, which browsers lay out in quadratic time.

A quarter of a megabyte of accents on one letter, or of Arabic or Mongolian letters without a space,
kept whoever opened the page waiting for half a minute.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import chain

MAX_MARKS = 30
"""Accents and invisible characters in a row, as in the Stream-Safe Text Format (UAX #15). The rest
is dropped.
"""
MAX_JOINED = 200
"""Characters in a row of scripts whose letters join, or that are written without spaces. A zero
width space, at which a line may break, follows them.
"""
BREAK = "\u200b"
JOINED = (
    "\u0590-\u109f"  # Hebrew, Arabic, the scripts of India, Thai, Lao, Tibetan, Burmese
    "\u1700-\u18af\u1900-\u1cff"  # of the Philippines, Khmer, Mongolian and others
    "\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00011fff\U0001e900-\U0001e95f"
)


def _ranges(characters: Iterable[int]) -> str:
    """The characters as ranges of a regular expression."""
    ranges: list[list[int]] = []
    for each in characters:
        if ranges and ranges[-1][1] == each - 1:
            ranges[-1][1] = each
        else:
            ranges.append([each, each])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


MARKS = _ranges(
    each
    for each in chain(range(0x80, 0x20000), range(0xE0000, 0xE1000))  # all planes that have some
    if unicodedata.category(chr(each)) in {"Mn", "Me", "Cf"}
)
TOO_MANY_MARKS = re.compile(f"([{MARKS}]{{{MAX_MARKS}}})[{MARKS}]+")
TOO_LONG = re.compile(
    f"(?:(?!{BREAK})[{JOINED}{MARKS}]){{{MAX_JOINED}}}(?=[{JOINED}{MARKS}])(?!{BREAK})"
)


def with_breaks(text: str) -> str:
    """The text with at most MAX_MARKS accents in a row, and with breaks in very long words."""
    if text.isascii():
        return text
    return TOO_LONG.sub(rf"\g<0>{BREAK}", TOO_MANY_MARKS.sub(r"\1", text))
