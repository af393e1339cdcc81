"""The window of time whose token requests are counted, and the one it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property
from math import ceil
from typing import Self

from analytics.periods import FIRST_YEAR, MAX_DAYS
from core.days import DAY, HOUR, MAX_TIMESTAMP, day_end, day_start, floor, following
from core.errors import InvalidValue
from core.parameters import parse_whole_number
from executions.filters import read_instant

DEFAULT_DAYS = 7
LONGEST_IN_HOURS = timedelta(hours=49)
"""Two days, one of which may have 25 hours."""
LONGEST_IN_DAYS = 400 * DAY
WEEK = 7
FIRST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """The requests from `start` until before `end`, two instants in UTC; days are those of
    `zone`.
    """

    start: datetime
    end: datetime
    zone: tzinfo
    now: datetime
    days: int | None = None
    """The number of days, today included, if the window was given so."""

    @classmethod
    def read(
        cls, values: Mapping[str, str], zone: tzinfo, now: datetime, *, edges_in: tzinfo = UTC
    ) -> Self:
        """The window given by `days`, or by `from` and `to`, which without a zone are in
        `edges_in`. It lies within the years since FIRST_YEAR and ends today.

        Raise InvalidValue, which names the parameter, for what is no window.
        """
        if "from" not in values and "to" not in values:
            text = values.get("days", str(DEFAULT_DAYS))
            days = parse_whole_number(text, "days", minimum=1, maximum=MAX_DAYS)
            return cls.last_days(days, zone, now)
        if "days" in values:
            raise InvalidValue.of("days", "Give either days, or from and to.")
        from_ = read_instant(values, "from", edges_in)
        to = read_instant(values, "to", edges_in, is_end=True)
        if from_ is not None and to is not None and to <= from_:
            raise InvalidValue.of("to", "Must be later than from.")
        last = day_end(now.astimezone(zone).date(), zone)
        end = last if to is None else min(max(_moment(to), FIRST), last)
        start = end - DEFAULT_DAYS * DAY if from_ is None else _moment(from_)
        return cls(min(max(start, FIRST), end), end, zone, now)

    @classmethod
    def last_days(cls, days: int, zone: tzinfo, now: datetime) -> Self:
        """The last `days` days, today included."""
        today = now.astimezone(zone).date()
        return cls(day_start(today - (days - 1) * DAY, zone), day_end(today, zone), zone, now, days)

    @classmethod
    def of_day(cls, day: date, zone: tzinfo, now: datetime) -> Self:
        return cls(day_start(day, zone), day_end(day, zone), zone, now)

    @property
    def reached(self) -> datetime:
        """The end, or now while the window is not over."""
        return max(min(self.end, self.now), self.start)

    @property
    def step(self) -> str:
        length = self.end - self.start
        if length <= LONGEST_IN_HOURS:
            return "hour"
        return "day" if length <= LONGEST_IN_DAYS else "month"

    @cached_property
    def edges(self) -> tuple[datetime, ...]:
        """The starts of its hours, days or months, and the end of the last one."""
        edges, edge = [], floor(self.start.astimezone(self.zone), self.step)
        while edge.timestamp() < self.end.timestamp():
            edges.append(edge.astimezone(UTC))
            edge = following(edge, self.step)
        return (*edges, edge.astimezone(UTC))

    @property
    def days_back(self) -> int:
        """How many days earlier the previous window lies: whole weeks from a week on, so that it
        has the same weekdays.
        """
        days = ceil((self.end - self.start - 2 * HOUR) / DAY) or 1
        return days if days < WEEK else WEEK * ceil(days / WEEK)

    @cached_property
    def whole_previous(self) -> "Window":
        """The window of equal length to compare with, as a whole while this one is not over."""
        return Window(self.earlier(self.start), self.earlier(self.end), self.zone, self.now)

    @cached_property
    def edges_before(self) -> tuple[datetime, ...]:
        """The edges of the same hours or days in the window before; two may fall together where the
        clocks change.
        """
        return tuple(sorted(self.earlier(edge) for edge in self.edges))

    @cached_property
    def previous(self) -> "Window":
        """The window of equal length to compare with. While this one is not over, it ends at the
        same time of the day.
        """
        start, end = (self.earlier(each) for each in (self.start, self.reached))
        return Window(start, max(start, end), self.zone, self.now)

    def earlier(self, moment: datetime) -> datetime:
        """The same time of the day in the previous window; FIRST where the calendar has none."""
        local = moment.astimezone(self.zone)
        try:
            return (local - self.days_back * DAY).astimezone(UTC)
        except OverflowError:
            return FIRST


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(seconds, MAX_TIMESTAMP), UTC)
