"""Periods of whole days in a zone, across changes of its offset."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.periods import Period
from core.days import day_start
from core.time_zones import known_time_zones

NOW = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)


def test_every_zone_of_today_fits_into_quarters_of_an_hour() -> None:
    unfit = [
        name
        for name in sorted(known_time_zones())
        if not Period.of_days(
            date(2026, 1, 1), date(2027, 12, 31), ZoneInfo(name), NOW, "day"
        ).fits(900)
    ]

    assert unfit == []


@pytest.mark.parametrize(
    ("zone", "fits_hours"),
    [("UTC", True), ("Europe/Berlin", True), ("Asia/Kathmandu", False), ("Asia/Kolkata", False)],
)
def test_a_zone_that_is_off_by_part_of_an_hour_needs_quarters(zone: str, fits_hours: bool) -> None:
    assert Period.last_days(90, ZoneInfo(zone), NOW).fits(3600) is fits_hours


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland", "Africa/Cairo"])
@pytest.mark.parametrize("days", [1, 30, 90])
def test_a_period_has_its_days_and_the_one_before_ends_where_it_starts(
    zone: str, days: int
) -> None:
    period = Period.last_days(days, ZoneInfo(zone), NOW)

    assert len(period.dates) == days
    assert period.start <= NOW < period.end
    assert period.before().end == period.start
    assert len(period.before().dates) == days
    assert [span.start for span in period.spans[1:]] == [span.end for span in period.spans[:-1]]


def test_a_day_without_a_midnight_begins_after_the_gap() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # 2026-04-24 00:00 does not exist there

    start = day_start(date(2026, 4, 24), cairo)

    assert start.astimezone(cairo) == datetime(2026, 4, 24, 1, tzinfo=cairo)
    assert (start - timedelta(microseconds=1)).astimezone(cairo).date() == date(2026, 4, 23)


def test_a_month_begins_earlier_in_the_east() -> None:
    now = datetime(2026, 12, 31, 12, tzinfo=UTC)

    assert Period.of_month(tz=ZoneInfo("Pacific/Kiritimati"), now=now).first == date(2027, 1, 1)
    assert Period.of_month(tz=ZoneInfo("UTC"), now=now).first == date(2026, 12, 1)
