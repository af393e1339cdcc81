"""Filters of the dashboard, and the values they refuse."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict

from core.errors import InvalidValue
from executions.filters import END_OF_TIME, EVERYTHING, Filters

NOW = 1_795_330_000.0


def read(query: str, hours: int | None = 24, **more: Any) -> Filters:
    return Filters.read(QueryDict(query), hours=hours, now=NOW, **more)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("query", "window"),
    [
        ("", (NOW - 86_400, None)),
        ("hours=1", (NOW - 3600, None)),
        ("hours=999999", (None, None)),
        ("hours=99999999", (None, None)),
        ("from=1795316076.7659645", (1795316076.7659645, None)),
        ("to=2026-11-22T06:00:00Z", (None, at("2026-11-22T06:00"))),
        ("from=2026-11-20&to=2026-11-21", (at("2026-11-20"), at("2026-11-22"))),
        ("from=2026-11-20T08:00%2B02:00", (at("2026-11-20T06:00"), None)),
        ("from=0001-01-01&to=9999-12-31", (0, END_OF_TIME)),
    ],
)
def test_the_window(query: str, window: tuple[float | None, float | None]) -> None:
    assert read(query).window == window


def test_times_without_an_offset_are_those_of_the_zone() -> None:
    filters = read("from=2026-11-20&to=2026-11-20T12:00", zone=ZoneInfo("Asia/Kolkata"))

    assert filters.window == (at("2026-11-19T18:30"), at("2026-11-20T06:30"))


def test_nothing_asked_for_is_everything() -> None:
    assert read("agent_name=&user=&status=&search=+", hours=None) == EVERYTHING


def test_a_filter_may_have_several_values() -> None:
    filters = read("status=ERROR&status=awaiting&status=&status=error&not_name=a,+b&not_name=c")

    assert filters.status == ("error", "awaiting")
    assert filters.not_name == ("a, b", "c")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        *((f"hours={bad}", "hours") for bad in ("0", "-1", "1.5", "", "x", "9" * 10, "9" * 5000)),
        *((f"hours={bad}", "hours") for bad in ("%D9%A3", "+1", "1e3")),
        ("hours=1&from=1", "hours"),
        *(
            (f"from={bad}", "from")
            for bad in ("", "x", "-1", "1e9", "2026-13-01", "99999999999999")
        ),
        ("from=20&to=20", "to"),
        ("status=done", "status"),
        ("agent=x", "agent"),
        ("agent=", "agent"),
        *((f"{name}={'x' * 256}", name) for name in ("agent_name", "user", "search", "status")),
        ("status=error&status=done", "status"),
        ("not_status=done", "not_status"),
        ("not_agent=x", "not_agent"),
        (f"not_tag=a&not_tag={'x' * 256}", "not_tag"),
        *((f"{name}=a{f'&{name}=b' * 20}", name) for name in ("name", "user", "not_name")),
    ],
)
def test_invalid_values_are_refused_by_parameter_name(query: str, name: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read(query)

    assert list(refused.value.details) == [name]
