"""Responses equal the JSON that REST framework would write, whatever they contain."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.renderers import JSONRenderer as Usual

from core.renderers import JSONRenderer
from executions.models import Execution

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Unpaired surrogates cannot be stored, and neither encoder writes them.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@given(VALUES)
def test_any_value_comes_back(value: Any) -> None:
    answer = {"value": value}
    assert json.loads(JSONRenderer().render(answer)) == json.loads(Usual().render(answer))


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 11, 22, 9, 30, 0, 123456, UTC),
        date(2026, 11, 22),
        timedelta(seconds=90),
        Decimal("0.0041"),
        UUID(int=7),
        gettext_lazy("Yes"),
        mark_safe("<b>"),
        Execution.Status.RUNNING,
        2**70,
        {1: "a number as a name"},
        b"bytes",
        "a line\u2028and\u2029another",
        "Grüße, 世界 🙂",
        1764000000.1234567,
    ],
    ids=repr,
)
def test_what_answers_hold_is_written_as_before(value: Any) -> None:
    assert JSONRenderer().render({"value": value}) == Usual().render({"value": value})


def test_nothing_has_no_body() -> None:
    assert JSONRenderer().render(None) == b""
