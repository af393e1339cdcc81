"""Where days begin and end, in every zone and at both ends of the calendar."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.days import DAY, day_end, day_start, floor, following


@pytest.mark.parametrize("name", ["UTC", "Pacific/Kiritimati", "Pacific/Midway"])
def test_the_calendar_has_a_first_and_a_last_day_in_every_zone(name: str) -> None:
    zone = ZoneInfo(name)
    first, last = day_start(date.min, zone), day_end(date.max, zone)

    assert first - datetime.min.replace(tzinfo=UTC) < DAY
    assert datetime.max.replace(tzinfo=UTC) == last
    assert day_end(date.min, zone) - first <= DAY + timedelta(hours=14)
    assert day_start(date.max, zone) < last


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Africa/Cairo", date(2026, 4, 24), 23),
        ("UTC", date(2026, 3, 29), 24),
    ],
)
def test_a_day_is_made_of_its_hours(name: str, day: date, hours: int) -> None:
    zone = ZoneInfo(name)
    start, end = day_start(day, zone), day_end(day, zone)

    edges = [start.astimezone(zone)]
    while edges[-1] < end:
        edges.append(following(edges[-1], "hour"))

    assert end - start == timedelta(hours=hours)
    assert [edge.astimezone(UTC) for edge in edges] == [
        start + timedelta(hours=number) for number in range(hours + 1)
    ]
    assert floor(edges[-2], "day").date() == day


def test_a_month_is_followed_by_the_next_whatever_its_length() -> None:
    edge = floor(datetime(2027, 12, 31, 23, tzinfo=ZoneInfo("Europe/Berlin")), "month")

    months = [edge := following(edge, "month") for _ in range(14)]

    assert [(each.year, each.month) for each in months[:3]] == [(2028, 1), (2028, 2), (2028, 3)]
    assert {each.day for each in months} == {1}
