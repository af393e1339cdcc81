"""Text on pages is cut at a number of characters."""

import pytest

from core.formatting import shortened


@pytest.mark.parametrize(
    ("value", "shown"), [("", ""), ("abcde", "abcde"), ("abcdef", "abcd…"), (1234567, "1234…")]
)
def test_a_long_text_ends_in_an_ellipsis(value: object, shown: str) -> None:
    assert shortened(value, 5) == shown
