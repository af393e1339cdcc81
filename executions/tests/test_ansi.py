"""Terminal output as HTML: colours are kept, other control sequences are dropped."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.profiling import calls
from executions.ansi import MAX_CHARACTERS, ansi_as_html

HOSTILE = {
    "links that never end": "\x1b]8;;" * 40_000,
    "colours that never end": "\x1b[31m" * 40_000,
    "a colour for each letter": "\x1b[31mx\x1b[0m" * 12_000,
    "numbers that never end": "\x1b[" + "1;" * 100_000,
    "a number that never ends": "\x1b[" + "1" * 100_000 + "mx",
    "a number that ends too late": "\x1b[1;" + "1" * 5_000 + ";2mx",
    "bare escapes": "\x1b" * 200_000,
    "returns": "a\r" * 100_000,
    "backspaces": "a\b" * 100_000,
    "backspaces and colours": "\x1b[31ma\b" * 40_000,
    "one line": "x" * 10_000_000,
    "binary": bytes(range(256)).decode("latin-1") * 800,
}


def test_colours_and_styles_become_classes() -> None:
    html = ansi_as_html("\x1b[31mred\x1b[0m \x1b[1;42mbold\x1b[0m \x1b[38;5;208morange\x1b[0m")

    assert html == (
        '<span class="ansi-fg-1">red</span> <span class="ansi-bold ansi-bg-2">bold</span> '
        '<span class="ansi-fg-9">orange</span>'
    )


def test_text_is_escaped_inside_and_outside_of_colours() -> None:
    html = ansi_as_html("<b>&\x1b[31m<script>\"'\x1b[0m")

    assert html == ('&lt;b&gt;&amp;<span class="ansi-fg-1">&lt;script&gt;&quot;&#x27;</span>')


def test_of_a_line_that_was_written_over_the_last_state_is_shown() -> None:
    assert ansi_as_html("progress 1%\rprogress 2%\r\nnext\n\x1b[2K\rlast\r") == (
        "progress 2%\nnext\nlast"
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("|\b/\b-\bdone", "done"),
        ("10 %\b\b\b\b20 %", "20 %"),
        ("first\nabc\b\b\b\b\bx", "first\nxbc"),
        ("\x1b[31m1 %\x1b[0m\b\b\b\x1b[32m2 %", '<span class="ansi-fg-2">2 %</span>'),
        ("what stays\b\b", "what stays"),
    ],
)
def test_a_backspace_goes_back_and_takes_nothing_away(written: str, shown: str) -> None:
    assert ansi_as_html(written) == shown


@pytest.mark.parametrize(
    "obeyed",
    [
        "\x1b[2J",
        "\x1b[10;10H",
        "\x1b]0;title\x07",
        "\x1b]8;;https://evil.example\x1b\\",
        "\x1bPq#0\x1b\\",
        "\x1b(B",
        "\x07\x00\x9b",
    ],
)
def test_sequences_that_move_clear_or_link_are_removed(obeyed: str) -> None:
    assert ansi_as_html(f"a{obeyed}b") == "ab"


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_hostile_output_is_capped_and_takes_little_work(message: str) -> None:
    html = ansi_as_html(message)

    assert calls(lambda: ansi_as_html(message)) < 20 * MAX_CHARACTERS
    assert len(html) < MAX_CHARACTERS * 8
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", html)
    assert ("cut off" in html) == (len(message) > MAX_CHARACTERS)


@given(st.text(st.sampled_from("\x1b[]0123;mKPh\\\x07\b\r\n<>&\"'ab"), max_size=60))
def test_no_text_makes_other_markup_than_our_spans(message: str) -> None:
    html = ansi_as_html(message)

    without_spans = re.sub(r'<span class="[a-z0-9 -]+">|</span>', "", html)
    assert "<" not in without_spans
    assert html.count("<span") == html.count("</span>")
