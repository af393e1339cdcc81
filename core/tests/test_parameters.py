"""Whole numbers are parsed alike in every parameter and header."""

import pytest

from core.errors import InvalidValue
from core.parameters import parse_whole_number


@pytest.mark.parametrize("text", ["0", "7", "007", "000000100"])
def test_zeros_in_front_do_no_harm(text: str) -> None:
    assert parse_whole_number(text, "limit", maximum=100) == int(text)


@pytest.mark.parametrize(
    "text", ["", " 7", "+7", "-1", "1.0", "1e1", "1_0", "\u0667", "\u00b2", "101", "9" * 5000]
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        parse_whole_number(text, "limit", maximum=100)

    problem = "Must be a whole number from 0 to 100."
    assert refused.value.message == f"limit: {problem}"
    assert refused.value.details == {"limit": [problem]}


def test_a_limit_may_have_more_digits_than_the_usual_ones() -> None:
    largest = 2**63 - 1

    assert parse_whole_number(str(largest), "sequence", maximum=largest) == largest
    with pytest.raises(InvalidValue, match=r"sequence: Too large\."):
        parse_whole_number(str(largest + 1), "sequence", maximum=largest, problem="Too large.")
