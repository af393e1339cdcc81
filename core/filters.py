from datetime import UTC, date, datetime, timedelta

import django_filters
from django.utils.dateparse import parse_date, parse_datetime

from core.days import day_start
from core.errors import InvalidValue
from core.pagination import PAGING


class FormedTextFilter(django_filters.CharFilter):
    """A text filter whose values have a format, such as a date: an empty value is refused."""


class StrictFilterSet(django_filters.FilterSet):
    """Refuses a parameter without a value, which would widen the list.

    The view has already refused unknown and repeated parameters.
    """

    def is_valid(self) -> bool:
        for name in self.data:
            if self.data[name] == "" and not self._is_text(name):
                raise InvalidValue.of(name, "Give a value, or leave the parameter out.")
        return bool(super().is_valid())

    def _is_text(self, name: str) -> bool:
        return name in PAGING or type(self.filters[name]) is django_filters.CharFilter


def parse_moment(text: str, name: str) -> tuple[datetime, bool]:
    """Parse an ISO 8601 instant, UTC without an offset; a date gives its beginning and True.

    Raise InvalidValue, which names the parameter `name`, for anything else.
    """
    try:
        day = parse_date(text)
        moment = None if day else parse_datetime(text)
        if day:  # keep the neighbouring days representable in every zone
            day = min(max(day, date.min + timedelta(2)), date.max - timedelta(2))
            return day_start(day, UTC), True
        if moment and date.min < moment.date() < date.max:
            # ISO 8601 allows offsets of 16 hours and more, PostgreSQL does not.
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC), False
    except ValueError:
        pass  # well formed, but no such date
    raise InvalidValue.of(name, "Use an ISO 8601 date or time, for example 2026-11-22.")
