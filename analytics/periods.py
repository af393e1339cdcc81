"""Periods of whole days in a time zone, computed once for each request.

`end` is exclusive and "now" is read once. All arithmetic with zones happens here, with one source
of zone rules; the database works with instants and integers only.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Self
from zoneinfo import ZoneInfo

from django.utils import timezone

from core.days import DAY, day_start
from core.errors import InvalidValue
from core.time_zones import known_time_zones

MAX_DAYS = 90
FIRST_YEAR = 2000


@dataclass(frozen=True)
class Span:
    """A part of a period in which the offset from UTC stays the same."""

    start: datetime
    end: datetime
    offset: timedelta


@dataclass(frozen=True)
class Period:
    """The days from `first` to `last` in `tz`; `start` and `end` are UTC instants."""

    start: datetime
    end: datetime
    step: str
    tz: ZoneInfo
    now: datetime

    @classmethod
    def of_days(cls, first: date, last: date, tz: ZoneInfo, now: datetime, step: str) -> Self:
        return cls(day_start(first, tz), day_start(last + DAY, tz), step, tz, now)

    @classmethod
    def last_days(cls, days: int, tz: ZoneInfo | None = None, now: datetime | None = None) -> Self:
        """The last `days` days, today included."""
        now, tz = now or timezone.now(), tz or ZoneInfo("UTC")
        today = now.astimezone(tz).date()
        return cls.of_days(today - (days - 1) * DAY, today, tz, now, "day")

    @classmethod
    def of_month(
        cls, text: str | None = None, tz: ZoneInfo | None = None, now: datetime | None = None
    ) -> Self:
        """The whole calendar month `YYYY-MM`, by default the current one."""
        now, tz = now or timezone.now(), tz or ZoneInfo("UTC")
        current = now.astimezone(tz).date().replace(day=1)
        first = parse_month(text, latest=current) if text is not None else current
        following = (first + 31 * DAY).replace(day=1)
        return cls.of_days(first, following - DAY, tz, now, "month")

    @property
    def first(self) -> date:
        return self.start.astimezone(self.tz).date()

    @property
    def last(self) -> date:
        return (self.end - timedelta(microseconds=1)).astimezone(self.tz).date()

    @property
    def dates(self) -> tuple[date, ...]:
        """Every day of the period, in order."""
        return tuple(self.first + n * DAY for n in range((self.last - self.first).days + 1))

    @property
    def is_utc(self) -> bool:
        """Whether its days are UTC days."""
        return all(span.offset == timedelta() for span in self.spans)

    def fits(self, seconds: int) -> bool:
        """Whether its local hours consist of whole pieces of `seconds` each in UTC."""
        marks = [instant.timestamp() for span in self.spans for instant in (span.start, span.end)]
        offsets = [span.offset.total_seconds() for span in self.spans]
        return not any(value % seconds for value in marks + offsets)

    def before(self) -> Self:
        """The period of the same number of days that ends where this one starts."""
        last = self.first - DAY
        first = last - (len(self.dates) - 1) * DAY
        return type(self).of_days(first, last, self.tz, self.now, self.step)

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """The period split at changes of the offset; the spans are contiguous."""
        spans: list[Span] = []
        start, offset = self.start, _offset(self.start, self.tz)
        probe = self.start
        while probe < self.end:
            previous, probe = probe, min(probe + DAY, self.end)
            if _offset(probe, self.tz) != offset:
                change = _change(previous, probe, self.tz)
                spans.append(Span(start, change, offset))
                start, offset = change, _offset(change, self.tz)
        if start < self.end:
            spans.append(Span(start, self.end, offset))
        return tuple(spans)


def parse_month(text: str, *, latest: date) -> date:
    """The first day of a month written YYYY-MM."""
    problem = f"Must be a month as YYYY-MM, from {FIRST_YEAR}-01 to {latest:%Y-%m}."
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise InvalidValue.of("month", problem)
    month = int(text[5:])
    if not FIRST_YEAR <= int(text[:4]) <= latest.year:
        raise InvalidValue.of("month", problem)
    first = date(int(text[:4]), month, 1)
    if first > latest:
        raise InvalidValue.of("month", problem)
    return first


def parse_zone(text: str) -> ZoneInfo:
    """The IANA time zone. Only listed names reach the file system."""
    if text not in known_time_zones():
        raise InvalidValue.of("tz", "Must be an IANA time zone, for example UTC or Europe/Berlin.")
    return ZoneInfo(text)


def _offset(instant: datetime, tz: ZoneInfo) -> timedelta:
    return instant.astimezone(tz).utcoffset() or timedelta()


def _change(before: datetime, after: datetime, tz: ZoneInfo) -> datetime:
    """The instant between the two at which the offset changes, to the minute."""
    offset = _offset(before, tz)
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) // 2
        if _offset(middle, tz) == offset:
            before = middle
        else:
            after = middle
    return after.replace(second=0, microsecond=0)
