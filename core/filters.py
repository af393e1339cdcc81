from datetime import UTC, date, datetime, timedelta

import django_filters
from django.utils.dateparse import parse_date, parse_datetime

from core.days import day_start
from core.errors import InvalidValue
from core.pagination import PAGING


class FormedTextFilter(django_filters.CharFilter):
    """A text that has a form, as a day has: an empty one is none."""


class StrictFilterSet(django_filters.FilterSet):
    """Refuses a parameter without a value: it must not widen a list. (Unknown and repeated ones do
    not come past the view's door.)"""

    def is_valid(self) -> bool:
        for name in self.data:
            if self.data[name] == "" and not self._is_text(name):
                raise InvalidValue.of(name, "Give a value, or leave the parameter out.")
        return bool(super().is_valid())

    def _is_text(self, name: str) -> bool:
        return name in PAGING or type(self.filters[name]) is django_filters.CharFilter


def parse_moment(text: str, name: str) -> tuple[datetime, bool]:
    """An instant, or the beginning of a day and True: ISO 8601, UTC unless it says otherwise.

    InvalidValue names the parameter `name` for anything else.
    """
    try:
        day = parse_date(text)
        moment = None if day else parse_datetime(text)
        if day:  # a day around it is still one, in every zone
            day = min(max(day, date.min + timedelta(2)), date.max - timedelta(2))
            return day_start(day, UTC), True
        if moment and date.min < moment.date() < date.max:
            # PostgreSQL takes no offset of 16 hours and more, ISO 8601 does.
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC), False
    except ValueError:
        pass  # well formed, but no such day
    raise InvalidValue.of(name, "Use an ISO 8601 date or time, for example 2026-11-22.")
