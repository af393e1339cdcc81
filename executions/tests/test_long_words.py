"""Texts of engines get places where lines can break, without which browsers need half a minute."""

import json
import unicodedata

import pytest

from executions.ansi import ansi_as_html
from executions.long_words import BREAK, MAX_JOINED, MAX_MARKS, with_breaks
from executions.rendering import render_result
from executions.sanitizing import plain_text

ACUTE, YEH, JOINER = "\u0301", "\u0626", "\u200d"


def html_of(text: str) -> str:
    return str(render_result(json.dumps({"HTML": {"body": f"<p>{text}</p>"}})))


@pytest.mark.parametrize("shown", [plain_text, ansi_as_html, html_of])
@pytest.mark.parametrize("piece", [ACUTE, ACUTE + JOINER, ACUTE + BREAK, "\ufe0f", "\u202e"])
def test_a_letter_has_few_accents(shown: object, piece: str) -> None:
    text = shown("a" + piece * 10_000 + "b")  # type: ignore[operator]

    assert f"a{(piece * MAX_MARKS)[:MAX_MARKS]}b" in text


@pytest.mark.parametrize("shown", [plain_text, ansi_as_html, html_of])
@pytest.mark.parametrize(
    "letter", [YEH, "\u0644\u0627", "\u0e01\u0e34", "\u1780", "\u1820\u180b", "\U0001e900"]
)
def test_long_words_of_letters_that_join_can_break(shown: object, letter: str) -> None:
    word = letter * 5_000

    text = str(shown(word))  # type: ignore[operator]

    assert text.replace(BREAK, "").count(word) == 1
    assert max(map(len, text.split(BREAK))) <= MAX_JOINED + len("<p></p>")


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000,
        "\u2500" * 1_000,  # a line of a table
        "\u6f22\u5b57" * 1_000,
        "\xe9" * 1_000,
        "\u0645\u0631\u062d\u0628\u0627 " * 1_000,
        "\u0928\u092e\u0938\u094d\u0924\u0947 " * 1_000,
        f"\U0001f469{JOINER}\U0001f467 " * 100,
        "e" + ACUTE * MAX_MARKS,
        YEH * MAX_JOINED,
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert plain_text(text) == text


def test_texts_with_breaks_get_no_more() -> None:
    once = with_breaks((YEH + ACUTE) * 1_000)

    assert with_breaks(once) == once


def test_every_mark_of_unicode_counts() -> None:
    marks = [
        mark
        for mark in map(chr, range(0x80, 0x110000))
        if unicodedata.category(mark) in {"Mn", "Me", "Cf"}
    ]

    assert [mark for mark in marks if len(with_breaks(mark * 100)) != MAX_MARKS] == []
